package tokenizer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// oracle cuts text by a pattern's regular expression, compiled.
type oracle struct {
	p      *pattern
	digits bool // numbers are set apart first
}

// oracles has one for each spelling of a pattern.
func oracles(tb testing.TB, p *pattern) (list []oracle) {
	regexes := p.regex
	if len(regexes) == 0 {
		regexes = []string{gpt2Regex, gpt2Possessive}
	}
	for _, regex := range regexes {
		q, err := compile(regex, rust)
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, oracle{q, p.digits})
	}
	return list
}

func (o oracle) chunks(tb testing.TB, text string) []string {
	if !o.digits {
		return cuts(tb, o.p, text)
	}
	var out []string
	for from := 0; from < len(text); {
		n := strings.IndexFunc(text[from:], func(r rune) bool { return runeClass(r)&cNumber != 0 })
		if n < 0 {
			n = len(text) - from
		}
		out = append(out, cuts(tb, o.p, text[from:from+n])...)
		if from += n; from < len(text) {
			_, size := utf8.DecodeRuneInString(text[from:])
			out = append(out, text[from:from+size])
			from += size
		}
	}
	return out
}

func scan(p *pattern, text string) []string {
	var out []string
	for i := 0; i < len(text); {
		end := p.next(text, i)
		out = append(out, text[i:end])
		i = end
	}
	return out
}

// anyText is made of characters from all over Unicode, mostly of one script, with
// pieces of the alphabet between them.
func anyText(r *rand.Rand, scripts []*unicode.RangeTable, pieces []string) string {
	from := func(t *unicode.RangeTable) rune {
		n := r.IntN(len(t.R16) + len(t.R32))
		if n < len(t.R16) {
			e := t.R16[n]
			return rune(e.Lo) + rune(e.Stride)*rune(r.IntN(int((e.Hi-e.Lo)/e.Stride)+1))
		}
		e := t.R32[n-len(t.R16)]
		return rune(e.Lo) + rune(e.Stride)*rune(r.IntN(int((e.Hi-e.Lo)/e.Stride)+1))
	}
	script := scripts[r.IntN(len(scripts))]
	var b strings.Builder
	for range 1 + r.IntN(24) {
		switch r.IntN(4) {
		case 0:
			b.WriteString(pieces[r.IntN(len(pieces))])
		case 1:
			b.WriteRune(from(scripts[r.IntN(len(scripts))]))
		default:
			b.WriteRune(from(script))
		}
	}
	if r.IntN(4) == 0 { // cut characters in two
		text := b.String()
		return text[r.IntN(len(text)):]
	}
	return b.String()
}

// alphabet has characters of every kind that a pattern tells apart.
func alphabet() []string {
	return []string{"a", "S", "t", "l", "'", " ", "  ", "\n", "\r", "\t", "1", "23", "½", ".", "/", "-",
		"é", "Ж", "日", "々", "⺀", "〇", "\U0002ebf0", "\U00010d50", "\U00010d40", "ʰ", "ǅ", "\u0301", "ſ", "\u00a0", "\u2028", "🙂", "\u200d", "²", "'s", "'LL", "'ſ", "\ufffd"}
}

