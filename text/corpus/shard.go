package corpus

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sort"
)

// Layout of a shard, docs/format/shard.md. Everything is little-endian.
const (
	shardMagic   = "WEFTSHRD"
	shardVersion = 1
	headerLen    = 160
)

// header is the fixed part of a shard as it lies in the file.
type header struct {
	Magic     [8]byte
	Version   uint32
	Width     uint32 // bytes per id: 2 or 4
	IDs       uint64 // ids in the shard
	Docs      uint64
	TextBytes uint64 // bytes of text that the ids stand for
	Vocab     uint32
	Begin     uint32   // 1 + id of the marker in front of each document; 0 none
	Tokenizer [64]byte // hash as text, padded with zeros
	TextSum   [32]byte // SHA-256 of the documents, each behind its length
	BodySum   uint32   // CRC-32C of everything behind the header
	HeaderSum uint32   // CRC-32C of the bytes above
	_         [8]byte
}

// shard is one parsed shard: views into its bytes, nothing copied.
type shard struct {
	header
	name    string
	ids     []byte // IDs * Width
	offsets []byte // (Docs+1) * 8: first id of each document, then IDs
	lens    []byte // Vocab * 2: bytes of text per token
	release func() error
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// pad8 rounds up, so that offsets are aligned in the map.
func pad8(n uint64) uint64 { return (n + 7) &^ 7 }

// parseShard checks everything that later reads rely on: sizes against the
// data, sums, the order of offsets and the range of every id.
func parseShard(name string, data []byte) (*shard, error) {
	s := &shard{name: name}
	if len(data) < headerLen {
		return nil, s.bad("%d bytes, want at least a header of %d", len(data), headerLen)
	}
	if _, err := binary.Decode(data, binary.LittleEndian, &s.header); err != nil {
		return nil, s.bad("%v", err)
	}
	switch sum := crc32.Checksum(data[:headerLen-12], castagnoli); {
	case string(s.Magic[:]) != shardMagic:
		return nil, s.bad("it begins with %q, want %q: not a shard", s.Magic[:], shardMagic)
	case s.Version != shardVersion:
		return nil, s.bad("format version %d, want %d", s.Version, shardVersion)
	case sum != s.HeaderSum:
		return nil, s.bad("header checksum %08x, want %08x", sum, s.HeaderSum)
	case s.Width != 2 && s.Width != 4:
		return nil, s.bad("%d bytes per id, want 2 or 4", s.Width)
	}
	if s.Begin > s.Vocab {
		return nil, s.bad("documents begin with id %d, outside the vocabulary of %d", s.Begin-1, s.Vocab)
	}
	// Each count alone is bounded by the file before it is multiplied.
	size := uint64(len(data))
	if s.IDs > size || s.Docs >= size || uint64(s.Vocab) > size {
		return nil, s.bad("%d bytes cannot hold %d ids, %d documents and %d tokens: was it cut short?", size, s.IDs, s.Docs, s.Vocab)
	}
	idBytes, offBytes, lenBytes := s.IDs*uint64(s.Width), (s.Docs+1)*8, uint64(s.Vocab)*2
	if want := headerLen + pad8(idBytes) + offBytes + lenBytes; size != want {
		return nil, s.bad("%d bytes, want %d: was it cut short?", size, want)
	}
	if sum := crc32.Checksum(data[headerLen:], castagnoli); sum != s.BodySum {
		return nil, s.bad("checksum %08x, want %08x", sum, s.BodySum)
	}
	body := data[headerLen:]
	s.ids, body = body[:idBytes], body[pad8(idBytes):]
	s.offsets, s.lens = body[:offBytes], body[offBytes:]
	return s, s.check()
}

// check walks offsets and ids once.
func (s *shard) check() error {
	// Every document has an id, so offsets rise strictly; d = Docs is the end.
	for d, prev := 0, int64(-1); d <= int(s.Docs); d++ {
		at := s.offset(d)
		if at <= prev || d == 0 && at != 0 || d == int(s.Docs) && uint64(at) != s.IDs {
			return s.bad("document %d begins at id %d, behind %d, of %d", d, at, prev, s.IDs)
		}
		prev = at
	}
	for i := range int64(s.IDs) {
		if id := s.id(i); uint32(id) >= s.Vocab {
			return s.bad("id %d at %d is outside the vocabulary of %d", id, i, s.Vocab)
		}
	}
	return nil
}

// bad is an error that names the shard.
func (s *shard) bad(format string, args ...any) error {
	return fmt.Errorf("corpus: %s: %w: %s", s.name, ErrCorrupt, fmt.Sprintf(format, args...))
}

// id returns id number i of the shard; check has bounded it by the vocabulary.
func (s *shard) id(i int64) int32 {
	if s.Width == 2 {
		return int32(binary.LittleEndian.Uint16(s.ids[2*i:]))
	}
	return int32(binary.LittleEndian.Uint32(s.ids[4*i:]))
}

// offset is the first id of document d; of d = Docs, the end.
func (s *shard) offset(d int) int64 { return int64(binary.LittleEndian.Uint64(s.offsets[8*d:])) }

// pairs is the number of predictions before document d: one less than ids per
// document.
func (s *shard) pairs(d int) int64 { return s.offset(d) - int64(d) }

// find returns the document that holds prediction p.
func (s *shard) find(p int64) int {
	return sort.Search(int(s.Docs), func(d int) bool { return s.pairs(d+1) > p })
}

// piece appends n predictions of document doc, from offset on. A later piece
// begins as the document does: the marker stands in for its first input, so
// that a model never meets a text without it, nor does serving.
func (s *shard) piece(b *Batch, doc int, offset, n int64) {
	b.Docs = append(b.Docs, Range{Row: len(b.IDs), Len: int(n)})
	first := s.offset(doc) + offset
	id := s.id(first)
	if offset > 0 && s.Begin > 0 {
		id = int32(s.Begin - 1)
	}
	for i := range n {
		b.IDs = append(b.IDs, id)
		id = s.id(first + i + 1)
		b.Targets = append(b.Targets, id)
		b.Bytes += s.textLen(id)
	}
	b.Counted += int(n)
}

// textLen is how many bytes of text a token stands for; markers stand for none.
func (s *shard) textLen(id int32) int64 {
	return int64(binary.LittleEndian.Uint16(s.lens[2*id:]))
}

// tokenizer is the hash of the tokenizer that made the shard.
func (s *shard) tokenizer() string { return string(bytes.TrimRight(s.Tokenizer[:], "\x00")) }

// builder collects documents and writes a shard.
type builder struct {
	h       header
	ids     []byte
	offsets []byte
	lens    []byte // shared by all shards of a set
	sum     textSum
}

// newBuilder starts a shard; lens is the table of token lengths in bytes.
func newBuilder(tok Encoder, begin []int32, lens []byte) *builder {
	b := &builder{lens: lens, sum: newTextSum()}
	copy(b.h.Magic[:], shardMagic)
	b.h.Version, b.h.Width, b.h.Vocab = shardVersion, 4, uint32(tok.VocabSize())
	if tok.VocabSize() <= 1<<16 {
		b.h.Width = 2
	}
	copy(b.h.Tokenizer[:], tok.Hash())
	for _, id := range begin {
		b.h.Begin = uint32(id) + 1
	}
	return b
}

// add appends one document, which has at least one id.
func (b *builder) add(text string, ids []int32) {
	b.offsets = binary.LittleEndian.AppendUint64(b.offsets, b.h.IDs)
	b.ids = slices.Grow(b.ids, len(ids)*int(b.h.Width))
	for _, id := range ids {
		if b.h.Width == 2 {
			b.ids = binary.LittleEndian.AppendUint16(b.ids, uint16(id))
		} else {
			b.ids = binary.LittleEndian.AppendUint32(b.ids, uint32(id))
		}
	}
	b.h.IDs += uint64(len(ids))
	b.h.Docs++
	b.h.TextBytes += uint64(len(text))
	b.sum.add(text)
}

// parts returns the pieces of the finished file, header first.
func (b *builder) parts() [][]byte {
	pad := make([]byte, pad8(uint64(len(b.ids)))-uint64(len(b.ids)))
	offsets := binary.LittleEndian.AppendUint64(slices.Clone(b.offsets), b.h.IDs)
	body := [][]byte{b.ids, pad, offsets, b.lens}
	h := b.h
	h.TextSum = b.sum.sum()
	for _, p := range body {
		h.BodySum = crc32.Update(h.BodySum, castagnoli, p)
	}
	head, err := binary.Append(nil, binary.LittleEndian, h)
	if err != nil {
		panic(err) // the struct has a fixed size
	}
	h.HeaderSum = crc32.Checksum(head[:headerLen-12], castagnoli)
	head, _ = binary.Append(nil, binary.LittleEndian, h)
	return append([][]byte{head}, body...)
}
