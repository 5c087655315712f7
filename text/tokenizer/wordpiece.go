package tokenizer

import "unicode/utf8"

// wordPiece takes the longest token that a word begins with, then the longest
// that the rest begins with, spelled with the prefix (Schuster and Nakajima 2012,
// as BERT does it). A word for which that does not work out is unknown.
type wordPiece struct {
	vocab   map[string]int32
	unk     int32 // -1: unknown words are left out
	prefix  string
	longest int // words of more characters are unknown
	most    int // bytes of the longest token
}

// newWordPiece prepares a model.
func newWordPiece(s *spec) (*wordPiece, error) {
	vocab, err := s.index()
	if err != nil {
		return nil, err
	}
	m := &wordPiece{vocab: vocab, unk: s.find(s.unk), prefix: s.prefix, longest: s.longest}
	for text := range vocab {
		m.most = max(m.most, len(text))
	}
	return m, nil
}

func (m *wordPiece) encode(dst []int32, piece string, _ *dropout) []int32 {
	from := len(dst)
	bad := utf8.RuneCountInString(piece) > m.longest
	buf := []byte(m.prefix)
	for start := 0; start < len(piece) && !bad; {
		end := min(len(piece), start+m.most)
		for end < len(piece) && !utf8.RuneStart(piece[end]) {
			end--
		}
		bad = true
		for end > start {
			name := piece[start:end]
			if start > 0 {
				buf = append(buf[:len(m.prefix)], name...)
				name = string(buf)
			}
			if id, ok := m.vocab[name]; ok {
				dst = append(dst, id)
				start, bad = end, false
				break
			}
			_, n := utf8.DecodeLastRuneInString(piece[start:end])
			end -= n
		}
	}
	switch {
	case !bad:
		return dst
	case m.unk < 0:
		return dst[:from]
	}
	return append(dst[:from], m.unk)
}

// wordLevel knows whole pieces only.
type wordLevel struct {
	vocab map[string]int32
	unk   int32 // -1: unknown pieces are left out
}

// newWordLevel prepares a model.
func newWordLevel(s *spec) (*wordLevel, error) {
	vocab, err := s.index()
	return &wordLevel{vocab, s.find(s.unk)}, err
}

func (m *wordLevel) encode(dst []int32, piece string, _ *dropout) []int32 {
	if id, ok := m.vocab[piece]; ok {
		return append(dst, id)
	}
	if m.unk < 0 {
		return dst
	}
	return append(dst, m.unk)
}
