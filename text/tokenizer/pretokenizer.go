package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// preTokenizer cuts a strand into pieces, which it appends to dst.
type preTokenizer func(dst []strand, s strand) []strand

// readPreTokenizers reads the pre_tokenizer section. With raw, the last step is a
// ByteLevel that leaves bytes as they are, since the model takes them so.
func readPreTokenizers(n node, raw bool) (out []preTokenizer, err error) {
	if n.null() {
		return nil, nil
	}
	steps, err := n.steps("pretokenizers")
	if err != nil {
		return nil, err
	}
	for i, s := range steps {
		f, err := readPreTokenizer(s, raw && i == len(steps)-1)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// readPreTokenizer reads one step.
func readPreTokenizer(n node, raw bool) (preTokenizer, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	var bare struct {
		Type string `json:"type"`
	}
	simple := map[string]preTokenizer{
		"BertPreTokenizer": cutBert,
		"Whitespace":       removed.by(scanWords, true),
		"WhitespaceSplit":  removed.by(runeCutter(unicode.IsSpace), false),
		"UnicodeScripts":   scriptRuns,
	}
	if f, ok := simple[kind]; ok {
		return f, n.read(&bare)
	}
	switch kind {
	case "ByteLevel":
		return readByteLevel(n, raw)
	case "Split":
		return readSplit(n)
	case "Metaspace":
		return readMetaspace(n)
	case "Digits", "Punctuation", "CharDelimiterSplit", "FixedLength":
		return readRuneSplit(n, kind)
	}
	return nil, n.unknown(kind, "ByteLevel", "Split", "Metaspace", "Digits", "Punctuation", "CharDelimiterSplit", "FixedLength",
		"BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts", "Sequence")
}

// by is a pre-tokenizer that cuts by c.
func (b behavior) by(c cutter, invert bool) preTokenizer {
	return func(dst []strand, s strand) []strand { return b.cut(dst, s, c, invert) }
}

// byteLevelJSON is ByteLevel as a pre-tokenizer, decoder or post-processor. The
// regular expression is used unless a file says otherwise: old files do not
// have the field.
type byteLevelJSON struct {
	Type        string `json:"type"`
	PrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets bool   `json:"trim_offsets"` // offsets only
	UseRegex    *bool  `json:"use_regex,omitempty"`
}

// regex says whether text is cut by GPT-2's pattern.
func (b byteLevelJSON) regex() bool { return b.UseRegex == nil || *b.UseRegex }

// readByteLevel reads GPT-2's step: a space in front, its pattern, and each byte
// as a printable character, unless raw.
func readByteLevel(n node, raw bool) (preTokenizer, error) {
	var b byteLevelJSON
	if err := n.read(&b); err != nil {
		return nil, err
	}
	cut := isolated.by(scannerCutter(nextGPT2), false)
	return func(dst []strand, s strand) []strand {
		if b.PrefixSpace && !strings.HasPrefix(s.text, " ") {
			s = s.prepend(" ")
		}
		from := len(dst)
		if b.regex() {
			dst = cut(dst, s)
		} else {
			dst = append(dst, s)
		}
		for i := from; i < len(dst) && !raw; i++ {
			dst[i] = spellBytes(dst[i])
		}
		return dst
	}, nil
}

// scannerCutter cuts by a scanner, which covers all of a text.
func scannerCutter(next func(s string, i int) int) cutter {
	return func(s strand, yield func(start, end int, match bool)) {
		for i := 0; i < len(s.text); {
			end := next(s.text, i)
			yield(i, end, true)
			i = end
		}
	}
}

// splitJSON cuts text at the matches of a pattern.
type splitJSON struct {
	Type     string      `json:"type"`
	Pattern  patternJSON `json:"pattern"`
	Behavior behavior    `json:"behavior"`
	Invert   bool        `json:"invert"`
}

func readSplit(n node) (preTokenizer, error) {
	var p splitJSON
	if err := n.read(&p); err != nil {
		return nil, err
	}
	if err := p.Behavior.check(n); err != nil {
		return nil, err
	}
	c, err := p.Pattern.matcher(n.field(".pattern"))
	if err != nil {
		return nil, err
	}
	return p.Behavior.by(c, p.Invert), nil
}

// check refuses behaviors that there are none of.
func (b behavior) check(n node) error {
	if !b.known() {
		return n.field(".behavior").errorf("%q: %w; want one of %s, %s, %s, %s, %s", string(b), ErrUnsupported,
			isolated, removed, contiguous, withPrevious, withNext)
	}
	return nil
}

// readMetaspace reads SentencePiece's step: spaces become a visible character,
// one is put in front, and text is cut in front of each.
func readMetaspace(n node) (preTokenizer, error) {
	m, err := parseMetaspace(n)
	if err != nil {
		return nil, err
	}
	mark := string(rune(m.Replacement))
	cut := withNext.by(runeCutter(func(r rune) bool { return r == rune(m.Replacement) }), false)
	return func(dst []strand, s strand) []strand {
		w := rewrite{in: s}
		for i := range len(s.text) {
			if s.text[i] == ' ' {
				w.keep(i)
				w.put(i+1, mark)
			}
		}
		front := m.Scheme == "always" || m.Scheme == "first" && s.begins()
		s = w.finish()
		if front && !strings.HasPrefix(s.text, mark) {
			s = s.prepend(mark)
		}
		if *m.Split {
			return cut(dst, s)
		}
		return append(dst, s)
	}, nil
}

// metaspaceJSON is Metaspace as a pre-tokenizer or decoder.
type metaspaceJSON struct {
	Type        string    `json:"type"`
	Replacement character `json:"replacement"`
	PrefixSpace *bool     `json:"add_prefix_space"` // how older files say "always" or "never"
	Scheme      string    `json:"prepend_scheme"`
	Split       *bool     `json:"split"`
	Text        string    `json:"str_rep"` // of older files: the replacement again
}

// parseMetaspace fills in what older files do not say.
func parseMetaspace(n node) (m metaspaceJSON, err error) {
	m.Scheme, m.Split = "always", new(bool)
	*m.Split = true
	if err := n.read(&m); err != nil {
		return m, err
	}
	if m.Split == nil {
		m.Split = new(bool)
		*m.Split = true
	}
	if m.PrefixSpace != nil && !*m.PrefixSpace {
		m.Scheme = "never"
	}
	switch {
	case m.Replacement == 0:
		return m, n.errorf("%w: no replacement", ErrFormat)
	case m.Scheme != "always" && m.Scheme != "first" && m.Scheme != "never":
		return m, n.field(".prepend_scheme").errorf("%q: %w; want always, first or never", m.Scheme, ErrUnsupported)
	}
	return m, nil
}

// readRuneSplit reads the steps that cut by kinds of characters or by their number.
func readRuneSplit(n node, kind string) (preTokenizer, error) {
	p := struct {
		Type      string    `json:"type"`
		Single    bool      `json:"individual_digits"` // Digits
		Behavior  behavior  `json:"behavior"`          // Punctuation
		Delimiter character `json:"delimiter"`         // CharDelimiterSplit
		Length    int       `json:"length"`            // FixedLength
	}{Behavior: isolated, Length: 5}
	if err := n.read(&p); err != nil {
		return nil, err
	}
	switch kind {
	case "Digits":
		if p.Single {
			return isolated.by(runeCutter(isNumber), false), nil
		}
		return contiguous.by(runeCutter(isNumber), false), nil
	case "Punctuation":
		return p.Behavior.by(runeCutter(isPunct), false), p.Behavior.check(n)
	case "CharDelimiterSplit":
		return removed.by(runeCutter(func(r rune) bool { return r == rune(p.Delimiter) }), false), nil
	}
	if p.Length < 1 {
		return nil, n.field(".length").errorf("got %d, want at least 1: %w", p.Length, ErrFormat)
	}
	return func(dst []strand, s strand) []strand {
		start, count := 0, 0
		for i := range s.text {
			if count == p.Length {
				dst = append(dst, s.sub(start, i))
				start, count = i, 0
			}
			count++
		}
		return append(dst, s.sub(start, len(s.text)))
	}, nil
}

// cutBert cuts at white space, which it drops, and sets punctuation apart.
func cutBert(dst []strand, s strand) []strand {
	start := 0
	add := func(end int) {
		if start < end {
			dst = append(dst, s.sub(start, end))
		}
		start = end
	}
	for i := 0; i < len(s.text); {
		r, n := utf8.DecodeRuneInString(s.text[i:])
		switch {
		case unicode.IsSpace(r):
			add(i)
			start = i + n
		case isPunct(r):
			add(i)
			add(i + n)
		}
		i += n
	}
	add(len(s.text))
	return dst
}

// isPunct is Unicode's punctuation and all of ASCII's symbols.
func isPunct(r rune) bool {
	if r < utf8.RuneSelf {
		return '!' <= r && r <= '/' || ':' <= r && r <= '@' || '[' <= r && r <= '`' || '{' <= r && r <= '~'
	}
	return unicode.Is(libraryTables().punct, r)
}

// isNumber is \p{N}.
func isNumber(r rune) bool {
	if r < utf8.RuneSelf {
		return '0' <= r && r <= '9'
	}
	return unicode.Is(libraryTables().number, r)
}

// isWord is \w of Rust's regex crate (UTS 18).
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return 'a' <= r|0x20 && r|0x20 <= 'z' || '0' <= r && r <= '9' || r == '_'
	}
	return unicode.Is(libraryTables().word, r)
}

