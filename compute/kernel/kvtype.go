package kernel

import (
	"fmt"
	"strings"
)

// KVType is how a block keeps keys and values. Every position is rounded when it
// is stored, by itself, so that what a query sees never depends on how its prompt
// was cut. Attention widens a tile to float32 and computes as with KVF32.
//
//	      bits per value
//	f32   32  as they are
//	f16   16  IEEE binary16
//	bf16  16  bfloat16
//	q8     8  integers, and 32 bits per position and head for step and lowest
//	q4     4  value (encode); keys are turned before (rotate)
type KVType uint8

// The types, the widest first.
const (
	KVF32 KVType = iota
	KVF16
	KVBF16
	KVQ8
	KVQ4
)

// KVTypes lists all types.
func KVTypes() []KVType { return []KVType{KVF32, KVF16, KVBF16, KVQ8, KVQ4} }

// String returns the name that UnmarshalText understands.
func (t KVType) String() string {
	switch t {
	case KVF32:
		return "f32"
	case KVF16:
		return "f16"
	case KVBF16:
		return "bf16"
	case KVQ8:
		return "q8"
	case KVQ4:
		return "q4"
	}
	return fmt.Sprintf("KVType(%d)", uint8(t))
}

// Valid reports whether t is one of KVTypes.
func (t KVType) Valid() bool { return t <= KVQ4 }

// MarshalText implements encoding.TextMarshaler.
func (t KVType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a name: f32, f16, bf16, q8 or q4.
func (t *KVType) UnmarshalText(text []byte) error {
	var names []string
	for _, k := range KVTypes() {
		if names = append(names, k.String()); k.String() == string(text) {
			*t = k
			return nil
		}
	}
	return fmt.Errorf("keys and values cannot be kept as %q, want one of %s", text, strings.Join(names, ", "))
}

// coded reports whether values are integers, and keys are turned.
func (t KVType) coded() bool { return t >= KVQ8 }

// bits is the size of a value.
func (t KVType) bits() int { return [...]int{32, 16, 16, 8, 4}[t] }

// width is the number of values kept for a head of dim values: integers go in
// groups of 16 bytes.
func (t KVType) width(dim int) int {
	switch t {
	case KVQ8:
		return (dim + 15) &^ 15
	case KVQ4:
		return (dim + 31) &^ 31
	}
	return dim
}

// RowBytes is the memory of one position's key, or value, of one head of dim
// values.
func (t KVType) RowBytes(dim int) int { return t.headWords(dim) * 4 / BlockLen }

// headWords is the size, in words of 4 bytes, of the K half, and of the V half, of
// one head of a block: the values, then BlockLen words if they are integers.
func (t KVType) headWords(dim int) int {
	n := t.width(dim) * BlockLen * t.bits() / 32
	if t.coded() {
		n += BlockLen
	}
	return n
}

// BlockWords is the size, in words of 4 bytes, of the K half, and of the V half, of
// a block of this type.
func (t KVType) BlockWords(h Heads) int { return h.KV * t.headWords(h.Dim) }
