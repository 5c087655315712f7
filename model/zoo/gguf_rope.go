package zoo

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"weft/compute/op"
	"weft/model/llama"
	"weft/model/weights/gguf"
)

// Tensors that stretch the rotation: a factor for each pair of values that
// turns, which its frequency is divided by.
const (
	ropeFactors = "rope_freqs.weight"
	ropeLong    = "rope_factors_long.weight"
	ropeShort   = "rope_factors_short.weight"
)

// Keys of the rotation, behind the architecture.
const (
	ropeWidth    = "rope.dimension_count"
	ropeType     = "rope.scaling.type"
	ropeFactor   = "rope.scaling.factor"
	ropeOriginal = "rope.scaling.original_context_length"
	ropeAttn     = "rope.scaling.attn_factor"
	ropeYarnAttn = "rope.scaling.yarn_attn_factor"
	ropeFast     = "rope.scaling.yarn_beta_fast"
	ropeSlow     = "rope.scaling.yarn_beta_slow"
)

// ropeKeys lists them.
// rope.scale_linear is the old name of a linear factor.
func ropeKeys() []string {
	return []string{ropeWidth, ropeType, ropeFactor, ropeOriginal, ropeAttn, ropeYarnAttn, ropeFast, ropeSlow, "rope.scale_linear"}
}

// ropeConfig adds to a config.json what keys and tensors say of the rotation.
//
//	rope.scaling.type linear, yarn      the same type
//	rope_freqs                          longrope, short and long factors alike, nothing multiplied
//	rope_factors_long, _short           longrope
//
// Both sides are checked: a kind that is not known, or factors beside a kind that has
// none, are errors.
func (g *GGUF) ropeConfig(a arch, c map[string]any) error {
	n, err := g.ropeNumbers(a)
	if err != nil {
		return err
	}
	dim, known := c["head_dim"].(int64)
	if !known {
		dim = headDim(c)
	}
	// Fewer turning values than a head has: the rest of each head stays as it is.
	if w, ok := n[ropeWidth]; ok && int64(w) != dim {
		if w <= 0 || w > float64(dim) {
			return a.wrong(ropeWidth, w)
		}
		c["partial_rotary_factor"] = w / float64(dim)
	}
	if w := n[ropeOriginal]; w > 0 {
		c["original_max_position_embeddings"] = int64(w)
	}
	kind, _ := g.text(a.name + "." + ropeType)
	factor := max(n[ropeFactor], n["rope.scale_linear"])
	scaling := map[string]any{"factor": factor}
	switch {
	// Files from before there was a type have the factor alone.
	case kind == "linear" || kind == "" && factor > 1:
		scaling["rope_type"] = "linear"
		if attn := n[ropeAttn]; attn != 0 && attn != 1 {
			return a.wrong(ropeAttn, attn)
		}
	case kind == "yarn":
		scaling["rope_type"] = kind
		if v, ok := c["original_max_position_embeddings"]; ok { // nobody else has it inside
			scaling["original_max_position_embeddings"] = v
			delete(c, "original_max_position_embeddings")
		}
		for key, to := range map[string]string{ropeFast: "beta_fast", ropeSlow: "beta_slow", ropeYarnAttn: "attention_factor"} {
			if v := n[key]; v > 0 {
				scaling[to] = v
			}
		}
		// llama.cpp multiplies the factor with yarn's own, config.json gives the product.
		if v := n[ropeAttn]; v > 0 && v != 1 { // of what llama.cpp computes
			scaling["attention_factor"] = v * llama.YarnScale(factor, 1)
		}
	case kind == "" || kind == "none" || kind == "longrope":
		return g.factorConfig(a, c, kind, n[ropeAttn])
	default:
		return a.wrong(ropeType, kind)
	}
	for _, name := range []string{ropeFactors, ropeLong, ropeShort} {
		if _, ok := g.file.Tensor(name); ok {
			return fmt.Errorf("tensor %s: %w: the rotation has both factors and %s %s", name, ErrMetadata, ropeType, kind)
		}
	}
	c["rope_scaling"] = scaling
	return nil
}

// ropeNumbers are the numbers among ropeKeys that are there.
func (g *GGUF) ropeNumbers(a arch) (map[string]float64, error) {
	n := map[string]float64{}
	for _, key := range ropeKeys() {
		v, ok := g.file.Value(a.name + "." + key)
		if !ok || key == ropeType {
			continue
		}
		x, isInt := gguf.Int(v)
		f, isFloat := v.(float32)
		switch {
		case isInt:
			n[key] = float64(x)
		case isFloat:
			n[key], _ = shortFloat(f).Float64()
		default:
			return nil, a.wrong(key, v)
		}
	}
	return n, nil
}

// wrong complains about a key behind the architecture.
func (a arch) wrong(key string, v any) error {
	return fmt.Errorf("%s.%s: %w: it is %.80v, which may change the arithmetic", a.name, key, ErrMetadata, v)
}

// factorConfig is ropeConfig for factors of each pair, which lie in tensors.
// The number of factors is checked by the family, as that of any config.json.
func (g *GGUF) factorConfig(a arch, c map[string]any, kind string, attn float64) error {
	all, err := g.factors(ropeFactors)
	long, err2 := g.factors(ropeLong)
	short, err3 := g.factors(ropeShort)
	for _, err := range []error{err, err2, err3} {
		if err != nil {
			return err
		}
	}
	if slices.Max(append([]float64{1}, all...)) == 1 && slices.Min(append([]float64{1}, all...)) == 1 {
		all = nil // factors of one stretch nothing
	}
	if attn == 0 {
		attn = 1
	}
	switch {
	case all != nil && long != nil:
		return fmt.Errorf("tensors %s and %s: %w: the rotation has two lists of factors", ropeFactors, ropeLong, ErrMetadata)
	case all != nil:
		// One list for any length: longrope with two that are alike.
		long, short = all, all
	case long == nil && short == nil && kind != "longrope" && attn == 1:
		return nil
	case long == nil || short == nil:
		return fmt.Errorf("%s.%s: %w: it needs the tensors %s and %s", a.name, ropeType, ErrMetadata, ropeLong, ropeShort)
	}
	c["rope_scaling"] = map[string]any{"rope_type": "longrope", "long_factor": long, "short_factor": short, "attention_factor": attn}
	return nil
}

