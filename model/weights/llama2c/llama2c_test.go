package llama2c_test

import (
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/internal/testkit"
	"weft/model/llama"
	"weft/model/weights/llama2c"
	"weft/model/zoo"
)

// pieces reads the token texts of tok512.bin: u32 max length, then per token
// f32 score, u32 length, bytes.
func pieces(t *testing.T, n int) []string {
	data, err := os.ReadFile(testkit.Data(t, "models/stories260k/tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	data = data[4:]
	var all []string
	for range n {
		size := binary.LittleEndian.Uint32(data[4:])
		all = append(all, string(data[8:8+size]))
		data = data[8+size:]
	}
	return all
}

// cache is a KV of one sequence.
type cache struct {
	heads  kernel.Heads
	layers map[int][]kernel.Block
}

func (c *cache) Blocks(layer, _, n int) []kernel.Block {
	for len(c.layers[layer])*kernel.BlockLen < n {
		size := c.heads.BlockFloats()
		c.layers[layer] = append(c.layers[layer], kernel.Block{K: make([]float32, size), V: make([]float32, size)})
	}
	return c.layers[layer]
}

// greedy continues BOS by the most likely token, n times.
func greedy(m *llama.Llama, n int) []int32 {
	kv := &cache{
		heads:  kernel.Heads{Q: m.NumAttentionHeads, KV: m.NumKeyValueHeads, Dim: m.HeadDim},
		layers: map[int][]kernel.Block{},
	}
	ids := []int32{1}
	for pos := range n {
		p := &op.Pass{KV: kv, Spans: []op.Span{{Len: 1, Pos: pos}}}
		logits := m.Logits(p, m.Hidden(p, ids[pos:])).Data
		ids = append(ids, int32(slices.Index(logits, slices.Max(logits))))
	}
	return ids[1:]
}

// goldenTokens is how many tokens the reference generated.
const goldenTokens = 200

// TestGreedyGolden continues the real model from BOS: the text must be that of
// the reference implementation, for both file versions.
func TestGreedyGolden(t *testing.T) {
	golden, err := os.ReadFile(testkit.Data(t, "models/stories260k/greedy_golden.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimRight(string(golden), "\n")
	for _, name := range []string{"stories260K.bin", "stories260K_v1.bin"} {
		m, err := llama2c.Load(testkit.Data(t, "models/stories260k/"+name))
		if err != nil {
			t.Fatal(err)
		}
		vocab := pieces(t, m.VocabSize)
		var text strings.Builder
		for _, id := range greedy(m, goldenTokens) {
			text.WriteString(vocab[id])
		}
		if got := text.String(); got != want {
			t.Errorf("%s: continues\n%q\nwant\n%q", name, got, want)
		}
	}
}

// TestThroughFolder saves the model as a Hugging Face folder and reads it back.
func TestThroughFolder(t *testing.T) {
	m, err := llama2c.Load(testkit.Data(t, "models/stories260k/stories260K.bin"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	got, err := zoo.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := greedy(m, 20), greedy(got.(*llama.Llama), 20); !slices.Equal(a, b) {
		t.Errorf("continues %v after a round trip, want %v", b, a)
	}
}

// checkpoint is a legacy file of a tiny untied model, all weights zero.
func checkpoint() []byte {
	const dim, ffn, layers, heads, vocab, seq = 8, 12, 1, 2, 5, 7
	var b []byte
	for _, v := range []int32{dim, ffn, layers, heads, heads, -vocab, seq} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	n := 2*vocab*dim + layers*(2*dim+4*dim*dim+3*dim*ffn) + dim + seq*dim/heads
	return append(b, make([]byte, 4*n)...)
}

func TestHostile(t *testing.T) {
	good := checkpoint()
	if _, err := llama2c.Parse(good); err != nil {
		t.Fatal(err)
	}
	with := func(word int, v int32) []byte {
		b := slices.Clone(good)
		binary.LittleEndian.PutUint32(b[4*word:], uint32(v))
		return b
	}
	version := with(0, 0x616b3432)
	binary.LittleEndian.PutUint32(version[4:], 2)
	for want, data := range map[string][]byte{
		"too few":                    good[:100],
		"4 bytes missing":            good[:len(good)-4],
		"4 bytes left over":          append(slices.Clone(good), 0, 0, 0, 0),
		"hidden_size is -8":          with(0, -8),
		"num_hidden_layers is 0":     with(2, 0),
		"no multiple":                with(3, 3),
		"the header describes":       with(5, 1<<23),
		"version 2":                  version,
		"width 8 is no multiple":     slices.Concat(with(3, 3)[:16], []byte{3, 0, 0, 0}, good[20:]),
		"max_position_embeddings is": with(6, -1),
	} {
		_, err := llama2c.Parse(data)
		if !errors.Is(err, llama2c.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("error is %v, want one with %q", err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(checkpoint())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := llama2c.Parse(data); err != nil && !errors.Is(err, llama2c.ErrFormat) {
			t.Fatalf("error %v does not wrap ErrFormat", err)
		}
	})
}
