package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"unsafe"
)

// vocabulary finds the token that a text is. Like [mergeTable] it is made to be
// small: a hash table of four bytes a place, at most half full, that leads to
// what tells texts of up to 15 bytes apart. Longer texts, of which there are few,
// are in a map. It is read by many goroutines at once.
type vocabulary struct {
	// places has ids, plus one, under bits of the hash; 0: empty.
	places []uint32
	shift  int        // hash bits that places is not indexed by
	maybe  sieve      // of all texts in places
	id     uint32     // the bits of a place that are an id
	keys   []shortKey // by id; zero for tokens that are not in places
	long   map[string]int32
}

// shortKey is the first eight bytes of a text, then the rest of it under its
// length in the highest byte: a text of up to 15 bytes and nothing else.
type shortKey [2]uint64

const shortText = 15

// newVocabulary copies a map with ids below n.
func newVocabulary(ids map[string]int32, n int) *vocabulary {
	size := bits.Len(uint(max(2*len(ids), 8) - 1))
	v := &vocabulary{places: make([]uint32, 1<<size), shift: 64 - size, maybe: newSieve(size), id: 1<<bits.Len(uint(n)) - 1,
		keys: make([]shortKey, n), long: map[string]int32{}}
	for text, id := range ids {
		if len(text) == 0 || len(text) > shortText {
			v.long[text] = id
			continue
		}
		v.keys[id] = keyOf(text)
		h := v.keys[id].hash()
		v.maybe.add(h)
		i := h >> v.shift
		for v.places[i] != 0 {
			i = (i + 1) & uint64(len(v.places)-1)
		}
		v.places[i] = uint32(h)&^v.id | uint32(id+1)
	}
	return v
}

// find returns the id of a text and whether it has one.
func (v *vocabulary) find(text string) (int32, bool) {
	if len(text) == 0 || len(text) > shortText {
		id, ok := v.long[text]
		return id, ok
	}
	key := keyOf(text)
	h := key.hash()
	if !v.maybe.has(h) {
		return 0, false
	}
	for i := h >> v.shift; ; i = (i + 1) & uint64(len(v.places)-1) {
		p := v.places[i]
		if p == 0 {
			return 0, false
		}
		if (p^uint32(h))&^v.id != 0 {
			continue
		}
		if id := int32(p&v.id) - 1; v.keys[id] == key {
			return id, true
		}
	}
}

// sieve has one bit for each quarter of a place of a hash table, which is set if a
// hash in the table begins with it: an eighth of the table in memory, which stays
// near, and most of what is not in the table needs nothing else.
type sieve struct {
	words []uint64
	shift int
}

// newSieve returns the sieve of a table of 1<<size places.
func newSieve(size int) sieve { return sieve{make([]uint64, 1<<max(size-4, 0)), 62 - size} }

func (s sieve) add(h uint64) {
	bit := h >> s.shift
	s.words[bit>>6] |= 1 << (bit & 63)
}

// has says false only of hashes that were not added.
func (s sieve) has(h uint64) bool {
	bit := h >> s.shift
	return s.words[bit>>6]>>(bit&63)&1 != 0
}

// hash mixes a key: the upper bits are the better ones, then the lower half.
func (k shortKey) hash() uint64 {
	h := k[0]*0x9e3779b97f4a7c15 ^ bits.RotateLeft64(k[1]*0xd6e8feb86659fd93, 32)
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

// keyOf packs a text of 1 to 15 bytes, with two reads that overlap.
func keyOf(text string) shortKey {
	s := unsafe.Slice(unsafe.StringData(text), len(text))
	n := len(s)
	length := uint64(n) << 56
	switch {
	case n >= 8:
		return shortKey{binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[n-8:])>>(8*(16-n)) | length}
	case n >= 4:
		low, high := uint64(binary.LittleEndian.Uint32(s)), uint64(binary.LittleEndian.Uint32(s[n-4:]))
		return shortKey{low | high<<(8*(n-4)), length}
	}
	return shortKey{uint64(s[0]) | uint64(s[n/2])<<8 | uint64(s[n-1])<<16, length}
}
