package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"weft/compute/kernel"
	"weft/compute/quant"
)

// The configs of published models, as far as sizes go.
const (
	llama70B = `{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,
		"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":32768,"torch_dtype":"bfloat16"}`
	tinyLlama = `{"model_type":"llama","hidden_size":2048,"intermediate_size":5632,"num_hidden_layers":22,"num_attention_heads":32,
		"num_key_value_heads":4,"vocab_size":32000,"max_position_embeddings":2048}`
	qwenHalf = `{"model_type":"qwen2","hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,"num_attention_heads":14,
		"num_key_value_heads":2,"vocab_size":151936,"max_position_embeddings":32768,"tie_word_embeddings":true,"use_sliding_window":false,"sliding_window":32768}`
	mixtral = `{"model_type":"mixtral","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,
		"num_key_value_heads":8,"vocab_size":32000,"max_position_embeddings":32768,"num_local_experts":8,"num_experts_per_tok":2,"sliding_window":null}`
	qwen235B = `{"model_type":"qwen3_moe","hidden_size":4096,"intermediate_size":12288,"num_hidden_layers":94,"num_attention_heads":64,"head_dim":128,
		"num_key_value_heads":4,"vocab_size":151936,"max_position_embeddings":40960,"num_experts":128,"num_experts_per_tok":8,"moe_intermediate_size":1536}`
	deepSeekV3 = `{"model_type":"deepseek_v3","hidden_size":7168,"intermediate_size":18432,"num_hidden_layers":61,"num_attention_heads":128,
		"num_key_value_heads":128,"vocab_size":129280,"max_position_embeddings":163840,"n_routed_experts":256,"n_shared_experts":1,"num_experts_per_tok":8,
		"moe_intermediate_size":2048,"first_k_dense_replace":3,"q_lora_rank":1536,"kv_lora_rank":512,"qk_rope_head_dim":64,"qk_nope_head_dim":128,"v_head_dim":128}`
	mistral = `{"model_type":"mistral","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,
		"num_key_value_heads":8,"vocab_size":32000,"max_position_embeddings":32768,"sliding_window":4096}`
)

