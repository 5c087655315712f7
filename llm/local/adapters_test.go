package local

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/compute/tensor"
	"weft/infer/engine"
	"weft/model/llama"
	"weft/model/lora"
)

// adapterNet is a small model with a byte for each of its 256 tokens.
func adapterNet() *llama.Llama {
	return llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 48, NumHiddenLayers: 2, NumAttentionHeads: 4, VocabSize: 256, MaxPositionEmbeddings: 64, InitializerRange: 0.3,
	}, tensor.NewRNG(1))
}

// saveAdapter writes an adapter that changes something.
func saveAdapter(t *testing.T, dir, base string, seed uint64) {
	t.Helper()
	a, err := lora.New(adapterNet(), lora.Config{Base: base, Rank: 4, Alpha: 8, Targets: []string{"q_proj", "down_proj"}}, tensor.NewRNG(seed))
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range a.Params() {
		tensor.NewRNG(seed+uint64(i)).FillNormal(p.Value.Data, 0.5)
	}
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
}

// liveAdapters serves a model with a set of adapters.
func liveAdapters(t *testing.T, all *Adapters) (*Model, *engine.Engine) {
	t.Helper()
	n := adapterNet()
	e := engine.New(n, engine.Options{MaxAdapters: 2})
	t.Cleanup(e.Close)
	m := New(&fakeTok{}, nil, e, n.Info())
	m.SetIdentity(func() (chat.Identity, error) { return chat.Identity{Weights: "w"}, nil })
	if err := all.Attach(m, e, n); err != nil {
		t.Fatal(err)
	}
	return m, e
}

// sayThrough is the ids of a greedy answer, and the hash of its adapter.
func sayThrough(t *testing.T, m *Model, adapter string) (ids []int32, hash string, err error) {
	t.Helper()
	zero := 0.0
	r := chat.Request{PromptIDs: []int32{5, 9, 200, 31}, MaxTokens: 8, Logprobs: -1, IgnoreEOS: true, Trace: true, Adapter: adapter, Sampling: chat.Sampling{Temperature: &zero}}
	for d, err := range m.Generate(context.Background(), r) {
		if err != nil {
			return nil, "", err
		}
		if d.Trace != nil {
			ids, hash = d.Trace.Tokens, d.Identity.Adapter
		}
	}
	return ids, hash, nil
}

