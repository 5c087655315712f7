package tokenizer

import (
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// bpe is byte-pair encoding (Sennrich et al. 2016): a piece starts as bytes or
// characters, and neighbours are merged by rank.
type bpe struct {
	table  *mergeTable
	vocab  *vocabulary     // tokens that text is made of
	sure   []atomic.Uint32 // a bit for each id: merging the token's text gives the token
	bytes  [256]int32      // ids of bytes: all of a byte-level piece, or byte fallback; -1 none
	level  bool            // pieces are bytes
	whole  bool            // a piece that is a token is not merged
	back   bool            // byte fallback
	fuse   bool            // neighbouring unknowns are one
	unk    int32           // for what the vocabulary lacks; -1: it is left out
	prefix string
	suffix string
	parted bool // no token holds ▁ behind another character: no merge crosses there
}

// newBPE prepares a model.
func newBPE(s *spec, level bool) (*bpe, error) {
	m := &bpe{level: level, whole: s.whole, back: s.byteful, fuse: s.fuse, prefix: s.prefix, suffix: s.suffix,
		unk: s.find(s.unk)}
	m.bytes = s.byteIDs(level)
	ids, err := s.index()
	if err != nil {
		return nil, err
	}
	m.vocab = newVocabulary(ids, len(s.tokens))
	m.sure = make([]atomic.Uint32, len(s.tokens)/32+1)
	m.parted = !level && m.apart(s)
	m.table = newMergeTable(s.merges)
	return m, nil
}

// apart says whether text can be divided in front of each run of ▁.
func (m *bpe) apart(s *spec) bool {
	if _, ok := m.vocab.find(spmSpace); !ok || m.prefix != "" || m.suffix != "" || m.whole {
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

// chunk appends the ids of text that merges do not leave. Most chunks are a token
// as they stand; whether merging its own text leads to it is found out when it is
// first seen.
func (m *bpe) chunk(dst []int32, chunk string, drop *dropout) []int32 {
	from := len(dst)
	if drop != nil {
		dst = m.symbols(dst, chunk)
		return dst[:from+len(m.table.applyHeap(dst[from:], drop))]
	}
	id, ok := m.vocab.find(chunk)
	if ok && (m.whole || m.sure[id/32].Load()>>(id%32)&1 != 0) {
		return append(dst, id)
	}
	dst = m.symbols(dst, chunk)
	dst = dst[:from+len(m.table.apply(dst[from:]))]
	if ok && len(dst) == from+1 && dst[from] == id {
		m.sure[id/32].Or(1 << (id % 32))
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
		if id, ok := m.vocab.find(name); ok {
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
