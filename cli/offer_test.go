package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"weft/compute/par"
	"weft/compute/tensor"
	"weft/internal/mapfile"
	"weft/llm/registry"
	"weft/model/llama"
	"weft/model/lora"
	"weft/model/nn"
	"weft/model/zoo"
)

// post asks for a completion and returns status and body.
func post(t *testing.T, url, body string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// places is the state of every model, as the page sees it.
func places(t *testing.T, url string) (states map[string]string, used int64) {
	t.Helper()
	var all struct {
		Models []struct {
			ID    string
			Place struct{ State string }
		}
		Memory struct {
			Used int64 `json:"used_bytes"`
		}
	}
	get(t, url+"/api/models", &all)
	states = map[string]string{}
	for _, m := range all.Models {
		states[m.ID] = m.Place.State
	}
	return states, all.Memory.Used
}

// TestServeWithinMemory: three models, memory for two. They load when they are
// asked for, the longest unused goes, counters never fall, and idle ones go by
// themselves.
func TestServeWithinMemory(t *testing.T) {
	dir := t.TempDir()
	args := []string{"serve"}
	for _, name := range []string{"a", "b", "c"} {
		if err := tinyModel(filepath.Join(dir, name), "weft"); err != nil {
			t.Fatal(err)
		}
		args = append(args, "my-"+name+"="+filepath.Join(dir, name))
	}
	l, err := findModel(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	size, err := footprintOf(l, engineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	each := size.bytes(size.least())
	at, _ := serveInTest(t, nil, append(args, "--addr", "127.0.0.1:0", "--memory", fmt.Sprint(5*each/2), "--idle-unload", "1s")...)
	if states, used := places(t, at.URL); used != 0 || states["my-a"] != "unloaded" || len(states) != 3 {
		t.Errorf("before any request: %v, %d bytes", states, used)
	}
	ask := func(name string) {
		t.Helper()
		if status, body := post(t, at.BaseURL+"/completions", `{"model":"`+name+`","prompt":"the cat","max_tokens":4,"ignore_eos":true}`); status != 200 || !strings.Contains(body, `"completion_tokens":4`) {
			t.Errorf("%s: got %d %s", name, status, body)
		}
	}
	for _, name := range []string{"my-a", "my-b", "my-a", "my-c"} {
		ask(name)
		if states, used := places(t, at.URL); states[name] != "loaded" || used > 5*each/2 {
			t.Errorf("after %s: %v, %d of %d bytes", name, states, used, 5*each/2)
		}
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() { ask("my-" + string("abc"[i%3])) })
	}
	wg.Wait()
	if status, body := post(t, at.BaseURL+"/completions", `{"model":"d","prompt":"x"}`); status != 404 || !strings.Contains(body, "my-a, my-b, my-c") {
		t.Errorf("an unknown model: got %d %s", status, body)
	}
	for start := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, used := places(t, at.URL); used == 0 {
			break
		} else if time.Since(start) > 60*time.Second {
			t.Fatal("idle models were not unloaded")
		}
	}
	resp, err := http.Get(at.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	for _, want := range []string{
		`weft_model_loaded{model_name="my-a"} 0`, `weft_model_memory_bytes{model_name="my-a"} 0`,
		`vllm:generation_tokens_total{engine="0",model_name="my-a"} 24`, `vllm:num_requests_waiting{engine="0",model_name="my-b"} 0`,
	} {
		if !strings.Contains(string(text), "\n"+want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// Passes are counted by engines, of which there were several: none is forgotten.
	for _, line := range strings.Split(string(text), "\n") {
		var n float64
		if k, _ := fmt.Sscanf(line, `vllm:iteration_tokens_total_sum{engine="0",model_name="my-a"} %g`, &n); k == 1 && n < 24 {
			t.Errorf("%g token rows of my-a, want at least those generated: counters fell", n)
		}
	}
}

// TestUnloadGivesMemoryBack loads and unloads a model with tens of MB of weights:
// the process is as small as before.
func TestUnloadGivesMemoryBack(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skip("needs /proc/self/statm to see the memory of the process")
	}
	dir := filepath.Join(t.TempDir(), "big")
	if err := tinyModel(dir, "weft"); err != nil { // for its tokenizer
		t.Fatal(err)
	}
	cfg := llama.Config{HiddenSize: 512, IntermediateSize: 2048, NumHiddenLayers: 4, NumAttentionHeads: 8, NumKeyValueHeads: 4, VocabSize: 300, MaxPositionEmbeddings: 2048, TieWordEmbeddings: true}
	if err := zoo.Save(dir, llama.New(cfg, tensor.NewRNG(1)), nil); err != nil {
		t.Fatal(err)
	}
	pool := par.New(1)
	defer pool.Close()
	f, err := newOffer(dir, pool, engineOptions{}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.bound(1<<30, 1<<30); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New([]registry.Entry{f.entry()}, registry.Options{Memory: 1 << 30, Idle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	m := reg.Models()[0]
	unloaded := func() {
		t.Helper()
		for start := time.Now(); m.Status().State != registry.Unloaded; time.Sleep(5 * time.Millisecond) {
			if time.Since(start) > time.Minute {
				t.Fatal("not unloaded after a minute")
			}
		}
	}
	var first int64
	routines := runtime.NumGoroutine()
	for round := range 3 {
		before := resident(t)
		if err := m.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		unloaded()
		after, need := resident(t), m.Status().Bytes-int64(f.engine.Pages)*f.size.page
		if round == 0 {
			first = after // what a first load leaves in the runtime
			if need < 60<<20 {
				t.Fatalf("weights take %d bytes, want tens of MB to see them go", need)
			}
			continue
		}
		if grown := after - min(before, first); grown > need/2 { // weights that stay are all of need
			t.Errorf("round %d: %d bytes are resident after the unload, %d before the load, %d after the first: weights take %d", round, after, before, first, need)
		}
	}
	for start := time.Now(); runtime.NumGoroutine() > routines; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d goroutines after the unloads, %d before", runtime.NumGoroutine(), routines)
		}
	}
}

// TestUnloadEndsTheMapping: a GGUF serves from its mapped file; unloaded, it is
// mapped no more.
func TestUnloadEndsTheMapping(t *testing.T) {
	if _, err := os.Stat("/proc/self/maps"); err != nil {
		t.Skip("needs /proc/self/maps to see what is mapped")
	}
	dir := t.TempDir()
	name, file := filepath.Join(dir, "m"), filepath.Join(dir, "to-unload.gguf")
	if err := tinyModel(name, "weft"); err != nil {
		t.Fatal(err)
	}
	weft(t, "export", name, "--gguf", file, "--type", "q8_0")
	mapped := func() bool {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(text), file)
	}
	f, err := newOffer(file, nil, engineOptions{}, true)
	if err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New([]registry.Entry{f.entry()}, registry.Options{Idle: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	if err := reg.Models()[0].Load(t.Context()); err != nil || !mapped() {
		t.Fatalf("loaded: %v, mapped %t", err, mapped())
	}
	for start := time.Now(); mapped() || reg.Models()[0].Status().State != registry.Unloaded; time.Sleep(10 * time.Millisecond) {
		if time.Since(start) > time.Minute {
			t.Fatalf("a minute later: mapped %t, %+v", mapped(), reg.Models()[0].Status())
		}
	}
}

// resident is the memory that the process has, in bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int64
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// TestFootprint: what is computed before loading is what it then takes, and what
// cannot fit is told with what would.
func TestFootprint(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "m")
	if err := tinyModel(name, ""); err != nil {
		t.Fatal(err)
	}
	l, err := loadModel(name)
	if err != nil {
		t.Fatal(err)
	}
	size, err := footprintOf(l, engineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pool := par.New(1)
	defer pool.Close()
	_, eng, err := l.live(pool, engineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer eng.Close()
	if held := nn.Bytes(l.model); held > size.weights || held < size.weights*9/10 {
		t.Errorf("weights take %d bytes, computed before were %d", held, size.weights)
	}
	for _, kind := range []string{"f32", "f16", "q8_0", "q4_0"} {
		file := filepath.Join(dir, kind+".gguf")
		weft(t, "export", name, "--gguf", file, "--type", kind)
		g, err := loadModel(file)
		if err != nil {
			t.Fatal(err)
		}
		nn.Freeze(g.model)
		size, err := footprintOf(g, engineOptions{})
		if held := nn.Bytes(g.model); err != nil || held > size.weights*9/8 || held < size.weights*4/5 { // rows of matrices as small as these fill no panel
			t.Errorf("%s: weights take %d bytes, computed before were %d, %v", kind, held, size.weights, err)
		}
	}
	half := filepath.Join(dir, "half")
	weft(t, "export", name, "--safetensors", half, "--type", "bf16")
	for _, kind := range []string{"", "f32", "f16", "q8_0", "q4_0"} {
		var as matrixType
		if kind != "" {
			if err := as.Set(kind); err != nil {
				t.Fatal(err)
			}
		}
		h, err := loadWith(half, reading{as: as})
		if err != nil {
			t.Fatal(err)
		}
		nn.Freeze(h.model)
		size, err := footprintOf(h, engineOptions{stored: as})
		if held := nn.Bytes(h.model); err != nil || held > size.weights*9/8 || held < size.weights*4/5 {
			t.Errorf("a folder in 16 bits, as %q: weights take %d bytes, computed before were %d, %v", kind, held, size.weights, err)
		}
	}
	if got := eng.Stats().PageBytes; int64(got) != size.page {
		t.Errorf("a page takes %d bytes, computed before were %d", got, size.page)
	}
	all := size.bytes(size.batch * size.pages(256))
	if n, err := size.fit(2*all, 2*all); err != nil || n != size.batch*size.pages(256) {
		t.Errorf("plenty: got %d pages, %v, want a context for every request", n, err)
	}
	tight := size.bytes(size.least())
	if n, err := size.fit(tight/2, tight); err != nil || n != size.least() {
		t.Errorf("tight: got %d pages, %v, want %d", n, err, size.least())
	}
	_, err = size.fit(tight-1, tight-1)
	if err == nil || !strings.Contains(err.Error(), "it needs") || !strings.Contains(err.Error(), "in Q8_0 it would fit") {
		t.Errorf("too tight: got %v, want what would fit", err)
	}
	if _, err = size.fit(100, 100); err == nil {
		t.Error("100 bytes: got no error")
	}
	var out []string
	for _, arg := range []string{"small=" + name, name, "a/b=c", "=x", "x="} {
		n, path := namedModel(arg)
		out = append(out, n+":"+path)
	}
	if got, want := strings.Join(out, " "), "small:"+name+" :"+name+" :a/b=c :=x x:"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
}

// TestIdentity: hashes follow the files, and files that change under a loaded
// model are noticed.
func TestIdentity(t *testing.T) {
	name := filepath.Join(t.TempDir(), "m")
	if err := tinyModel(name, "weft"); err != nil {
		t.Fatal(err)
	}
	l, err := loadModel(name)
	if err != nil {
		t.Fatal(err)
	}
	early, late := l.identity(engineOptions{}), l.identity(engineOptions{})
	id, err := early()
	if err != nil || len(id.Weights) != 64 || id.Tokenizer != l.tok.Hash() || id.Template != l.tmpl.Hash() || id.Cache != "f32" || id.Kernels == "" || !strings.Contains(id.Engine, "weft ") {
		t.Errorf("got %+v, %v", id, err)
	}
	config := filepath.Join(name, "config.json")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(config, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := late(); err == nil || !strings.Contains(err.Error(), "have changed since it was loaded") {
		t.Errorf("after a change: got %v", err)
	}
	if again, err := early(); err != nil || again != id {
		t.Errorf("what was found before stays: got %+v, %v", again, err)
	}
	other, err := filesHash(mapfile.Dir(name), weightPatterns)
	if err != nil || other == id.Weights {
		t.Errorf("the hash of changed files is %s, %v", other, err)
	}
}

// TestReplayUnderLoad serves answers with manifests while many others run, and
// replays each alone and beside others: the same tokens.
func TestReplayUnderLoad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "m")
	if err := tinyModel(name, "weft"); err != nil {
		t.Fatal(err)
	}
	adapter := filepath.Join(dir, "adapter")
	if err := tinyAdapter(adapter, name); err != nil {
		t.Fatal(err)
	}
	at, _ := serveInTest(t, nil, "serve", name, "--addr", "127.0.0.1:0", "--max-batch", "4", "--chunk", "16", "--ngram", "3", "--lora", "changed="+adapter)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 6 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				body := fmt.Sprintf(`{"prompt":%q,"max_tokens":%d,"seed":%d,"ignore_eos":true}`, strings.Repeat("the market ", 1+(i+n)%9), 5+n%20, n)
				resp, err := http.Post(at.BaseURL+"/completions", "application/json", strings.NewReader(body))
				if err != nil {
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	var file strings.Builder
	for i, ask := range []struct{ path, body string }{
		{"/completions", `{"prompt":"the cat sat on","max_tokens":40,"temperature":0.9,"top_p":0.95,"ignore_eos":true,"repetition_penalty":1.1}`},
		{"/chat/completions", `{"messages":[{"role":"user","content":"who sells bread?"}],"n":2,"seed":-3,"max_tokens":30,"ignore_eos":true,"logit_bias":{"40":3}}`},
		{"/completions", `{"prompt":["a","the sea"],"max_tokens":25,"temperature":0,"stop":["the"]}`},
		{"/completions", `{"prompt":"the market","max_tokens":30,"stream":true,"seed":8,"ignore_eos":true}`},
	} {
		status, body := post(t, at.BaseURL+ask.path, ask.body, "X-Weft-Manifest", "1")
		if status != 200 || strings.Count(body, `"weft_manifest"`) != 1 {
			t.Fatalf("answer %d: got %d %s", i, status, body)
		}
		file.WriteString(body)
	}
	close(stop)
	wg.Wait()
	saved := filepath.Join(dir, "answers.jsonl")
	if err := os.WriteFile(saved, []byte(file.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--beside", "5", "--max-batch", "3"}} {
		out := weft(t, append([]string{"replay", saved, name, "--json"}, more...)...)
		var got []replayed
		if err := json.Unmarshal([]byte(out), &got); err != nil || len(got) != 6 {
			t.Fatalf("%v: %s: %v, want six answers", more, out, err)
		}
		for _, r := range got {
			if !r.Identical || r.Answer < 3 && r.Tokens != []int{40, 30, 30}[r.Answer] {
				t.Errorf("%v: %+v", more, r)
			}
		}
	}
	status, body := post(t, at.BaseURL+"/completions", `{"model":"changed","prompt":"the sea","max_tokens":20,"seed":4,"ignore_eos":true}`, "X-Weft-Manifest", "1")
	other := filepath.Join(dir, "changed.json")
	if err := os.WriteFile(other, []byte(body), 0o644); status != 200 || err != nil {
		t.Fatalf("got %d %s, %v", status, body, err)
	}
	if out := weft(t, "replay", other, name, "--lora", adapter); out != "answer 0: identical, 20 tokens\n" {
		t.Errorf("through an adapter: got %s", out)
	}
	bare := &env{in: strings.NewReader(""), out: io.Discard, err: new(strings.Builder)}
	if code := bare.main(t.Context(), []string{"replay", other, name}); code != 1 || !strings.Contains(fmt.Sprint(bare.err), "name the adapter that gave the answer") {
		t.Errorf("without its adapter: code %d, %s", code, bare.err)
	}
	changed := strings.Replace(file.String(), `"token_ids":[`, `"token_ids":[9999999,`, 1)
	if err := os.WriteFile(saved, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	e := &env{in: strings.NewReader(""), out: io.Discard, err: new(strings.Builder)}
	if code := e.main(t.Context(), []string{"replay", saved, name}); code != 1 || !strings.Contains(fmt.Sprint(e.err), "1 of 6 answers differ") {
		t.Errorf("a token changed: code %d, %s", code, e.err)
	}
}

// TestAdaptersWithinMemory: adapters that clients load are part of the memory for
// models, and one that does not fit is refused with what would.
func TestAdaptersWithinMemory(t *testing.T) {
	dir := t.TempDir()
	if err := tinyModel(filepath.Join(dir, "m"), "weft"); err != nil {
		t.Fatal(err)
	}
	l, err := findModel(filepath.Join(dir, "m"))
	if err != nil {
		t.Fatal(err)
	}
	size, err := footprintOf(l, engineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := zoo.Load(filepath.Join(dir, "m"))
	if err != nil {
		t.Fatal(err)
	}
	for name, rank := range map[string]int{"small": 2, "large": 1024} {
		a, err := lora.New(m, lora.Config{Base: "m", Rank: rank, Targets: []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}}, tensor.NewRNG(1))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Save(filepath.Join(dir, "loras", name)); err != nil {
			t.Fatal(err)
		}
	}
	at, _ := serveInTest(t, nil, "serve", filepath.Join(dir, "m"), "--addr", "127.0.0.1:0", "--memory", fmt.Sprint(4*size.bytes(size.least())), "--lora-dir", filepath.Join(dir, "loras"))
	if status, body := post(t, at.BaseURL+"/completions", `{"prompt":"the cat","max_tokens":4}`); status != 200 {
		t.Fatalf("got %d %s", status, body)
	}
	_, before := places(t, at.URL)
	if status, body := post(t, at.BaseURL+"/load_lora_adapter", `{"lora_name":"large","lora_path":"large"}`); status != 400 || !strings.Contains(body, "it does not fit") || !strings.Contains(body, "instead of 1024") {
		t.Errorf("a large adapter: got %d %s", status, body)
	}
	if status, body := post(t, at.BaseURL+"/load_lora_adapter", `{"lora_name":"small","lora_path":"small"}`); status != 200 {
		t.Errorf("a small adapter: got %d %s", status, body)
	}
	if status, body := post(t, at.BaseURL+"/completions", `{"model":"small","prompt":"the cat","max_tokens":4}`); status != 200 {
		t.Errorf("through it: got %d %s", status, body)
	}
	want, err := lora.Measure(lora.At(filepath.Join(dir, "loras", "small")))
	if err != nil {
		t.Fatal(err)
	}
	if _, after := places(t, at.URL); after-before != want.Bytes() {
		t.Errorf("%d bytes used before and %d after, want %d more", before, after, want.Bytes())
	}
	resp, err := http.Get(at.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(body), fmt.Sprintf(`weft_lora_memory_bytes{model_name="m"} %v`, float64(want.Bytes()))) {
		t.Errorf("metrics lack weft_lora_memory_bytes %v", float64(want.Bytes()))
	}
}