// scanWords finds \w+|[^\w\s]+.
func scanWords(in strand, yield func(start, end int, match bool)) {
	const none, word, other, space = 0, 1, 2, 3
	s, start, now := in.text, 0, none
	for i, r := range s {
		kind := other
		switch {
		case isWord(r):
			kind = word
		case unicode.IsSpace(r):
			kind = space
		}
		if kind != now && i > start {
			yield(start, i, now != space)
			start = i
		}
		now = kind
	}
	if start < len(s) {
		yield(start, len(s), now != space)
	}
}

// scriptRuns cuts where the script of the text changes, as SentencePiece does in
// training: Hiragana and Katakana count as Han, spaces and characters without a
// script as whatever stands in front. In front of the first script they are lost.
func scriptRuns(dst []strand, s strand) []strand {
	start, last := -1, ""
	for i, r := range s.text {
		now := scriptOf(r)
		if now == anyScript || now == last {
			continue
		}
		if start >= 0 {
			dst = append(dst, s.sub(start, i))
		}
		start, last = i, now
	}
	if start >= 0 {
		dst = append(dst, s.sub(start, len(s.text)))
	}
	return dst
}

const anyScript = "Any"

// scriptOf is the name of a character's script.
func scriptOf(r rune) string {
	switch {
	case r == ' ':
		return anyScript
	case r == 0x30fc, 0x4e00 <= r && r <= 0x9fd5:
		return "Han"
	case 'a' <= r|0x20 && r|0x20 <= 'z':
		return "Latin"
	case unicode.Is(libraryTables().anyScript, r):
		return anyScript
	case r == 0x953, r == 0x954: // accents that belong to no script since version 12
		return "Devanagari"
	}
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			if name == "Hiragana" || name == "Katakana" {
				return "Han"
			}
			return name
		}
	}
	return anyScript
}
