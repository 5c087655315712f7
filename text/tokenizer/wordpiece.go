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

	tokens *trie // finds the longest at once, where there is no prefix; nil
}

// newWordPiece prepares a model.
func newWordPiece(s *spec) (*wordPiece, error) {
	vocab, err := s.index()
	if err != nil {
		return nil, err
	}
	m := &wordPiece{vocab: vocab, unk: s.find(s.unk), prefix: s.prefix, longest: s.longest}
	var keys []trieKey
	for text, id := range vocab {
		if m.most = max(m.most, len(text)); text != "" {
			keys = append(keys, trieKey{text, id})
		}
	}
	if m.prefix == "" {
		m.tokens = newTrie(keys)
	}
	return m, nil
}

// next is the id of the longest token that piece[start:] begins with, and where
// it ends; -1: none. buf holds the prefix, and has room for a token.
func (m *wordPiece) next(piece string, start int, buf []byte) (id int32, end int) {
	if m.tokens != nil {
		n, id := m.tokens.longest(piece[start:])
		return id, start + n
	}
	end = min(len(piece), start+m.most)
	for end < len(piece) && !utf8.RuneStart(piece[end]) {
		end--
	}
	for end > start {
		id, ok := m.vocab[piece[start:end]]
		if start > 0 {
			id, ok = m.vocab[string(append(buf, piece[start:end]...))]
		}
		if ok {
			return id, end
		}
		_, n := utf8.DecodeLastRuneInString(piece[start:end])
		end -= n
	}
	return -1, end
}

func (m *wordPiece) encode(dst []int32, piece string, _ *dropout) []int32 {
	from := len(dst)
	bad := utf8.RuneCountInString(piece) > m.longest
	buf := append(make([]byte, 0, len(m.prefix)+m.most), m.prefix...)
	for start := 0; start < len(piece) && !bad; {
		id, end := m.next(piece, start, buf)
		bad = id < 0
		if !bad {
			dst = append(dst, id)
		}
		start = end
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