// TestAdapters: adapters are read, asked for by name, stay while the model leaves
// memory and comes back, and go.
func TestAdapters(t *testing.T) {
	dir := t.TempDir()
	saveAdapter(t, filepath.Join(dir, "inside", "a"), "base", 1)
	saveAdapter(t, filepath.Join(dir, "b"), "base", 2)
	saveAdapter(t, filepath.Join(dir, "inside", "c"), "another", 3)
	all := NewAdapters(AdapterOptions{Names: []string{"base"}, Dir: filepath.Join(dir, "inside")})
	var away *chat.UnavailableError
	if err := all.Load("a", "a"); !errors.As(err, &away) {
		t.Errorf("an adapter for a model that is not there: %v", err)
	}
	if err := all.Declare("b", filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := all.Declare("b", "again"); err == nil || !strings.Contains(err.Error(), "loaded already") {
		t.Errorf("the same name twice: %v", err)
	}
	m, e := liveAdapters(t, all)
	if err := all.Load("a", "a"); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, a := range all.List() {
		names = append(names, a.Name+" "+filepath.Base(a.Path))
	}
	if !slices.Equal(names, []string{"b b", "a a"}) {
		t.Errorf("list is %q", names)
	}
	said := map[string][]int32{}
	for _, name := range []string{"", "a", "b"} {
		ids, hash, err := sayThrough(t, m, name)
		if err != nil || len(ids) != 8 || (hash == "") != (name == "") {
			t.Fatalf("adapter %q: %v, hash %q, error %v", name, ids, hash, err)
		}
		for other, was := range said {
			if slices.Equal(was, ids) {
				t.Errorf("adapters %q and %q say the same", name, other)
			}
		}
		said[name] = ids
	}
	if _, _, err := sayThrough(t, m, "c"); !errors.Is(err, chat.ErrNoAdapter) {
		t.Errorf("an adapter that is not there: %v", err)
	}

	all.Detach()
	e.Close()
	if _, _, err := sayThrough(t, m, "a"); err == nil {
		t.Error("a model that has left memory answers")
	}
	m, _ = liveAdapters(t, all)
	for name, was := range said {
		if ids, _, err := sayThrough(t, m, name); err != nil || !slices.Equal(ids, was) {
			t.Errorf("adapter %q after the model came back: %v (%v), want %v", name, ids, err, was)
		}
	}
	if err := all.Unload(context.Background(), "a"); err != nil {
		t.Error(err)
	}
	if _, _, err := sayThrough(t, m, "a"); !errors.Is(err, chat.ErrNoAdapter) {
		t.Errorf("an adapter that was unloaded: %v", err)
	}
	if err := all.Unload(context.Background(), "a"); !errors.Is(err, chat.ErrNoAdapter) {
		t.Errorf("unloaded twice: %v", err)
	}
	if err := all.Load("a", "a"); err != nil {
		t.Errorf("loaded again: %v", err)
	}
	if ids, _, err := sayThrough(t, m, "a"); err != nil || !slices.Equal(ids, said["a"]) {
		t.Errorf("loaded again: %v (%v), want %v", ids, err, said["a"])
	}
}

// TestAdapterPaths: who asks over a network reads nothing outside the folder.
func TestAdapterPaths(t *testing.T) {
	dir := t.TempDir()
	inside := filepath.Join(dir, "inside")
	saveAdapter(t, filepath.Join(inside, "a"), "base", 1)
	saveAdapter(t, filepath.Join(inside, "c"), "another", 3)
	saveAdapter(t, filepath.Join(dir, "b"), "base", 2)
	if err := os.Symlink(filepath.Join(dir, "b"), filepath.Join(inside, "link")); err != nil {
		t.Fatal(err)
	}
	all := NewAdapters(AdapterOptions{Names: []string{"base"}, Dir: inside})
	liveAdapters(t, all)
	for _, c := range []struct{ name, path, param, want string }{
		{"x", "../b", "lora_path", "want a folder below"},
		{"x", filepath.Join(dir, "b"), "lora_path", "want a folder below"},
		{"x", "/etc", "lora_path", "want a folder below"},
		{"x", "a/../../b", "lora_path", "want a folder below"},
		{"x", "link", "lora_path", "path escapes"},
		{"x", "none", "lora_path", "an adapter is a folder"},
		{"x", "c", "lora_path", `made for "another"`},
		{"", "a", "lora_name", "1 to 128 characters"},
		{"a,b", "a", "lora_name", "without commas"},
		{"a\nb", "a", "lora_name", "can be printed"},
	} {
		err := all.Load(c.name, c.path)
		var input *chat.InputError
		if !errors.As(err, &input) || input.Param != c.param || !strings.Contains(input.Msg, c.want) {
			t.Errorf("%q from %q: error %v, want %s with %q", c.name, c.path, err, c.param, c.want)
		}
	}
	if err := all.Load("a", filepath.Join(inside, "a")); err != nil {
		t.Errorf("a whole path: %v", err)
	}
	if err := all.Load("a", "a"); err == nil || !strings.Contains(err.Error(), "loaded already") {
		t.Errorf("the same name twice: %v", err)
	}
	if err := all.Load("b", "a"); err != nil {
		t.Error(err)
	}
	if err := all.Load("third", "a"); err == nil || !strings.Contains(err.Error(), "one more than 2") {
		t.Errorf("one adapter too many: %v", err)
	}
	wrong := NewAdapters(AdapterOptions{Names: []string{"base"}})
	if err := wrong.Declare("c", filepath.Join(inside, "c")); err != nil {
		t.Fatal(err)
	}
	n := adapterNet()
	e := engine.New(n, engine.Options{MaxAdapters: 1})
	defer e.Close()
	if err := wrong.Attach(New(&fakeTok{}, nil, e, n.Info()), e, n); !errors.Is(err, lora.ErrBase) || !strings.HasPrefix(err.Error(), "c: adapter ") {
		t.Errorf("a declared adapter of another base: %v", err)
	}
	if err := NewAdapters(AdapterOptions{}).Load("a", "a"); err == nil || !strings.Contains(err.Error(), "reads no adapters") {
		t.Errorf("a server that reads none: %v", err)
	}
}

// purse is memory of a size.
type purse struct{ left int64 }

func (p *purse) Reserve(bytes int64) (room int64, ok bool) {
	if bytes > p.left {
		return p.left, false
	}
	room = p.left
	p.left -= bytes
	return room, true
}

func (p *purse) Release(bytes int64) { p.left += bytes }

// TestAdaptersAreCounted: adapters take memory before they are read and give it back
// when they go; one without room is refused, with the rank that would have it.
func TestAdaptersAreCounted(t *testing.T) {
	dir := t.TempDir()
	for seed, name := range []string{"a", "b", "c"} {
		saveAdapter(t, filepath.Join(dir, name), "base", uint64(seed))
	}
	saveAdapter(t, filepath.Join(dir, "other"), "another", 9)
	size, err := lora.Measure(lora.At(filepath.Join(dir, "a")))
	if err != nil {
		t.Fatal(err)
	}
	each := size.Bytes()
	all := NewAdapters(AdapterOptions{Names: []string{"base"}, Dir: dir})
	if err := all.Declare("a", filepath.Join(dir, "a")); err != nil {
		t.Fatal(err)
	}
	if err := all.Account(&purse{each - 1}); err == nil || !strings.Contains(err.Error(), "a: it does not fit") || !strings.Contains(err.Error(), "with rank 3 instead of 4 it would") {
		t.Errorf("a byte too little: %v", err)
	}
	mem := &purse{2*each + 10}
	if err := all.Account(mem); err != nil || mem.left != each+10 || all.Bytes() != 0 {
		t.Fatalf("%v, %d bytes left, %d in memory before anything is read", err, mem.left, all.Bytes())
	}
	liveAdapters(t, all)
	if err := all.Load("other", "other"); err == nil || mem.left != each+10 {
		t.Errorf("an adapter of another base: %v, %d bytes left", err, mem.left)
	}
	if err := all.Load("b", "b"); err != nil || mem.left != 10 || all.Bytes() != 2*each {
		t.Fatalf("%v, %d bytes left, %d in memory, want twice %d", err, mem.left, all.Bytes(), each)
	}
	var input *chat.InputError
	if err := all.Load("c", "c"); !errors.As(err, &input) || input.Param != "lora_path" || !strings.Contains(err.Error(), "unload another adapter") {
		t.Errorf("one more than fits: %v", err)
	}
	if err := all.Unload(t.Context(), "a"); err != nil || mem.left != each+10 {
		t.Errorf("unloaded: %v, %d bytes left", err, mem.left)
	}
	if err := all.Load("c", "c"); err != nil {
		t.Error(err)
	}
}
