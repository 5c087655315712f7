package llama

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"weft/compute/op"
)

// RopeScaling stretches the rotation to more positions than a model first
// learned, as config.json has it in rope_scaling. Lists have a number per pair
// of values that turn; zero means what transformers takes for a missing key.
type RopeScaling struct {
	Type            string    `json:"rope_type,omitempty"`                       // "": no scaling
	Factor          float64   `json:"factor,omitzero"`                           // how much longer
	Original        int       `json:"original_max_position_embeddings,omitzero"` // positions before
	LowFreq         float64   `json:"low_freq_factor,omitzero"`                  // llama3
	HighFreq        float64   `json:"high_freq_factor,omitzero"`                 // llama3
	BetaFast        float64   `json:"beta_fast,omitzero"`                        // yarn: 32
	BetaSlow        float64   `json:"beta_slow,omitzero"`                        // yarn: 1
	Truncate        *bool     `json:"truncate,omitempty"`                        // yarn: true, whole pairs only
	MScale          float64   `json:"mscale,omitzero"`                           // yarn
	MScaleAllDim    float64   `json:"mscale_all_dim,omitzero"`                   // yarn
	AttentionFactor float64   `json:"attention_factor,omitzero"`                 // yarn, longrope: of what turns; by the paper
	ShortFactor     []float64 `json:"short_factor,omitempty"`                    // longrope
	LongFactor      []float64 `json:"long_factor,omitempty"`                     // longrope
}

// The types of scaling.
const (
	linearRope  = "linear"   // all angles shrink (Chen 2023)
	dynamicRope = "dynamic"  // a larger base (NTK)
	yarnRope    = "yarn"     // slow pairs shrink, fast ones do not (Peng 2023)
	longRope    = "longrope" // factors found by search (Ding 2024)
	llama3Rope  = "llama3"   // as yarn, by wavelength (Llama 3.1)
)

// ropeKeys lists the types with the keys that each must and may have.
func ropeKeys() map[string][2]string {
	return map[string][2]string{
		linearRope:  {"factor", ""},
		dynamicRope: {"factor", "original_max_position_embeddings"},
		yarnRope:    {"factor", "original_max_position_embeddings beta_fast beta_slow truncate mscale mscale_all_dim attention_factor"},
		longRope:    {"short_factor long_factor", "factor original_max_position_embeddings attention_factor"},
		llama3Rope:  {"factor original_max_position_embeddings low_freq_factor high_freq_factor", ""},
	}
}

// parseRope reads rope_scaling, or rope_parameters, which newer files write and
// which holds rope_theta too. A type or key that nobody here knows, or that says
// nothing to the type, is an error that names it.
func (c *Config) parseRope(v Variant, key string, value []byte) error {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(value, &m); err != nil {
		return fmt.Errorf("llama: config.json: %s: %w", key, err)
	}
	maps.DeleteFunc(m, func(_ string, v json.RawMessage) bool { return bytes.Equal(v, []byte("null")) })
	kind := "default"
	for _, name := range []string{"type", "rope_type"} { // files have either or both
		if text, ok := m[name]; ok {
			if err := json.Unmarshal(text, &kind); err != nil {
				return fmt.Errorf("llama: config.json: %s.%s: %w", key, name, err)
			}
		}
		delete(m, name)
	}
	if kind == "su" { // as Phi-3 first called it
		kind = longRope
	}
	known := ropeKeys()[kind]
	if known[0] == "" && kind != "default" {
		return fmt.Errorf("llama: config.json: %s.rope_type is %q, but only default, %s are implemented", key, kind,
			strings.Join(slices.Sorted(maps.Keys(ropeKeys())), ", "))
	}
	for _, name := range strings.Fields(known[0]) {
		if _, ok := m[name]; !ok {
			return fmt.Errorf("llama: config.json: %s.%s is missing, which type %s needs", key, name, kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		switch {
		case name == "rope_theta" || name == "partial_rotary_factor":
			if err := c.topLevel(v, key+"."+name, name, m[name]); err != nil {
				return err
			}
			delete(m, name)
		case !slices.Contains(strings.Fields(known[0]+" "+known[1]), name):
			return fmt.Errorf("llama: config.json: %s.%s is %.80s, which means nothing for type %s: remove it if it changes nothing", key, name, m[name], kind)
		}
	}
	if kind == "default" {
		return nil
	}
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, &c.RopeScaling)
	}
	if err != nil {
		return fmt.Errorf("llama: config.json: %s: %w", key, err)
	}
	c.RopeScaling.Type = kind
	return nil
}

