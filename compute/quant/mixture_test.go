package quant_test

import (
	"errors"
	"fmt"
	"testing"

	"weft/compute/quant"
)

// shape is what a model's matrices are made of.
type shape struct {
	layers, dim, hidden, keys, vocab, groups int
	tied                                     bool
}

// streamed is the bytes of all matrices that a token is multiplied with.
func (s shape) streamed(m quant.Mixture) int {
	m.Tied, m.Groups = s.tied, s.groups
	bytes := func(name string, rows, cols int) int {
		n, err := m.For(name, s.layers).Fit(cols).RowBytes(cols)
		if err != nil {
			panic(err)
		}
		return n * rows
	}
	head := "output.weight"
	if s.tied {
		head = "token_embd.weight"
	}
	sum := bytes(head, s.vocab, s.dim)
	for l := range s.layers {
		for name, size := range map[string][2]int{
			"attn_q": {s.dim, s.dim}, "attn_k": {s.keys, s.dim}, "attn_v": {s.keys, s.dim}, "attn_output": {s.dim, s.dim},
			"ffn_gate": {s.hidden, s.dim}, "ffn_up": {s.hidden, s.dim}, "ffn_down": {s.dim, s.hidden},
		} {
			sum += bytes(fmt.Sprintf("blk.%d.%s.weight", l, name), size[0], size[1])
		}
	}
	return sum
}

// llama.cpp's own quantised files of these shapes have these megabytes per
// token, to the nearest. The columns of the second, 896, are no whole number of
// large blocks.
func TestMixturesWeighWhatLlamaCppsDo(t *testing.T) {
	for _, c := range []struct {
		name  string
		shape shape
		want  map[string]int
	}{
		{"1.1B", shape{22, 2048, 5632, 256, 32000, 8, false}, map[string]int{"F16": 2069, "Q8_0": 1099, "Q6_K": 849, "Q4_K_M": 630, "Q4_0": 599}},
		{"0.5B", shape{24, 896, 4864, 128, 151936, 7, true}, map[string]int{"F16": 988, "Q8_0": 525, "Q6_K": 500, "Q4_K_M": 392, "Q4_0": 346}},
	} {
		for name, want := range c.want {
			m, err := quant.ParseMixture(name)
			if err != nil {
				t.Fatal(err)
			}
			if got := (c.shape.streamed(m) + 500_000) / 1_000_000; got != want {
				t.Errorf("%s %s: %d MB, want %d", c.name, name, got, want)
			}
		}
	}
}

func TestMixtureRules(t *testing.T) {
	for _, c := range []struct {
		mixture, tensor string
		layers          int
		model           quant.Mixture
		want            quant.Format
	}{
		{"q4_k_m", "blk.0.attn_v.weight", 32, quant.Mixture{}, quant.Q6_K},
		{"Q4_K_M", "blk.4.attn_v.weight", 32, quant.Mixture{}, quant.Q4_K},
		{"Q4_K_M", "blk.6.ffn_down.weight", 32, quant.Mixture{}, quant.Q6_K},
		{"Q4_K_M", "blk.28.ffn_down_exps.weight", 32, quant.Mixture{}, quant.Q6_K},
		{"Q4_K_M", "blk.5.attn_v.weight", 80, quant.Mixture{Groups: 8}, quant.Q6_K},
		{"Q4_K_M", "blk.10.attn_v.weight", 80, quant.Mixture{Groups: 8}, quant.Q5_K},
		{"Q4_K_M", "blk.10.attn_k.weight", 32, quant.Mixture{Experts: 8}, quant.Q8_0},
		{"Q4_K_M", "blk.10.attn_output.weight", 32, quant.Mixture{Experts: 8}, quant.Q5_K},
		{"Q4_K_M", "blk.10.ffn_gate_inp.weight", 32, quant.Mixture{Experts: 8}, quant.F32},
		{"Q4_K_M", "blk.3.attn_norm.weight", 32, quant.Mixture{}, quant.F32},
		{"Q4_K_M", "blk.3.attn_q.bias", 32, quant.Mixture{}, quant.F32},
		{"Q4_K_M", "token_embd.weight", 32, quant.Mixture{}, quant.Q4_K},
		{"Q4_K_M", "token_embd.weight", 32, quant.Mixture{Tied: true}, quant.Q6_K},
		{"Q4_K_S", "blk.3.attn_v.weight", 32, quant.Mixture{}, quant.Q5_K},
		{"Q4_K_S", "blk.4.ffn_down.weight", 32, quant.Mixture{}, quant.Q4_K},
		{"Q5_K_M", "blk.31.attn_qkv.weight", 32, quant.Mixture{}, quant.Q6_K},
		{"Q5_K_M", "blk.9.ffn_up.weight", 32, quant.Mixture{}, quant.Q5_K},
		{"Q6_K", "output.weight", 32, quant.Mixture{}, quant.Q6_K},
		{"Q8_0", "output.weight", 32, quant.Mixture{}, quant.Q8_0},
		{"F16", "output.weight", 32, quant.Mixture{}, quant.F16},
		{"Q3_K_M", "blk.1.attn_v.weight", 32, quant.Mixture{}, quant.Q5_K},
		{"Q3_K_M", "blk.2.ffn_down.weight", 32, quant.Mixture{}, quant.Q4_K},
		{"Q3_K_M", "blk.2.attn_output.weight", 32, quant.Mixture{}, quant.Q4_K},
		{"Q2_K", "blk.2.attn_v.weight", 32, quant.Mixture{}, quant.Q3_K},
		{"Q2_K", "blk.2.attn_v.weight", 32, quant.Mixture{Groups: 4}, quant.Q4_K},
		{"Q2_K", "blk.2.attn_q.weight", 32, quant.Mixture{Groups: 4}, quant.Q2_K},
		{"IQ4_XS", "blk.2.attn_v.weight", 32, quant.Mixture{Groups: 4}, quant.Q5_K},
		{"IQ4_XS", "blk.4.ffn_down.weight", 32, quant.Mixture{}, quant.IQ4_XS},
	} {
		m, err := quant.ParseMixture(c.mixture)
		if err != nil {
			t.Fatal(err)
		}
		m.Tied, m.Groups, m.Experts = c.model.Tied, c.model.Groups, c.model.Experts
		if got := m.For(c.tensor, c.layers); got != c.want {
			t.Errorf("%s of %d layers (tied %v, groups %d, experts %d), %s: %v, want %v", c.mixture, c.layers, m.Tied, m.Groups, m.Experts, c.tensor, got, c.want)
		}
	}
	if _, err := quant.ParseMixture("Q4_K"); !errors.Is(err, quant.ErrFormat) {
		t.Errorf("Q4_K is a format, not a mixture; the error is %v", err)
	}
}

func TestFit(t *testing.T) {
	for f, want := range map[quant.Format][3]quant.Format{ // 512, 96 and 33 columns
		quant.Q4_K: {quant.Q4_K, quant.Q5_0, quant.F16}, quant.Q6_K: {quant.Q6_K, quant.Q8_0, quant.F16},
		quant.Q2_K: {quant.Q2_K, quant.Q4_0, quant.F16}, quant.IQ4_XS: {quant.IQ4_XS, quant.IQ4_NL, quant.F16},
		quant.Q4_0: {quant.Q4_0, quant.Q4_0, quant.F16}, quant.F32: {quant.F32, quant.F32, quant.F32},
	} {
		if got := [3]quant.Format{f.Fit(512), f.Fit(96), f.Fit(33)}; got != want {
			t.Errorf("%v fits 512, 96 and 33 columns as %v, want %v", f, got, want)
		}
	}
}
