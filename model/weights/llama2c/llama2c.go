// Package llama2c reads the checkpoints of karpathy/llama2.c, legacy (version
// 0) and version 1, into a llama.Llama.
//
//	version 0: 7 x i32 config | weights                        (negative vocab: own head)
//	version 1: "ak42" | i32 1 | 7 x i32 | u8 tied | pad to 256 | weights
//
// The format rotates interleaved pairs (2i, 2i+1) where Hugging Face rotates
// halves (i, i+half), so the rows of q and k are reordered on the way in.
// Source: https://github.com/karpathy/llama2.c (run.c, export.py).
package llama2c

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"

	"weft/model/llama"
	"weft/model/nn"
)

// ErrFormat is wrapped by every complaint about a file's contents.
var ErrFormat = errors.New("not a llama2.c checkpoint")

// Facts that the format does not store: run.c has them in its code.
const (
	magic   = 0x616b3432 // "ak42"
	eps     = 1e-5
	theta   = 10000
	bos     = 1
	eos     = 2
	v1Start = 256 // bytes of header in version 1
)

// Load reads a checkpoint file.
func Load(path string) (*llama.Llama, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("llama2.c checkpoint: %w", err)
	}
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// Parse reads a checkpoint held in memory, which must have exactly the size
// that its header asks for.
func Parse(data []byte) (*llama.Llama, error) {
	if len(data) < v1Start {
		return nil, fmt.Errorf("%w: %d bytes are too few for a header and weights", ErrFormat, len(data))
	}
	word := func(i int) int { return int(int32(binary.LittleEndian.Uint32(data[4*i:]))) }
	version, first, tied := 0, 0, word(5) > 0
	if uint32(word(0)) == magic {
		version, first, tied = word(1), 2, data[36] != 0
		if version != 1 {
			return nil, fmt.Errorf("%w: version %d, but only 0 and 1 (float32) are read", ErrFormat, version)
		}
	}
	cfg := llama.Config{
		HiddenSize: word(first), IntermediateSize: word(first + 1), NumHiddenLayers: word(first + 2),
		NumAttentionHeads: word(first + 3), NumKeyValueHeads: word(first + 4),
		VocabSize: max(word(first+5), -word(first+5)), MaxPositionEmbeddings: word(first + 6),
		RMSNormEps: eps, RopeTheta: theta, TieWordEmbeddings: tied,
		BOSTokenID: llama.TokenID{bos}, EOSTokenID: llama.TokenID{eos},
	}
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if n := cfg.HiddenSize; n%cfg.NumAttentionHeads != 0 {
		return nil, fmt.Errorf("%w: width %d is no multiple of %d heads", ErrFormat, n, cfg.NumAttentionHeads)
	}
	r := reader{data: data[7*4:]}
	if version == 1 {
		r.data = data[v1Start:]
	}
	if cfg.Weights() > float64(len(r.data)/4) {
		return nil, fmt.Errorf("%w: the header describes %.0f weights, but the file holds %d", ErrFormat, cfg.Weights(), len(r.data)/4)
	}
	m := llama.New(cfg, nil)
	if version == 1 {
		r.version1(m)
	} else {
		r.version0(m)
	}
	if r.missing > 0 || len(r.data) > 0 {
		return nil, fmt.Errorf("%w: %d bytes missing and %d bytes left over after the weights", ErrFormat, r.missing, len(r.data))
	}
	return m, nil
}

// reader takes weights off the front of data and counts what is missing.
type reader struct {
	data    []byte
	missing int
}

func (r *reader) floats(dst []float32) {
	if len(r.data) < 4*len(dst) {
		r.missing += 4*len(dst) - len(r.data)
		r.data = nil
		return
	}
	for i := range dst {
		dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(r.data[4*i:]))
	}
	r.data = r.data[4*len(dst):]
}

func (r *reader) matrix(l nn.Linear) { r.floats(l.(*nn.Dense).W.Value.Data) }

// rotary reads a q or k matrix and moves row 2i of each head to i, and row
// 2i+1 to half+i.
func (r *reader) rotary(l nn.Linear, headDim int) {
	w := l.(*nn.Dense).W.Value
	row, half := make([]float32, w.Cols), headDim/2
	for i := range w.Rows {
		r.floats(row)
		head, j := i/headDim*headDim, i%headDim
		copy(w.Row(head+j/2+j%2*half), row)
	}
}

// layers reads one kind of weight of every layer.
func layers(m *llama.Llama, read func(b *llama.Block)) {
	for i := range m.Blocks {
		read(&m.Blocks[i])
	}
}

func (r *reader) attention(m *llama.Llama) {
	layers(m, func(b *llama.Block) { r.rotary(b.Q, m.HeadDim) })
	layers(m, func(b *llama.Block) { r.rotary(b.K, m.HeadDim) })
	layers(m, func(b *llama.Block) { r.matrix(b.V) })
	layers(m, func(b *llama.Block) { r.matrix(b.O) })
}

func (r *reader) ffn(m *llama.Llama) {
	layers(m, func(b *llama.Block) { r.matrix(b.Gate) })
	layers(m, func(b *llama.Block) { r.matrix(b.Down) })
	layers(m, func(b *llama.Block) { r.matrix(b.Up) })
}

func (r *reader) version0(m *llama.Llama) {
	r.floats(m.Embed.Value.Data)
	layers(m, func(b *llama.Block) { r.floats(b.AttnNorm.Value.Data) })
	r.attention(m)
	layers(m, func(b *llama.Block) { r.floats(b.FFNNorm.Value.Data) })
	r.ffn(m)
	r.floats(m.Norm.Value.Data)
	skip := 4 * m.MaxPositionEmbeddings * m.HeadDim // cos and sin tables, which weft computes
	r.missing += max(0, skip-len(r.data))
	r.data = r.data[min(skip, len(r.data)):]
	r.head(m)
}

func (r *reader) version1(m *llama.Llama) {
	layers(m, func(b *llama.Block) { r.floats(b.AttnNorm.Value.Data) })
	layers(m, func(b *llama.Block) { r.floats(b.FFNNorm.Value.Data) })
	r.floats(m.Norm.Value.Data)
	r.floats(m.Embed.Value.Data)
	r.attention(m)
	r.ffn(m)
	r.head(m)
}

func (r *reader) head(m *llama.Llama) {
	if !m.TieWordEmbeddings {
		r.matrix(m.Head)
	}
}
