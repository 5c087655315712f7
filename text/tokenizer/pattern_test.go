package tokenizer

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// cuts lists the pieces of text, each gap marked by a minus sign in front.
func cuts(tb testing.TB, p *pattern, text string) []string {
	tb.Helper()
	var out []string
	err := p.each(text, func(start, end int, match bool) {
		piece := text[start:end]
		if !match {
			piece = "-" + piece
		}
		out = append(out, piece)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// TestCompiledPatterns holds answers of Oniguruma (pre_tokenizers.Split of the
// tokenizers library 0.23.3, behaviour isolated) and of Rust's fancy-regex
// (tiktoken 0.14.0) on what the dialects see differently.
func TestCompiledPatterns(t *testing.T) {
	for _, c := range []struct {
		d           dialect
		regex, text string
		want        string // joined by |
	}{
		{onig, `^a`, "b\na", "-b\n|a"},
		{onig, `^`, "a\n", "|-a\n"},
		{onig, `a$`, "a\nb", "a|-\nb"},
		{rust, `a$`, "a\na", "-a\n|a"},
		{rust, `a$`, "a\n", "-a\n"},
		{rust, `(?m:a$)|b$`, "a\nab", "a|-\na|b"},
		{onig, `\h+`, "xab0 ", "-x|ab0|- "},
		{onig, `(?m).+`, "a\nb", "a\nb"},
		{rust, `(?s).+`, "a\nb", "a\nb"},
		{onig, `.+`, "a\nb", "a|-\n|b"},
		{onig, `\d{1,3}+`, "123456 1", "123456|- |1"},
		{rust, `\p{N}{1,3}+`, "123456 1", "123|456|- |1"},
		{onig, `\d{,2}`, "123456x", "12|34|56|-x|"},
		{onig, `(?=[A-Z])`, "abCdEf", "-ab||-Cd||-Ef"},
		{onig, `\p{^L}`, "a1b", "-a|1|-b"},
		{onig, `[a-z&&[^b]]+`, "acbca", "ac|-b|ca"},
		{onig, `[[a-c][x-z]&&[^b]]+`, "axbyc", "ax|-b|yc"},
		{onig, `[^a[^bc]]`, "abcd", "-a|b|c|-d"},
		{onig, `[]a]+`, "]ab", "]a|-b"},
		{onig, `\p{Alpha}+|\p{Space}`, "aé1 ", "aé|-1| "},
		{onig, `[[:punct:]]+`, "a$.+b", "-a|$.+|-b"},
		{onig, `\p{Punct}`, "a$.+b", "-a$|.|-+b"},
		{onig, `(?i:'ss)`, "x'SSy", "-x|'SS|-y"},
		{onig, `\x{e9}\u00e9`, "aéé", "-a|éé"},
		{onig, `a\Z`, "ba\n", "-b|a|-\n"},
		{onig, `\R`, "a\r\nb", "-a|\r\n|-b"},
		{onig, `\b`, "ab cd", "|-ab||- ||-cd|"},
		{onig, `\w+`, "a½_‿b-", "a½_‿b|--"},
		{onig, `(?<n>a)\k<n>`, "baa", "-b|aa"},
		{onig, `[\p{Han}]+`, "日本a", "日本|-a"},
		{rust, `\p{Script=Han}+|\p{L}+?`, "日本ab", "日本|a|b"},
		{rust, `[\p{Lu}\p{Lo}&&[^\p{Han}]]+`, "AB日C", "AB|-日|C"},
		{rust, `(?P<x>\s++$)`, "a  \n", "-a|  \n"},
		{onig, `a{x}`, "a{x}", "a{x}"},
		{onig, `\xff`, "\xff\xfeÿ", "-\xff\xfe|ÿ"},
	} {
		p, err := compile(c.regex, c.d)
		if err != nil {
			t.Errorf("%s: %v", c.regex, err)
			continue
		}
		if got := strings.Join(cuts(t, p, c.text), "|"); got != c.want {
			t.Errorf("%s on %q: got %q, want %q", c.regex, c.text, got, c.want)
		}
	}
}

func TestPatternsRefused(t *testing.T) {
	for _, c := range []struct {
		d     dialect
		regex string
		want  error
	}{
		{onig, `[a`, ErrFormat}, {onig, `(a`, ErrUnsupported}, {onig, `a)`, ErrFormat}, {onig, `\`, ErrFormat},
		{onig, `[b-a]`, ErrFormat}, {onig, `a\K`, ErrUnsupported}, {onig, `\p{Nonsense}`, ErrUnsupported},
		{onig, `(?x) a`, ErrUnsupported}, {rust, `[a--b]`, ErrUnsupported}, {onig, `\g<a>`, ErrUnsupported},
		{onig, `(?(1)a|b)`, ErrUnsupported}, {onig, "\xff", ErrFormat}, {onig, `\x{110000}`, ErrFormat},
		{onig, strings.Repeat("(", 300), ErrFormat}, {onig, strings.Repeat("[", 300), ErrFormat},
		{onig, strings.Repeat("a", maxPattern+1), ErrFormat},
	} {
		if _, err := compile(c.regex, c.d); !errors.Is(err, c.want) {
			t.Errorf("%.30q: got %v, want %v", c.regex, err, c.want)
		} else if len(err.Error()) > 1000 {
			t.Errorf("%.30q: a message of %d bytes", c.regex, len(err.Error()))
		}
	}
}

// TestHostilePattern: what backtracks without end is an error.
func TestHostilePattern(t *testing.T) {
	p, err := compile(`(a|aa|aaa)+$`, onig)
	if err != nil {
		t.Fatal(err)
	}
	p.wait = 1
	err = p.each(strings.Repeat("a", 100)+"!", func(int, int, bool) {})
	if !errors.Is(err, ErrPattern) || len(err.Error()) > 200 {
		t.Errorf("got %v", err)
	}
}

// TestFork: a pattern that gives up spoils neither the text nor other requests.
func TestFork(t *testing.T) {
	text := strings.Repeat("a", 100) + "!"
	whole, err := build(spec{modelSpec: modelSpec{kind: wordLevelModel}, tokens: []token{{text, plain}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := compile(`(a|aa|aaa)+$`, onig)
	if err != nil {
		t.Fatal(err)
	}
	p.wait = 1
	whole.preTokenizers = []preTokenizer{isolated.by(patternCutter(p), false)}
	one, other := whole.Fork(), whole.Fork()
	if got := one.Encode(text); !slices.Equal(got, []int32{0}) || !errors.Is(one.Err(), ErrPattern) {
		t.Errorf("got %v, %v; want the text as one piece, and ErrPattern", got, one.Err())
	}
	if other.Encode("!"); other.Err() != nil || whole.Err() != nil {
		t.Errorf("others hear of it: %v, %v", other.Err(), whole.Err())
	}
	if whole.Encode(text); !errors.Is(whole.Err(), ErrPattern) {
		t.Errorf("got %v, want ErrPattern", whole.Err())
	}
}

// TestLongRuns: a long run of one class needs no memory for going back.
func TestLongRuns(t *testing.T) {
	p, err := compile(`[\p{L}&&[^\p{Han}]]+|\p{Han}+| +`, onig)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("é", 1<<17) + strings.Repeat("日", 1<<17) + strings.Repeat(" ", 1<<17)
	if got := len(cuts(t, p, text)); got != 3 {
		t.Errorf("got %d pieces, want 3", got)
	}
}

// TestEscapeSets goes through every code point of Unicode for the sets that the
// translation relies on.
func TestEscapeSets(t *testing.T) {
	var all strings.Builder
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if utf8.ValidRune(r) {
			all.WriteRune(r)
		}
	}
	in := func(r rune, tables ...*unicode.RangeTable) bool { return unicode.In(r, tables...) }
	is := func(r rune, c class) bool { return runeClass(r)&c != 0 }
	alpha := func(r rune) bool {
		return is(r, cLetter) || in(r, unicode.Nl, unicode.Other_Alphabetic) || is(r, cMark)
	}
	nd := func(r rune) bool { return is(r, cNumber) && !in(r, unicode.Nl, unicode.No) }
	for regex, want := range map[string]func(rune) bool{
		`\s`:      func(r rune) bool { return in(r, unicode.White_Space) },
		`\S`:      func(r rune) bool { return !in(r, unicode.White_Space) },
		`\d`:      nd,
		`[^\S\n]`: func(r rune) bool { return in(r, unicode.White_Space) && r != '\n' },
		`[^\W_]`: func(r rune) bool {
			return r != '_' && (alpha(r) || is(r, cMark) || nd(r) || in(r, unicode.Pc) || strings.ContainsRune("²³¹¼½¾", r))
		},
		`\p{L}`:        func(r rune) bool { return is(r, cLetter) },
		`[\P{L}\da-c]`: func(r rune) bool { return !is(r, cLetter) || 'a' <= r && r <= 'c' },
		`[\D\P{L}]`:    func(r rune) bool { return true },
		`[^\P{Han}]`:   func(r rune) bool { return is(r, cHan) },
		`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]`: func(r rune) bool { return is(r, cHead) && !is(r, cHan) },
	} {
		p, err := compile(regex+"+", onig)
		if err != nil {
			t.Fatal(err)
		}
		err = p.each(all.String(), func(start, end int, match bool) {
			for _, r := range all.String()[start:end] {
				if want(r) != match {
					t.Fatalf("%s: %U: got %v, want %v", regex, r, match, !match)
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestPatternOf(t *testing.T) {
	for _, p := range patterns() {
		for _, regex := range p.regex {
			if got, err := patternOf(regex); err != nil || got.name != p.name || got.re != nil {
				t.Errorf("%s: got %v, %v", p.name, got, err)
			}
		}
	}
	p, err := patternOf(`\s+|\S`)
	if err != nil || p.next != nil {
		t.Fatalf("got %v, %v", p, err)
	}
	if got := cuts(t, p, "a b"); !slices.Equal(got, []string{"a", " ", "b"}) {
		t.Errorf("got %q", got)
	}
}

// FuzzPattern compiles any expression and cuts any text with it: no crash, and
// the pieces are the text.
func FuzzPattern(f *testing.F) {
	for _, p := range patterns() {
		for _, regex := range p.regex {
			f.Add(regex, "I'll  go\r\n12345 日本", true)
		}
	}
	f.Add(`(?i)[[:alpha:]&&[^\p{Han}b-d]]{,3}+|\b|\x{41}(?<n>.)\k<n>`, "aAx\xffcc", false)
	f.Fuzz(func(t *testing.T, regex, text string, tik bool) {
		if len(regex) > 200 || len(text) > 200 {
			return
		}
		d := onig
		if tik {
			d = rust
		}
		p, err := compile(regex, d)
		if err != nil {
			return
		}
		p.wait = 1e8
		at := 0
		err = p.each(text, func(start, end int, _ bool) {
			if start != at || end < start {
				t.Fatalf("%q: %q: piece [%d:%d] after %d", regex, text, start, end, at)
			}
			at = end
		})
		if err == nil && at != len(text) {
			t.Fatalf("%q: %q: stops at %d", regex, text, at)
		}
	})
}