// TestScannersAgainstRegexp compares each scanner with its regular expression on
// every string of up to three pieces of the alphabet, on many longer ones, and on
// random text in all scripts, valid UTF-8 or not.
func TestScannersAgainstRegexp(t *testing.T) {
	pieces := alphabet()
	var list []string
	for _, a := range pieces {
		list = append(list, a)
		for _, b := range pieces {
			list = append(list, a+b)
			for _, c := range pieces {
				list = append(list, a+b+c)
			}
		}
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20_000 {
		var b strings.Builder
		for range 4 + r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		list = append(list, b.String())
	}
	var scripts []*unicode.RangeTable
	for _, tables := range []map[string]*unicode.RangeTable{unicode.Scripts, unicode.Categories} {
		for _, name := range slices.Sorted(maps.Keys(tables)) {
			if name != "Cs" && name != "C" && name != "Co" { // no surrogates
				scripts = append(scripts, tables[name])
			}
		}
	}
	for range 20_000 {
		list = append(list, anyText(r, scripts, pieces))
	}
	for _, p := range patterns() {
		for i, o := range oracles(t, p) {
			every := 1 + 4*i // another spelling gets a fifth of them
			for n := 0; n < len(list); n += every {
				if got, want := scan(p, list[n]), o.chunks(t, list[n]); !slices.Equal(got, want) {
					t.Fatalf("%s: %q: got %q, want %q", p.name, list[n], got, want)
				}
			}
		}
	}
}

// TestClasses goes through every code point of Unicode.
func TestClasses(t *testing.T) {
	added := map[rune]string{}
	for _, a := range additions {
		for r := a.from; r <= a.to; r++ {
			added[r] = a.category
		}
	}
	in := func(r rune, names ...string) bool {
		for _, name := range names {
			if strings.HasPrefix(added[r], name) || unicode.Is(unicode.Categories[name], r) {
				return true
			}
		}
		return false
	}
	for r := rune(0); r <= unicode.MaxRune; r++ {
		c := runeClass(r)
		for _, k := range []struct {
			name string
			set  class
			want bool
		}{
			{"letter", cLetter, in(r, "L")},
			{"number", cNumber, in(r, "N")},
			{"mark", cMark, in(r, "M")},
			{"han", cHan, unicode.Is(unicode.Han, r) || 0x2ebf0 <= r && r <= 0x2ee5d},
			{"space", cSpace, unicode.Is(unicode.White_Space, r)},
			{"head", cHead, in(r, "Lu", "Lt", "Lm", "Lo", "M")},
			{"tail", cTail, in(r, "Ll", "Lm", "Lo", "M")},
		} {
			if c&k.set != 0 != k.want {
				t.Fatalf("%U: %s: got %v, want %v", r, k.name, !k.want, k.want)
			}
		}
	}
}

func TestKnownChunks(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          []string
	}{
		{"gpt2", "I'm 12345  ok", []string{"I", "'m", " 12345", " ", " ok"}},
		{"gpt2", "I'M", []string{"I", "'", "M"}},
		{"cl100k", "1234567", []string{"123", "456", "7"}},
		{"cl100k", "I'M\n\n  x", []string{"I", "'M", "\n\n", " ", " x"}},
		{"qwen2", "1234", []string{"1", "2", "3", "4"}},
		{"qwen3.5", "e\u0301a \u0301", []string{"e\u0301a", " \u0301"}},
		{"tekken", "HelloWorld don't 12", []string{"Hello", "World", " don", "'t", " ", "1", "2"}},
		{"o200k", "HelloWorld don't/\n\nGo", []string{"Hello", "World", " don't", "/\n\n", "Go"}},
		{"gpt2-digits", "a  12", []string{"a", "  ", "1", "2"}},
		{"gpt2", "a\xff\xfe b", []string{"a", "\xff\xfe", " b"}},
	} {
		p, err := patternNamed(c.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(c.want, scan(p, c.text)); d != "" {
			t.Errorf("%s: %q (-want +got):\n%s", c.pattern, c.text, d)
		}
	}
}

func FuzzScanners(f *testing.F) {
	for _, a := range alphabet() {
		f.Add(a + " it'll  1234\r\n" + a)
	}
	f.Add("a\x80b\xe6\x97")
	f.Add("\u0301AB\u0301ab'S")
	list := patterns()
	var all [][]oracle
	for _, p := range list {
		all = append(all, oracles(f, p))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			return
		}
		for i, p := range list {
			chunks := scan(p, text)
			if strings.Join(chunks, "") != text || slices.Contains(chunks, "") {
				t.Fatalf("%s: %q: chunks %q", p.name, text, chunks)
			}
			for _, o := range all[i] {
				if want := o.chunks(t, text); !slices.Equal(chunks, want) {
					t.Fatalf("%s: %q: got %q, want %q", p.name, text, chunks, want)
				}
			}
		}
	})
}

func BenchmarkScan(b *testing.B) {
	text := readData(b, "text/wikitext2_valid.txt")
	for _, p := range patterns() {
		b.Run(p.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				for i := 0; i < len(text); {
					i = p.next(text, i)
				}
			}
		})
	}
}

func ExampleTokenizer_EncodeSpecial() {
	tok, err := Train(context.Background(), texts(), TrainOptions{VocabSize: 257, Special: []string{"<|end|>"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tok.Encode("hi<|end|>"))
	fmt.Println(tok.EncodeSpecial("hi<|end|>"))
	// Output:
	// [104 105 60 124 101 110 100 124 62]
	// [104 105 256]
}
