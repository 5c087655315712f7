package tokenizer

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// normalizer rewrites text before it is cut into pieces.
type normalizer func(strand) strand

// readNormalizers reads the normalizer section: what it lists, in order.
func readNormalizers(n node) ([]normalizer, error) {
	if n.null() {
		return nil, nil
	}
	steps, err := n.steps("normalizers")
	if err != nil {
		return nil, err
	}
	var out []normalizer
	for _, s := range steps {
		f, err := readNormalizer(s)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// readNormalizer reads one step.
func readNormalizer(n node) (normalizer, error) {
	kind, err := n.kind()
	if err != nil {
		return nil, err
	}
	var bare struct {
		Type string `json:"type"`
	}
	simple := map[string]normalizer{
		"NFC": formOf(norm.NFC), "NFD": formOf(norm.NFD), "NFKC": formOf(norm.NFKC), "NFKD": formOf(norm.NFKD),
		"Lowercase": lowercase, "StripAccents": stripAccents, "Nmt": nmt, "ByteLevel": spellBytes,
	}
	if f, ok := simple[kind]; ok {
		return f, n.read(&bare)
	}
	switch kind {
	case "Strip":
		return readStripNormalizer(n)
	case "Replace":
		return readReplace(n)
	case "Prepend":
		var p struct {
			Type    string `json:"type"`
			Prepend string `json:"prepend"`
		}
		err := n.read(&p)
		return func(s strand) strand { return s.prepend(p.Prepend) }, err
	case "BertNormalizer":
		return readBert(n)
	case "Precompiled":
		return readPrecompiled(n)
	}
	return nil, n.unknown(kind, "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel",
		"Strip", "Replace", "Prepend", "BertNormalizer", "Precompiled", "Sequence")
}

// formOf brings text to one of Unicode's normal forms (UAX 15).
func formOf(f norm.Form) normalizer {
	return func(s strand) strand {
		switch {
		case f.IsNormalString(s.text):
			return s
		case s.from != nil || peculiar(s.text):
			return formByHand(f, s)
		}
		s.text = f.String(s.text)
		return s
	}
}

// lowercase maps each character by itself: the only one that becomes two is İ.
func lowercase(s strand) strand {
	return s.eachRune(func(r rune) (string, bool) {
		switch low := lower(r); {
		case r == 'İ':
			return "i̇", true
		case low != r:
			return string(low), true
		}
		return "", false
	})
}

// lower also knows the letters of Unicode 16 and 17, which Go's tables may lack.
func lower(r rune) rune {
	switch {
	case r < 0x1c89:
	case r == 0x1c89, r == 0xa7cc, r == 0xa7ce, r == 0xa7d2, r == 0xa7d4, r == 0xa7da:
		return r + 1
	case r == 0xa7cb:
		return 0x264
	case r == 0xa7dc:
		return 0x19b
	case 0x10d50 <= r && r <= 0x10d65:
		return r + 0x20
	case 0x16ea0 <= r && r <= 0x16eb8:
		return r + 0x1b
	}
	return unicode.ToLower(r)
}

// drop is a normalizer that leaves out the characters that gone names.
func drop(gone func(r rune) bool) normalizer {
	return func(s strand) strand {
		return s.eachRune(func(r rune) (string, bool) { return "", gone(r) })
	}
}

// stripAccents leaves out combining marks; it does not decompose.
func stripAccents(s strand) strand {
	return drop(func(r rune) bool { return r >= 0x300 && unicode.Is(libraryTables().mark, r) })(s)
}

// nmt cleans text as Google's NMT did: control characters go, and everything
// that is somehow white becomes a space.
func nmt(s strand) strand {
	return s.eachRune(func(r rune) (string, bool) {
		switch {
		case 1 <= r && r <= 8, r == 0xb, 0xe <= r && r <= 0x1f, r == 0x7f, r == 0x8f, r == 0x9f:
			return "", true
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200b <= r && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			return " ", true
		}
		return "", false
	})
}

// spellBytes writes bytes as ByteLevel spells them; see nameOf.
func spellBytes(s strand) strand {
	w := rewrite{in: s}
	for i := range len(s.text) {
		w.put(i+1, string(byteRune(s.text[i])))
	}
	return w.finish()
}

// readStripNormalizer reads a step that takes white space off the ends.
func readStripNormalizer(n node) (normalizer, error) {
	var p struct {
		Type  string `json:"type"`
		Left  bool   `json:"strip_left"`
		Right bool   `json:"strip_right"`
	}
	err := n.read(&p)
	return func(s strand) strand {
		i, j := 0, len(s.text)
		if p.Left {
			i = j - len(strings.TrimLeftFunc(s.text, unicode.IsSpace))
		}
		if p.Right {
			j = max(i, len(strings.TrimRightFunc(s.text, unicode.IsSpace)))
		}
		return s.sub(i, j)
	}, err
}

// readReplace reads a step that puts a text in the place of all matches.
func readReplace(n node) (normalizer, error) {
	var p struct {
		Type    string      `json:"type"`
		Pattern patternJSON `json:"pattern"`
		Content string      `json:"content"`
	}
	if err := n.read(&p); err != nil {
		return nil, err
	}
	find, err := p.Pattern.matcher(n.field(".pattern"))
	if err != nil {
		return nil, err
	}
	return func(s strand) strand {
		w := rewrite{in: s}
		find(s, func(start, end int, match bool) {
			if match {
				w.keep(start)
				w.put(end, p.Content)
			}
		})
		return w.finish()
	}, nil
}

// readBert reads BERT's normalizer (google-research/bert, tokenization.py).
func readBert(n node) (normalizer, error) {
	var p struct {
		Type      string `json:"type"`
		Clean     bool   `json:"clean_text"`
		Chinese   bool   `json:"handle_chinese_chars"`
		Accents   *bool  `json:"strip_accents"` // null: as lowercase says
		Lowercase bool   `json:"lowercase"`
	}
	if err := n.read(&p); err != nil {
		return nil, err
	}
	decompose := formOf(norm.NFD)
	return func(s strand) strand {
		if p.Clean {
			s = s.eachRune(bertClean)
		}
		if p.Chinese {
			s = s.eachRune(func(r rune) (string, bool) { return " " + string(r) + " ", bertChinese(r) })
		}
		if p.Accents == nil && p.Lowercase || p.Accents != nil && *p.Accents {
			s = decompose(s)
			s = drop(func(r rune) bool { return r >= 0x300 && unicode.Is(libraryTables().nonspacing, r) })(s)
		}
		if p.Lowercase {
			s = lowercase(s)
		}
		return s
	}, nil
}

// bertClean drops control characters and makes white space plain.
func bertClean(r rune) (string, bool) {
	switch {
	case r == '\t', r == '\n', r == '\r':
		return " ", true
	case ' ' <= r && r <= '~':
		return "", false
	case r == 0, r == utf8.RuneError, unicode.Is(libraryTables().gone, r):
		return "", true
	case unicode.IsSpace(r):
		return " ", true
	}
	return "", false
}

// bertChinese says which characters are words of their own.
func bertChinese(r rune) bool {
	return 0x4e00 <= r && r <= 0x9fff || 0x3400 <= r && r <= 0x4dbf || 0x20000 <= r && r <= 0x2a6df ||
		0x2a700 <= r && r <= 0x2b73f || 0x2b740 <= r && r <= 0x2b81f || 0x2b920 <= r && r <= 0x2ceaf ||
		0xf900 <= r && r <= 0xfaff || 0x2f800 <= r && r <= 0x2fa1f
}

// readPrecompiled reads SentencePiece's own normalisation; see charsmap.
func readPrecompiled(n node) (normalizer, error) {
	var p struct {
		Type string  `json:"type"`
		Map  *string `json:"precompiled_charsmap"`
	}
	if err := n.read(&p); err != nil || p.Map == nil {
		return func(s strand) strand { return s }, err
	}
	at := n.field(".precompiled_charsmap")
	data, err := base64.StdEncoding.DecodeString(*p.Map)
	if err != nil {
		return nil, at.errorf("%w: %w", ErrFormat, err)
	}
	table, err := newCharsmap(data)
	if err != nil {
		return nil, at.errorf("%w", err)
	}
	return func(s strand) strand {
		w := rewrite{in: s}
		table.each(s.text, func(part, to string) { w.put(w.done+len(part), to) })
		return w.finish()
	}, nil
}
