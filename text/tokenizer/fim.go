package tokenizer

import (
	"fmt"
	"math/rand/v2"
	"unicode/utf8"
)

// FIM writes text so that a model learns to fill a gap, or fills one
// (fill-in-the-middle, Bavarian et al. 2022, arXiv:2207.14255). Markers are the
// ids of three special tokens; text is encoded by Encode, so that it holds none.
// Safe for concurrent use.
type FIM struct {
	tok                    *Tokenizer
	Prefix, Suffix, Middle int32
}

// FIMOptions says how documents are made into gaps. The zero value is the default.
type FIMOptions struct {
	Rate float64 // share of the documents that get a gap; 0.5; negative: none
	SPM  float64 // share of those in the order suffix, prefix, middle; 0.5; negative: none
	Seed uint64  // of the choice and the cuts; 0
}

// fimNames lists the markers of known models: prefix, suffix, middle.
func fimNames() [][3]string {
	return [][3]string{
		{"<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"},    // Qwen2.5-Coder, CodeGemma
		{"<fim_prefix>", "<fim_suffix>", "<fim_middle>"},          // StarCoder, Granite
		{"<fim-prefix>", "<fim-suffix>", "<fim-middle>"},          // SantaCoder
		{"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"},          // DeepSeek-Coder
		{"▁<PRE>", "▁<SUF>", "▁<MID>"},                            // Code Llama
		{"[PREFIX]", "[SUFFIX]", "[MIDDLE]"},                      // Codestral
		{"<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"}, // GLM-4
	}
}

// FIM finds the markers by the names that known models give them, or by three
// names: prefix, suffix, middle. An error says what was looked for.
func (t *Tokenizer) FIM(names ...string) (*FIM, error) {
	known := fimNames()
	if len(names) > 0 {
		if len(names) != 3 {
			return nil, fmt.Errorf("tokenizer: fill in the middle: got %d names, want three: prefix, suffix, middle", len(names))
		}
		known = [][3]string{{names[0], names[1], names[2]}}
	}
	for _, n := range known {
		p, ok1 := t.Special(n[0])
		s, ok2 := t.Special(n[1])
		m, ok3 := t.Special(n[2])
		if ok1 && ok2 && ok3 {
			return &FIM{t, p, s, m}, nil
		}
	}
	return nil, fmt.Errorf("tokenizer: fill in the middle: no special tokens %q; reserved ones can be claimed for them", known)
}

// PSM is prefix, suffix, middle: what the model is to continue when middle is
// empty, a training example otherwise.
func (f *FIM) PSM(prefix, middle, suffix string) []int32 {
	out := append([]int32{f.Prefix}, f.tok.Encode(prefix)...)
	out = append(append(out, f.Suffix), f.tok.Encode(suffix)...)
	return append(append(out, f.Middle), f.tok.Encode(middle)...)
}

// SPM is suffix, prefix, middle, in the spelling that goes along with PSM: the
// prefix stands behind the middle's marker, so that it and the middle are one
// text, and its ids stay as they are when the middle grows.
func (f *FIM) SPM(prefix, middle, suffix string) []int32 {
	out := append([]int32{f.Prefix, f.Suffix}, f.tok.Encode(suffix)...)
	out = append(append(out, f.Middle), f.tok.Encode(prefix)...)
	return append(out, f.tok.Encode(middle)...)
}

// Document encodes the n-th document of a corpus: as it is, or with a gap
// between two places drawn at random, whole characters apart. What happens to a
// document depends on Seed, n and its text, and on nothing around it.
func (f *FIM) Document(doc string, n uint64, o FIMOptions) []int32 {
	rate, spm := share(o.Rate), share(o.SPM)
	rng := rand.New(rand.NewPCG(o.Seed, n))
	if rng.Float64() >= rate || len(doc) == 0 {
		return f.tok.Encode(doc)
	}
	swap := rng.Float64() < spm
	a, b := wholeChar(doc, rng.IntN(len(doc)+1)), wholeChar(doc, rng.IntN(len(doc)+1))
	a, b = min(a, b), max(a, b)
	if swap {
		return f.SPM(doc[:a], doc[a:b], doc[b:])
	}
	return f.PSM(doc[:a], doc[a:b], doc[b:])
}

// share reads an option: 0 means one half, less means none.
func share(v float64) float64 {
	if v == 0 {
		return 0.5
	}
	return max(0, v)
}

// wholeChar moves a cut to the front of the character that it falls into.
func wholeChar(s string, at int) int {
	for back := 0; back < utf8.UTFMax && at > 0 && at < len(s) && !utf8.RuneStart(s[at]); back++ {
		at--
	}
	return at
}
