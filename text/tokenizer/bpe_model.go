package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// bpe is byte-pair encoding (Sennrich et al. 2016): a piece starts as bytes or
// characters, and neighbours are merged by rank.
type bpe struct {
	table  *mergeTable
	vocab  map[string]int32 // tokens that text is made of; nil when never asked
	bytes  [256]int32       // ids of bytes: all of a byte-level piece, or byte fallback; -1 none
	level  bool             // pieces are bytes
	whole  bool             // a piece that is a token is not merged
	back   bool             // byte fallback
	fuse   bool             // neighbouring unknowns are one
	unk    int32            // for what the vocabulary lacks; -1: it is left out
	prefix string
	suffix string
	parted bool // no token holds ▁ behind another character: no merge crosses there
	cache  *cache
}

// newBPE prepares a model.
func newBPE(s *spec, level bool) (*bpe, error) {
	m := &bpe{level: level, whole: s.whole, back: s.byteful, fuse: s.fuse, prefix: s.prefix, suffix: s.suffix,
		unk: s.find(s.unk), cache: newCache()}
	m.bytes = s.byteIDs(level)
	if !level || s.whole {
		vocab, err := s.index()
		if err != nil {
			return nil, err
		}
		m.vocab = vocab
	}
	m.parted = !level && m.apart(s)
	m.table = newMergeTable(len(s.merges))
	for rank, g := range s.merges {
		m.table.add(rank, g)
	}
	return m, nil
}

// apart says whether text can be divided in front of each run of ▁.
func (m *bpe) apart(s *spec) bool {
	if _, ok := m.vocab[spmSpace]; !ok || m.prefix != "" || m.suffix != "" || m.whole {
		return false
	}
	for _, t := range s.tokens {
		if t.kind == plain && strings.Contains(strings.TrimLeft(t.text, spmSpace), spmSpace) {
			return false
		}
	}
	return true
}

func (m *bpe) encode(dst []int32, piece string, drop *dropout) []int32 {
	if !m.parted {
		return m.chunk(dst, piece, drop)
	}
	for piece != "" {
		end := len(piece)
		word := strings.TrimLeft(piece, spmSpace)
		if i := strings.Index(word, spmSpace); i >= 0 {
			end = len(piece) - len(word) + i
		}
		dst = m.chunk(dst, piece[:end], drop)
		piece = piece[end:]
	}
	return dst
}

// chunk appends the ids of text that merges do not leave, from the cache if it can.
func (m *bpe) chunk(dst []int32, chunk string, drop *dropout) []int32 {
	from := len(dst)
	if drop != nil {
		dst = m.symbols(dst, chunk)
		return dst[:from+len(m.table.applyLong(dst[from:], drop))]
	}
	slot := m.cache.slot(chunk)
	if slot != nil {
		if c := slot.Load(); c != nil && c.text == chunk {
			return append(dst, c.ids...)
		}
	}
	if id, ok := m.vocab[chunk]; ok && m.whole {
		dst = append(dst, id)
	} else {
		dst = m.symbols(dst, chunk)
		dst = dst[:from+len(m.table.apply(dst[from:]))]
	}
	if slot != nil {
		m.cache.put(slot, chunk, dst[from:])
	}
	return dst
}

// symbols appends what merging starts from: one id per byte, or per character.
func (m *bpe) symbols(dst []int32, chunk string) []int32 {
	if !m.level {
		return m.characters(dst, chunk)
	}
	unknown := false
	for i := range len(chunk) {
		id := m.bytes[chunk[i]]
		switch {
		case id >= 0:
			unknown = false
		case m.unk < 0 || unknown && m.fuse:
			continue
		default:
			id, unknown = m.unk, true
		}
		dst = append(dst, id)
	}
	return dst
}

// characters looks each character up, with the prefix inside the chunk and the
// suffix at its end. One that is not there becomes its bytes, if all of them have
// tokens, otherwise unknown. The library notes an unknown down when a known
// character comes, or another unknown, or the end: behind bytes that follow it.
func (m *bpe) characters(dst []int32, chunk string) []int32 {
	pending := false
	for i := 0; i < len(chunk); {
		_, n := utf8.DecodeRuneInString(chunk[i:])
		name := chunk[i : i+n]
		if i > 0 && m.prefix != "" {
			name = m.prefix + name
		}
		if i += n; i == len(chunk) && m.suffix != "" {
			name += m.suffix
		}
		if id, ok := m.vocab[name]; ok {
			if pending {
				dst, pending = append(dst, m.unk), false
			}
			dst = append(dst, id)
			continue
		}
		if m.back && m.spelled(name) {
			for j := range len(name) {
				dst = append(dst, m.bytes[name[j]])
			}
			continue
		}
		if m.unk >= 0 {
			if pending && !m.fuse {
				dst = append(dst, m.unk)
			}
			pending = true
		}
	}
	if pending {
		dst = append(dst, m.unk)
	}
	return dst
}

// spelled says whether every byte of text has a token.
func (m *bpe) spelled(text string) bool {
	for i := range len(text) {
		if m.bytes[text[i]] < 0 {
			return false
		}
	}
	return true
}