// factors reads a small tensor; nil: there is none.
func (g *GGUF) factors(name string) ([]float64, error) {
	t, ok := g.file.Tensor(name)
	if !ok {
		return nil, nil
	}
	// Half the width of a head is expected, some dozens; a hostile tensor gets no more
	// memory than this.
	narrow := make([]float32, min(t.Len(), 1<<16))
	if err := (ggufWeights{GGUF: g}).decode(t, narrow); err != nil {
		return nil, err
	}
	wide := make([]float64, len(narrow))
	for i, f := range narrow {
		// Frequencies are divided by them.
		if wide[i] = float64(f); !(f > 0) || math.IsInf(wide[i], 0) {
			return nil, fmt.Errorf("tensor %s: %w: factor %d is %g", name, ErrMetadata, i, f)
		}
	}
	return wide, nil
}

// ropeMeta is what a GGUF says of a rotation: keys, tensors of factors, and a
// note where that is not all.
// The keys come sorted, so that the same model gives the same bytes.
func ropeMeta(a arch, cfg llama.Config) (keys []gguf.KV, tensors []gguf.Source, note string, err error) {
	s, rounded := cfg.RopeScaling, false
	freqs, scale := cfg.Rotation()
	add := func(key string, v any) { keys = append(keys, gguf.KV{Key: a.name + "." + key, Value: v}) }
	cannot := func(why string) error {
		return fmt.Errorf("rope_scaling of type %s: a GGUF of %s cannot say it: %s", s.Type, a.name, why)
	}
	add(ropeWidth, uint32(2*len(freqs)))
	original := s.Original
	if original == 0 {
		original = cfg.OriginalMaxPositionEmbeddings
	}
	if original > 0 {
		add(ropeOriginal, uint32(original))
	}
	switch s.Type {
	case "":
	case "linear":
		add(ropeType, s.Type)
		add(ropeFactor, float32(s.Factor))
	case "yarn":
		if s.Truncate != nil && !*s.Truncate {
			return nil, nil, "", cannot("truncate is false")
		}
		add(ropeType, s.Type)
		add(ropeFactor, float32(s.Factor))
		for key, v := range map[string]float64{ropeFast: s.BetaFast, ropeSlow: s.BetaSlow} {
			if v > 0 {
				add(key, float32(v))
			}
		}
		// What the reader will compute by itself need not be said.
		usual := llama.YarnScale(s.Factor, 1)
		if attn := float32(scale / usual); scale != usual {
			add(ropeAttn, attn)
			// As our own reader sees it again: shortest digits, then float64.
			read, _ := shortFloat(attn).Float64()
			rounded = read*usual != scale
		}
	default:
		var more []gguf.KV
		// Other kinds of scaling, such as llama3's, are nothing but factors once they are
		// computed.
		if more, tensors, rounded = factorMeta(a, cfg); tensors == nil {
			return nil, nil, "", cannot("its readers know linear, yarn and " + strings.Join(append(a.factors, "no factors"), ", "))
		}
		keys = append(keys, more...)
	}
	if rounded {
		note = "the rotation is stored in float32 factors, which may move its last bits"
	}
	slices.SortFunc(keys, func(x, y gguf.KV) int { return strings.Compare(x.Key, y.Key) })
	return keys, tensors, note, nil
}

// factorMeta stores a rotation as factors that the frequencies of the plain one
// are divided by: one list, or those of longrope for few and for many positions.
// rounded says that float32 does not hold them. Nothing comes back where the
// architecture's readers do not look at such tensors.
func factorMeta(a arch, cfg llama.Config) (keys []gguf.KV, tensors []gguf.Source, rounded bool) {
	s := cfg.RopeScaling
	freqs, scale := cfg.Rotation()
	store := func(name string, factors []float64) {
		narrow := make([]float32, len(factors))
		for i, f := range factors {
			narrow[i] = float32(f)
			rounded = rounded || float64(narrow[i]) != f
		}
		tensors = append(tensors, gguf.Source{Name: name, Type: gguf.F32, Shape: []int{len(narrow)},
			Write: func(w io.Writer) error { return gguf.Floats(w, narrow) }})
	}
	long := s.Type == "longrope"
	switch {
	case scale == 1 && slices.Contains(a.factors, ropeFactors) && (!long || slices.Equal(s.LongFactor, s.ShortFactor)):
		factors := s.LongFactor
		if !long {
			factors = op.Frequencies(cfg.RopeTheta, 2*len(freqs))
			for i := range factors {
				factors[i] /= freqs[i]
			}
		}
		store(ropeFactors, factors)
	case long && slices.Contains(a.factors, ropeLong):
		store(ropeLong, s.LongFactor)
		store(ropeShort, s.ShortFactor)
		keys = []gguf.KV{{Key: a.name + "." + ropeType, Value: s.Type}, {Key: a.name + "." + ropeAttn, Value: float32(scale)}}
		rounded = rounded || float64(float32(scale)) != scale
	}
	return keys, tensors, rounded
}