// topLevel reads a key of rope_parameters that older files have outside it.
func (c *Config) topLevel(v Variant, path, name string, value json.RawMessage) error {
	if name == "partial_rotary_factor" {
		if err := c.checkKey(v, name, string(value)); err != nil {
			return err
		}
	}
	if err := json.Unmarshal([]byte(fmt.Sprintf("{%q:%s}", name, value)), c); err != nil {
		return fmt.Errorf("llama: config.json: %s: %w", path, err)
	}
	return nil
}

// rotary is how many values of a head turn.
func (c Config) rotary() int { return int(float64(c.HeadDim) * c.PartialRotaryFactor) }

// original is for how many positions the rotation was made before it was
// stretched.
func (c Config) original() int {
	switch {
	case c.RopeScaling.Original > 0:
		return c.RopeScaling.Original
	case c.OriginalMaxPositionEmbeddings > 0:
		return c.OriginalMaxPositionEmbeddings
	}
	return c.MaxPositionEmbeddings
}

// context is for how many positions the model was made: with YaRN those after
// stretching, which not all files say in max_position_embeddings.
func (c Config) context() int {
	n := c.MaxPositionEmbeddings
	if s := c.RopeScaling; s.Type == yarnRope {
		n = max(n, int(min(maxSize, s.Factor*float64(c.original()))))
	}
	return n
}

// Rotation is what turns: radians per position for each pair of values of a head
// that turns, and the factor that turned values are multiplied with.
//
// It depends on the config alone, never on how long a request is, so that a
// cached key is right for every later query. The types for which transformers
// looks at the length (dynamic, longrope) are as it has them for a sequence of
// max_position_embeddings.
func (c Config) Rotation() (freqs []float64, scale float64) {
	c = c.withDefaults()
	s, dim := c.RopeScaling, c.rotary()
	freqs, scale = op.Frequencies(c.RopeTheta, dim), 1
	switch s.Type {
	case linearRope:
		for i := range freqs {
			freqs[i] /= s.Factor
		}
	case dynamicRope:
		freqs = op.Frequencies(c.dynamicBase(), dim)
	case yarnRope:
		low, high := c.ramp()
		for i, f := range freqs {
			shrunk := min(1, max(0, (float64(i)-low)/(high-low)))
			freqs[i] = f/s.Factor*shrunk + f*(1-shrunk)
		}
		scale = s.yarnScale()
	case longRope:
		factors := s.ShortFactor
		if c.MaxPositionEmbeddings > c.original() {
			factors = s.LongFactor
		}
		for i := range freqs {
			freqs[i] /= factors[i]
		}
		scale = c.longScale()
	case llama3Rope:
		for i, f := range freqs {
			freqs[i] = s.llama3(f)
		}
	}
	return freqs, scale
}

// dynamicBase is the base that stretches the rotation to all positions of the
// model: base * (factor*long/original - (factor-1))^(dim/(dim-2)).
func (c Config) dynamicBase() float64 {
	s, dim := c.RopeScaling, float64(c.rotary())
	long := max(1, float64(c.MaxPositionEmbeddings)/float64(c.original()))
	return c.RopeTheta * math.Pow(s.Factor*long-(s.Factor-1), dim/(dim-2))
}

// ramp is between which pairs of YaRN the shrinking sets in: those that turn
// BetaFast and BetaSlow times over the original positions (Peng 2023, 3.2).
func (c Config) ramp() (low, high float64) {
	s, dim := c.RopeScaling, float64(c.rotary())
	set(&s.BetaFast, 32)
	set(&s.BetaSlow, 1)
	pair := func(turns float64) float64 {
		return dim * math.Log(float64(c.original())/(turns*2*math.Pi)) / (2 * math.Log(c.RopeTheta))
	}
	low, high = pair(s.BetaFast), pair(s.BetaSlow)
	if s.Truncate == nil || *s.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	return low, high
}