func parse(t *testing.T, config string) Shape {
	t.Helper()
	s, err := ParseConfig([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// near fails unless got is within the share of want.
func near(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if math.Abs(got-want) > share*math.Abs(want) {
		t.Errorf("%s is %.5g, want %.5g within %.2g %%", what, got, want, 100*share)
	}
}

// TestParams are the numbers of weights that the authors of each model state.
func TestParams(t *testing.T) {
	for _, c := range []struct {
		config        string
		total, active float64
	}{
		{llama70B, 70.55e9, 70.55e9}, {tinyLlama, 1.1e9, 1.1e9}, {qwenHalf, 0.494e9, 0.494e9},
		{mixtral, 46.7e9, 12.9e9}, {qwen235B, 235e9, 22e9}, {deepSeekV3, 671e9, 37e9}, {mistral, 7.24e9, 7.24e9},
	} {
		s := parse(t, c.config)
		total, active := s.Params()
		near(t, s.Family+" parameters", float64(total), c.total, 0.005)
		near(t, s.Family+" active parameters", float64(active), c.active, 0.02)
	}
	tied := parse(t, strings.Replace(llama70B, "}", `,"tie_word_embeddings":true}`, 1))
	total, _ := tied.Params()
	near(t, "70B, tied", float64(total), 69.5e9, 0.001)
}

// TestKV are exact sizes of caches. A published formula for the same model has
// its factor 2 twice; these are recomputed.
func TestKV(t *testing.T) {
	const ki, mi, gi = 1 << 10, 1 << 20, 1 << 30
	heads := func(n int) string {
		return strings.Replace(llama70B, `"num_key_value_heads":8`, fmt.Sprintf(`"num_key_value_heads":%d`, n), 1)
	}
	for _, c := range []struct {
		name   string
		config string
		n      int
		kind   kernel.KVType
		want   int64
	}{
		{"70B, 8 groups, a token", llama70B, 1, kernel.KVF16, 320 * ki},
		{"70B, 8 groups, a page of 16", llama70B, 16, kernel.KVF16, 5 * mi},
		{"70B, 8 groups, 32K", llama70B, 32768, kernel.KVF16, 10 * gi}, // 10.7 GB
		{"70B, every head its own", heads(64), 1, kernel.KVF16, 2.5 * mi},
		{"70B, one head for all, 32K", heads(1), 32768, kernel.KVF16, 1.25 * gi},
		{"70B, float32", llama70B, 1, kernel.KVF32, 640 * ki},
		{"70B, 8 bits with scales", llama70B, 1, kernel.KVQ8, 80 * 16 * (128 + 4)},
		{"70B, 4 bits with scales", llama70B, 1, kernel.KVQ4, 80 * 16 * (64 + 4)},
		{"window of 4096, 32K", mistral, 32768, kernel.KVF16, 4096 * 32 * 2 * 1024 * 2},
		{"latent of 512+64", deepSeekV3, 1, kernel.KVF16, 61 * 576 * 2},
	} {
		got := parse(t, c.config).KVBytes(c.n, c.kind)
		if got != c.want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, c.want)
		}
	}
	one := parse(t, llama70B).KVBytes(32768, kernel.KVF16)
	near(t, "50 requests of 32K", 50*float64(one), 537e9, 0.001)
}

func TestFLOPs(t *testing.T) {
	s := parse(t, llama70B)
	layers, head := s.matrices()
	near(t, "a token at 32K, the layers", s.Decode(32768)-head, 222.8e9, 0.001)
	near(t, "the output matrix", head, 2.1e9, 0.01)
	near(t, "scores and values of a layer at 32K", s.perPair()*32768, 1.07e9, 0.01)
	near(t, "all matrices of a layer", layers/80, 168e6+134e6+1.41e9, 0.01)
	// 2 * 70e9 * 4096 is 573 TFLOP; looking up costs none, attention adds some.
	near(t, "a prompt of 4096", s.Prefill(4096), 573e12, 0.02)
	near(t, "and on one H100 at its peak", Machine{FLOPs: 989e12, Reads: 3.35e12}.Floor(s.Prefill(4096), 141e9).Seconds, 0.58, 0.02)

	if got, want := pairs(5, 0), 15.0; got != want {
		t.Errorf("5 positions have %g pairs, want %g", got, want)
	}
	if got, want := pairs(5, 2), 1+2+2+2+2.0; got != want {
		t.Errorf("5 positions with a window of 2 have %g pairs, want %g", got, want)
	}
}

// TestReads are megabytes read per token that a table of measurements of
// llama.cpp states for files of these shapes and types.
func TestReads(t *testing.T) {
	for _, c := range []struct {
		config, mix string
		mb          float64
	}{
		{tinyLlama, "F16", 2069}, {tinyLlama, "Q8_0", 1099}, {tinyLlama, "Q6_K", 849}, {tinyLlama, "Q4_K_M", 630}, {tinyLlama, "Q4_0", 599},
		{qwenHalf, "F16", 988}, {qwenHalf, "Q8_0", 525}, {qwenHalf, "Q6_K", 500}, {qwenHalf, "Q4_K_M", 392}, {qwenHalf, "Q4_0", 346},
	} {
		s := parse(t, c.config)
		m, err := quant.ParseMixture(c.mix)
		if err != nil {
			t.Fatal(err)
		}
		_, read, err := s.Weights(s.Mixed(m), 1)
		if err != nil {
			t.Fatal(err)
		}
		near(t, s.Family+" "+c.mix, read/1e6, c.mb, 0.015)
	}
}

// TestExpertsRead: one token reads the experts it chose, many read all.
func TestExpertsRead(t *testing.T) {
	s := parse(t, mixtral)
	bf16, err := quant.ParseMixture("BF16")
	if err != nil {
		t.Fatal(err)
	}
	total, one, err := s.Weights(s.Mixed(bf16), 1)
	if err != nil {
		t.Fatal(err)
	}
	_, active := s.Params()
	near(t, "one token", one, 2*float64(active-32000*4096), 0.001) // the embedding is looked up in
	_, many, _ := s.Weights(s.Mixed(bf16), 1000)
	near(t, "a thousand tokens", many, float64(total), 0.01)
	_, two, _ := s.Weights(s.Mixed(bf16), 2)
	if !(one < two && two < 2*one) {
		t.Errorf("two tokens read %g bytes, want more than one's %g and less than twice that", two, one)
	}
}

func TestSpeculation(t *testing.T) {
	near(t, "tokens of a pass at 0.7, 4", Tokens(0.7, 4), 2.77, 0.002)
	near(t, "speed-up with a draft of 3 %", Speedup(0.7, 4, 0.03, 1), 2.48, 0.002)
	if got := Tokens(1, 4); got != 5 {
		t.Errorf("all accepted: %g tokens, want 5", got)
	}
	k, best := BestDraft(0.7, 0.03, func(int) float64 { return 1 })
	for n := 1; n <= MaxDraft; n++ {
		if s := Speedup(0.7, n, 0.03, 1); s > best {
			t.Errorf("%d tokens bring %g, more than the best %d: %g", n, s, k, best)
		}
	}
	// Where every row costs as much as a step, drafting never pays.
	if k, s := BestDraft(0.9, 0, func(rows int) float64 { return float64(rows) }); k != 0 || s != 1 {
		t.Errorf("bound by arithmetic: draft %d for %g, want none", k, s)
	}
}

// h100 is a machine of round numbers.
var h100 = Machine{FLOPs: 989e12, Reads: 3.35e12, Memory: 80e9}

func TestPlan(t *testing.T) {
	s := parse(t, llama70B)
	bf16, _ := quant.ParseMixture("BF16")
	q4, _ := quant.ParseMixture("Q4_K_M")
	r, err := New(s, Options{Machine: h100, Size: s.Mixed(bf16), Type: "BF16", KV: kernel.KVF16})
	if err != nil {
		t.Fatal(err)
	}
	near(t, "weights", float64(r.WeightBytes), 141e9, 0.002)
	if r.Fit.Fits || r.Fit.Concurrency != 0 || r.Fit.Context != 0 {
		t.Errorf("141 GB in 72: %+v, want that they do not fit", r.Fit)
	}
	if r.Prefill.Bound != Arithmetic || r.Steps[0].Floor.Bound != Memory || len(r.Steps) != 1 {
		t.Errorf("prefill is bound by %s, decode by %s in %d lines, want arithmetic, memory, 1", r.Prefill.Bound, r.Steps[0].Floor.Bound, len(r.Steps))
	}
	near(t, "the ridge", r.Ridge, 295, 0.01)
	near(t, "attention's share of a prompt of 512", r.Pairs, 4*64*128*(79*512*513/2+512)/r.Prefill.FLOPs, 1e-9)
	if r.Reach != 0 {
		t.Errorf("without windows text reaches %d positions, want no bound", r.Reach)
	}
	near(t, "a step at 32K: weights without the embedding, and 10.7 GB", r.Steps[0].Floor.Seconds, (139e9+10.74e9)/3.35e12, 0.005)

	r, err = New(s, Options{Machine: h100, Size: s.Mixed(q4), Type: "Q4_K_M", KV: kernel.KVF16, Batch: 2, Util: 0.95, Prompt: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Fit.Fits || r.Fit.Concurrency != 3 || len(r.Steps) != 2 {
		t.Errorf("%d bytes of weights in %d: %+v, want 3 requests of 10.7 GB, and steps for 1 and 2", r.WeightBytes, r.Fit.Budget, r.Fit)
	}
	if r.Fit.Context != s.Context {
		t.Errorf("two requests may have %d positions, want the model's %d and no more", r.Fit.Context, s.Context)
	}
	windowed, err := New(parse(t, mistral), Options{Machine: h100, Size: parse(t, mistral).Mixed(q4), Type: "Q4_K_M"})
	if err != nil || windowed.Reach != 32*4096 {
		t.Errorf("32 windows of 4096 reach %d positions, want 131072 (%v)", windowed.Reach, err)
	}
	half := 2 * r.KVRequest * 3 / 4 // room for two requests of 3/4 of the context
	small := h100
	small.Memory = r.WeightBytes + half
	r, err = New(s, Options{Machine: small, Size: s.Mixed(q4), Type: "Q4_K_M", KV: kernel.KVF16, Batch: 2, Util: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Fit.Fits || r.Fit.Context != s.Context*3/4 || r.Fit.Concurrency != 1 {
		t.Errorf("room for 2 * 3/4 of the context: %+v", r.Fit)
	}
	for i, typ := range r.Types[1:] {
		if typ.Bytes >= r.Types[i].Bytes || typ.TokensPerSecond <= r.Types[i].TokensPerSecond {
			t.Errorf("%s after %s: %d and %d bytes, want less, and faster", typ.Type, r.Types[i].Type, typ.Bytes, r.Types[i].Bytes)
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

func TestOptions(t *testing.T) {
	s := parse(t, tinyLlama)
	size := func(Tensor) (int64, error) { return 1, nil }
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Size: size}, "0 FLOP/s"},
		{Options{Size: size, Machine: Machine{FLOPs: 1}}, "0 bytes/s"},
		{Options{Machine: h100}, "set Size"},
		{Options{Machine: h100, Size: size, KV: 99}, "kept as KVType(99)"},
		{Options{Machine: h100, Size: size, Util: 2}, "utilization is 2"},
		{Options{Machine: h100, Size: size, Batch: -1}, "batch -1"},
		{Options{Machine: h100, Size: size, Draft: -1}, "want 0 to 1"},
		{Options{Machine: h100, Size: size, Prompt: 600, Context: 500}, "prompt of 600 tokens does not fit requests of 500"},
	} {
		if _, err := New(s, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want %q", c.o, err, c.want)
		}
	}
	r, err := New(s, Options{Machine: h100, Size: size, Context: 4096})
	if err != nil || len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "made for 2048") {
		t.Errorf("past the context: notes %q, %v", r.Notes, err)
	}
}

func TestConfigs(t *testing.T) {
	for config, want := range map[string]string{
		`{`:                   "unexpected end",
		`{}`:                  "num_hidden_layers is 0",
		`{"n_embd":768}`:      "hidden_size is 0",
		`{"hidden_size":"x"}`: "cannot unmarshal",
		strings.Replace(tinyLlama, `"num_key_value_heads":4`, `"num_key_value_heads":64`, 1): "num_key_value_heads is 64, want 1 to 32",
		strings.Replace(tinyLlama, `"num_hidden_layers":22`, `"num_hidden_layers":99999`, 1): "num_hidden_layers is 99999",
		strings.Replace(mixtral, `"num_experts_per_tok":2`, `"num_experts_per_tok":9`, 1):    "num_experts_per_tok is 9, want 1 to 8",
	} {
		if _, err := ParseConfig([]byte(config)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: error %v, want %q", config, err, want)
		}
	}
	s := parse(t, `{"model_type":"gemma3","text_config":{"model_type":"gemma3_text","hidden_size":64,"intermediate_size":128,"num_hidden_layers":3,
		"num_attention_heads":2,"vocab_size":100,"sliding_window":8,"layer_types":["sliding_attention","sliding_attention","full_attention"]}}`)
	if len(s.Notes) != 2 || s.Sliding != 2 || s.Window != 8 || s.KVHeads != 2 {
		t.Errorf("text inside a larger model: %+v", s)
	}
	if got := s.positions(100); got != 100+2*8 {
		t.Errorf("100 positions with two sliding layers keep %d, want 116", got)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range []string{llama70B, qwenHalf, mixtral, deepSeekV3, mistral, `{"text_config":{}}`} {
		f.Add([]byte(c))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseConfig(data)
		if err != nil || s.Layers > 200 { // large ones are slow, not different
			return
		}
		if total, active := s.Params(); total <= 0 || active <= 0 || active > total {
			t.Fatalf("%d weights, %d active", total, active)
		}
		q8, _ := quant.ParseMixture("Q8_0")
		if _, err := New(s, Options{Machine: h100, Size: s.Mixed(q8), KV: kernel.KVQ8, Prompt: 1}); err != nil {
			t.Fatal(err)
		}
	})
}
