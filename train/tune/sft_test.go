package tune

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/compute/tensor"
	"weft/model/llama"
	"weft/model/nn"
	"weft/model/zoo"
	"weft/text/corpus"
	"weft/text/template"
	"weft/text/tokenizer"
	"weft/train"
)

// base makes a small untrained model folder; specials may leave markers out.
func base(t *testing.T, specials []string, change func(*llama.Llama)) string {
	t.Helper()
	dir := t.TempDir()
	texts := func(yield func(string, error) bool) {
		yield("user words and the words of the assistant, in lower case: what is it? it is this.", nil)
	}
	tok, err := tokenizer.Train(context.Background(), iter.Seq2[string, error](texts),
		tokenizer.TrainOptions{VocabSize: 256 + len(specials), Pattern: "gpt2", Special: specials})
	if err != nil {
		t.Fatal(err)
	}
	m := llama.New(llama.Config{HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 1, NumAttentionHeads: 2,
		VocabSize: tok.VocabSize(), MaxPositionEmbeddings: 64}, tensor.NewRNG(1))
	if change != nil {
		change(m)
	}
	if err := errors.Join(zoo.Save(dir, m, nil), tok.Save(filepath.Join(dir, "tokenizer.json"))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func weftSpecials(t *testing.T) []string {
	t.Helper()
	tmpl, err := template.Named("weft")
	if err != nil {
		t.Fatal(err)
	}
	return tmpl.Specials()
}

// talk is n conversations of one question with one answer.
func talk(n int, ask, answer string) iter.Seq2[corpus.Chat, error] {
	return func(yield func(corpus.Chat, error) bool) {
		for i := range n {
			c := corpus.Chat{Source: fmt.Sprint("chat ", i), Messages: []chat.Message{
				{Role: chat.User, Content: fmt.Sprint(ask, i)}, {Role: chat.Assistant, Content: answer}}}
			if !yield(c, nil) {
				return
			}
		}
	}
}

func options(t *testing.T, dir string) SFTOptions {
	o := SFTOptions{Base: dir, Out: filepath.Join(t.TempDir(), "sft"), Chats: talk(40, "what is ", "it is this."), BatchTokens: 256}
	o.Schedule.Peak, o.SaveEvery = 1e-2, 3
	return o
}

func TestSFTLearnsTheAnswer(t *testing.T) {
	dir := base(t, weftSpecials(t), nil)
	o := options(t, dir)
	o.Epochs = 8
	var notes []string
	o.Observer = func(e any) {
		if n, ok := e.(*train.Note); ok {
			notes = append(notes, n.Text)
		}
	}
	res, err := SFT(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if want := "36 conversations to learn, 4 held out"; !slices.Contains(notes, want) {
		t.Errorf("noted %q, want %q", notes, want)
	}
	if res.After.Loss > 0.5*res.Before.Loss {
		t.Errorf("held-out loss went from %.3f to %.3f", res.Before.Loss, res.After.Loss)
	}
	for _, load := range []func() error{
		func() error { _, err := zoo.Load(o.Out); return err },
		func() error { _, err := tokenizer.Load(o.Out); return err },
		func() error {
			tmpl, err := template.LoadFS(os.DirFS(o.Out))
			if err == nil && tmpl == nil {
				err = errors.New("no template")
			}
			return err
		},
	} {
		if err := load(); err != nil {
			t.Errorf("the folder cannot be served: %v", err)
		}
	}
	s, err := train.ReadState(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := fileHash(os.DirFS(dir), "model.safetensors")
	if err != nil || s.Kind != kind || s.Lineage.Parent != parent || s.Lineage.Tokenizer == "" || s.Lineage.Template == "" || s.Lineage.Data == "" {
		t.Errorf("lineage is %+v, %v", s.Lineage, err)
	}
}

// With attention and feed-forward silenced, a position sees only itself; one
// step then moves the embedding of a token exactly if its position is asked to
// predict a word of the assistant.
func TestUserWordsHaveNoGradient(t *testing.T) {
	dir := base(t, weftSpecials(t), func(m *llama.Llama) {
		clear(m.Blocks[0].O.(*nn.Dense).W.Value.Data)
		clear(m.Blocks[0].Down.(*nn.Dense).W.Value.Data)
	})
	before, err := zoo.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, all := range []bool{false, true} {
		o := options(t, dir)
		o.Chats, o.AllTokens = talk(1, "QXZ", "abc"), all
		o.Steps = 1
		if _, err := SFT(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		after, err := zoo.Load(o.Out)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		table := func(m interface{ Walk(func(nn.Leaf)) }) *tensor.Tensor { return nn.Params(m)[0].Value }
		moved := func(text string) bool {
			ids := tok.EncodeSpecial(text)
			if len(ids) != 1 {
				t.Fatalf("%q is %d tokens, want one", text, len(ids))
			}
			return !slices.Equal(table(before.(*llama.Llama)).Row(int(ids[0])), table(after.(*llama.Llama)).Row(int(ids[0])))
		}
		for _, user := range []string{"Q", "X", "Z", "0", "<|user|>", "<|bos|>"} {
			if moved(user) != all {
				t.Errorf("all tokens %v: the embedding of %q moved: %v", all, user, !all)
			}
		}
		for _, assistant := range []string{"<|assistant|>", "a", "b", "c"} {
			if !moved(assistant) {
				t.Errorf("all tokens %v: the embedding of %q did not move", all, assistant)
			}
		}
	}
}

func TestResumeIsExact(t *testing.T) {
	dir := base(t, weftSpecials(t), nil)
	whole := options(t, dir)
	want, err := SFT(context.Background(), whole)
	if err != nil {
		t.Fatal(err)
	}
	o := options(t, dir)
	ctx, cancel := context.WithCancel(context.Background())
	o.Observer = func(e any) {
		if s, ok := e.(*train.Step); ok && s.Step == 4 {
			cancel()
		}
	}
	if _, err := SFT(ctx, o); !errors.Is(err, train.ErrStopped) {
		t.Fatalf("got %v, want ErrStopped", err)
	}
	o.Observer, o.Resume = nil, true
	changed := o
	changed.Chats = talk(41, "what is ", "it is this.")
	var e *train.ChangedError
	if _, err := SFT(context.Background(), changed); !errors.As(err, &e) || !strings.Contains(err.Error(), "data") {
		t.Errorf("other conversations: %v, want a ChangedError of the data", err)
	}
	changed = o
	changed.Base = base(t, weftSpecials(t), func(m *llama.Llama) { m.Norm.Value.Data[0] = 2 })
	if _, err := SFT(context.Background(), changed); !errors.As(err, &e) || !strings.Contains(err.Error(), "parent") {
		t.Errorf("another base: %v, want a ChangedError of the parent", err)
	}
	got, err := SFT(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.ResumedFrom != 4 || got.Loss != want.Loss || got.After.Loss != want.After.Loss {
		t.Errorf("resumed: %+v, want the bits of %+v", got, want)
	}
}

func TestRefusals(t *testing.T) {
	if _, err := SFT(context.Background(), options(t, base(t, []string{"<|bos|>", "<|end|>"}, nil))); !errors.Is(err, template.ErrMarker) {
		t.Errorf("a tokenizer without the markers: %v, want ErrMarker", err)
	}
	dir := base(t, weftSpecials(t), nil)
	o := options(t, dir)
	o.Chats = talk(20, strings.Repeat("long ", 100), "short")
	if _, err := SFT(context.Background(), o); !errors.Is(err, corpus.ErrTooLong) {
		t.Errorf("conversations over the context: %v, want ErrTooLong", err)
	}
	o = options(t, dir)
	o.SeqLen = 65
	if _, err := SFT(context.Background(), o); err == nil || !strings.Contains(err.Error(), "context of 64") {
		t.Errorf("sequence over the context: %v", err)
	}
	// A base whose folder says another tokenizer.
	o = options(t, dir)
	state := filepath.Join(dir, train.StateFile)
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, []byte(`{"version":1,"kind":"pretrain","lineage":{"tokenizer":"other"}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SFT(context.Background(), o); !errors.Is(err, ErrLineage) {
		t.Errorf("a swapped tokenizer: %v, want ErrLineage", err)
	}
	for _, o := range []SFTOptions{{}, {Out: "x"}, {Out: "x", Base: "y"}, {Out: "x", Base: "y", Data: "z", Val: 0.7}, {Out: "x", Base: "y", Data: "z", Epochs: -1},
		{Out: "x", Base: "y", Data: "z", Val: math.NaN()}, {Out: "x", Base: "y", Data: "z", Options: train.Options{Budget: -1}}} {
		if o.Validate() == nil {
			t.Errorf("%+v passes", o)
		}
	}
}

// Equal conversations are on the same side, whatever their order.
func TestDivide(t *testing.T) {
	var all []rendered
	for i := range 100 {
		x := rendered{Example: corpus.Example{Name: fmt.Sprint(i % 50)}}
		x.hash[0] = byte(i % 50 * 37)
		all = append(all, x)
	}
	learn, held := divide(all, 0.1)
	side := map[string]bool{}
	for _, x := range held {
		side[x.Name] = true
	}
	for _, x := range learn {
		if side[x.Name] {
			t.Errorf("conversation %s is on both sides", x.Name)
		}
	}
	slices.Reverse(all)
	if _, again := divide(all, 0.1); len(held) != 10 || len(again) != len(held) {
		t.Errorf("%d held out, then %d; want 10", len(held), len(again))
	}
	if _, none := divide(all[:9], 0.1); len(none) != 0 {
		t.Errorf("%d of 9 conversations were held out", len(none))
	}
}

func TestRenderTeachesCalls(t *testing.T) {
	dir := base(t, weftSpecials(t), nil)
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := run{tok: tok, tmpl: template.For(tok)}
	x, err := r.render(corpus.Chat{Tools: []chat.Tool{{Name: "now"}}, Messages: []chat.Message{
		{Role: chat.User, Content: "what is it?"}, {Role: chat.Assistant, ToolCalls: []chat.ToolCall{{Name: "now", Arguments: "{}"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	var learned []int32
	for i, id := range x.IDs {
		if x.Mask[i] {
			learned = append(learned, id)
		}
	}
	const call = `<|call|>{"name": "now", "arguments": {}}<|end|>`
	if want := "<|bos|><|tools|>now()<|end|><|user|>what is it?<|end|><|assistant|>" + call; tok.Decode(x.IDs) != want || tok.Decode(learned) != call {
		t.Errorf("got %q, learned %q", tok.Decode(x.IDs), tok.Decode(learned))
	}
}
