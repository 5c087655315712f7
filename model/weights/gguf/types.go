package gguf

import "fmt"

// Type is how a tensor's values are stored, by ggml's numbers (enum ggml_type).
type Type uint32

// The types in common use; String knows the others.
const (
	F32    Type = 0
	F16    Type = 1
	Q4_0   Type = 2
	Q4_1   Type = 3
	Q5_0   Type = 6
	Q5_1   Type = 7
	Q8_0   Type = 8
	Q2_K   Type = 10
	Q3_K   Type = 11
	Q4_K   Type = 12
	Q5_K   Type = 13
	Q6_K   Type = 14
	IQ4_NL Type = 20
	IQ4_XS Type = 23
	BF16   Type = 30
	MXFP4  Type = 39
)

// layout is a type's name, how many values share a block, and a block's bytes.
type layout struct {
	name          string
	values, bytes int
}

// layouts holds, by number, the types that ggml stores in files. Gaps are types
// that it took back, or uses in memory only.
func layouts() [42]layout {
	return [...]layout{
		F32: {"F32", 1, 4}, F16: {"F16", 1, 2}, BF16: {"BF16", 1, 2}, 28: {"F64", 1, 8},
		24: {"I8", 1, 1}, 25: {"I16", 1, 2}, 26: {"I32", 1, 4}, 27: {"I64", 1, 8},
		Q4_0: {"Q4_0", 32, 18}, Q4_1: {"Q4_1", 32, 20}, Q5_0: {"Q5_0", 32, 22}, Q5_1: {"Q5_1", 32, 24}, Q8_0: {"Q8_0", 32, 34},
		Q2_K: {"Q2_K", 256, 84}, Q3_K: {"Q3_K", 256, 110}, Q4_K: {"Q4_K", 256, 144}, Q5_K: {"Q5_K", 256, 176}, Q6_K: {"Q6_K", 256, 210},
		16: {"IQ2_XXS", 256, 66}, 17: {"IQ2_XS", 256, 74}, 18: {"IQ3_XXS", 256, 98}, 19: {"IQ1_S", 256, 50}, 21: {"IQ3_S", 256, 110},
		22: {"IQ2_S", 256, 82}, 29: {"IQ1_M", 256, 56}, IQ4_NL: {"IQ4_NL", 32, 18}, IQ4_XS: {"IQ4_XS", 256, 136},
		34: {"TQ1_0", 256, 54}, 35: {"TQ2_0", 256, 66}, MXFP4: {"MXFP4", 32, 17}, 40: {"NVFP4", 64, 36}, 41: {"Q1_0", 128, 18},
	}
}

// layout finds a type, if it is known.
func (t Type) layout() (layout, bool) {
	all := layouts()
	if int64(t) >= int64(len(all)) || all[t].values == 0 {
		return layout{}, false
	}
	return all[t], true
}

// String is ggml's name.
func (t Type) String() string {
	if l, ok := t.layout(); ok {
		return l.name
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// Block is how many neighbouring values of a row are stored together, and in
// how many bytes; zeros for a type that is not known.
func (t Type) Block() (values, bytes int) {
	l, _ := t.layout()
	return l.values, l.bytes
}