// YarnScale is what YaRN multiplies turned values with, which makes up for scores
// that are flatter over more positions: 0.1 m ln(factor) + 1 (Peng 2023, 3.4).
func YarnScale(factor, m float64) float64 {
	return 0.1*m*math.Log(max(1, factor)) + 1
}

func (s RopeScaling) yarnScale() float64 {
	switch {
	case s.AttentionFactor > 0:
		return s.AttentionFactor
	case s.MScale > 0 && s.MScaleAllDim > 0:
		return YarnScale(s.Factor, s.MScale) / YarnScale(s.Factor, s.MScaleAllDim)
	}
	return YarnScale(s.Factor, 1)
}

// longScale is that of LongRoPE.
func (c Config) longScale() float64 {
	s := c.RopeScaling
	if s.AttentionFactor > 0 {
		return s.AttentionFactor
	}
	factor := s.Factor
	if factor == 0 {
		factor = float64(c.MaxPositionEmbeddings) / float64(c.original())
	}
	if factor <= 1 {
		return 1
	}
	return math.Sqrt(1 + math.Log(factor)/math.Log(float64(c.original())))
}

// llama3 shrinks a frequency whose wave is longer than original/LowFreq
// positions, keeps one that is shorter than original/HighFreq, and blends
// between.
func (s RopeScaling) llama3(f float64) float64 {
	waves := float64(s.Original) * f / (2 * math.Pi) // in the original positions
	keep := min(1, max(0, (waves-s.LowFreq)/(s.HighFreq-s.LowFreq)))
	return (1-keep)*f/s.Factor + keep*f
}

// checkRope says what is wrong with the rotation.
func (c Config) checkRope(bad func(format string, a ...any)) {
	if !(c.RopeTheta >= 1) {
		bad("rope_theta is %g, want at least 1", c.RopeTheta)
	}
	if !(c.PartialRotaryFactor > 0 && c.PartialRotaryFactor <= 1) || c.rotary()%2 != 0 || c.rotary() == 0 {
		bad("partial_rotary_factor %g of head_dim %d is %d values, but rotary positions turn pairs", c.PartialRotaryFactor, c.HeadDim, c.rotary())
	}
	s := c.RopeScaling
	if s.Type == "" {
		return
	}
	if _, ok := ropeKeys()[s.Type]; !ok {
		bad("rope_scaling.rope_type is %q", s.Type)
	}
	if s.Type != longRope && !(s.Factor >= 1 && s.Factor <= maxSize) {
		bad("rope_scaling.factor is %g, want 1 to %d", s.Factor, maxSize)
	}
	if o := c.original(); o < 1 || o > maxSize || s.Original < 0 || c.OriginalMaxPositionEmbeddings < 0 {
		bad("rope_scaling: original_max_position_embeddings is %d, want 1 to %d", o, maxSize)
	}
	switch s.Type {
	case dynamicRope, yarnRope:
		if c.rotary() < 4 || !(c.RopeTheta > 1) {
			bad("rope_scaling of type %s needs heads of 4 or more and a rope_theta above 1", s.Type)
		}
		if s.BetaFast < 0 || s.BetaSlow < 0 || s.MScale < 0 || s.MScaleAllDim < 0 || s.AttentionFactor < 0 {
			bad("rope_scaling has negative numbers")
		}
	case longRope:
		if n := c.rotary() / 2; len(s.ShortFactor) != n || len(s.LongFactor) != n {
			bad("rope_scaling.short_factor and long_factor have %d and %d numbers, want one for each of %d pairs", len(s.ShortFactor), len(s.LongFactor), n)
		}
		for _, f := range slices.Concat(s.ShortFactor, s.LongFactor) {
			if !(f > 0 && f <= maxSize) {
				bad("rope_scaling has the factor %g, want above 0 and up to %d", f, maxSize)
				break
			}
		}
	case llama3Rope:
		if !(s.LowFreq > 0 && s.HighFreq > s.LowFreq) {
			bad("rope_scaling: low_freq_factor %g and high_freq_factor %g, want the second larger", s.LowFreq, s.HighFreq)
		}
	}
}
