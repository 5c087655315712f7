package local

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"reflect"
	"strings"
	"testing"

	"weft/chat"
	"weft/infer/engine"
	"weft/model"
)

// ends is the last delta of an answer.
func ends(t *testing.T, m *Model, r chat.Request) (last chat.Delta) {
	t.Helper()
	for d, err := range m.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		last = d
	}
	return last
}

// TestTrace: the last delta says what decided the answer, with every default
// filled in; a stop string ends the tokens where it ends the text.
func TestTrace(t *testing.T) {
	tok := &fakeTok{specials: []string{"<|bos|>", "<|end|>"}}
	bos, _ := tok.BOS()
	eos, _ := tok.EOS()
	m, _ := fake(tok, 'h', 'i', '!', eos)
	asked := 0
	m.SetIdentity(func() (chat.Identity, error) {
		asked++
		return chat.Identity{Weights: "w", Tokenizer: "t"}, nil
	})
	seed, hot := ^uint64(0), 0.7
	r := chat.Request{Prompt: "p", Logprobs: -1, Trace: true, StopIDs: []int32{7}, Sampling: chat.Sampling{Temperature: &hot, TopK: 3, Seed: &seed, LogitBias: map[int32]float64{5: -1}}}
	d := ends(t, m, r)
	want := chat.Trace{
		Prompt: []int32{bos, 'p'}, Tokens: []int32{'h', 'i', '!', eos}, Finish: chat.FinishStop, Stop: []int32{7, eos, bos},
		Sampling: chat.Settled{Temperature: 0.7, TopP: 1, TopK: 3, RepetitionPenalty: 1, Seed: -1, LogitBias: map[int32]float64{5: -1}},
	}
	if d.Trace == nil || !reflect.DeepEqual(*d.Trace, want) || d.Identity == nil || d.Identity.Weights != "w" || d.Times == nil {
		t.Errorf("got %+v of %+v, want %+v", d.Trace, d.Identity, want)
	}
	r.Stop, r.Sampling = []string{"i"}, chat.Sampling{}
	if d = ends(t, m, r); len(d.Trace.Tokens) != 2 || d.Trace.Finish != chat.FinishStop || d.Trace.Sampling.Seed < 0 || d.Trace.Sampling.Seed >= 1<<53 {
		t.Errorf("with a stop string: got %+v, want two tokens and a seed that JSON's numbers hold", d.Trace)
	}
	text, err := json.Marshal(chat.Manifest{Version: chat.ManifestVersion, Identity: *d.Identity, Answers: []chat.Trace{*d.Trace}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := chat.ParseManifest(text)
	if err != nil || !reflect.DeepEqual(again.Answers[0], *d.Trace) {
		t.Errorf("through JSON: got %+v, %v, want %+v", again, err, d.Trace)
	}
	r.Trace = false
	if d = ends(t, m, r); d.Trace != nil || d.Identity != nil || asked != 2 {
		t.Errorf("not asked for: got %+v, %+v, asked %d times", d.Trace, d.Identity, asked)
	}
	m.SetIdentity(func() (chat.Identity, error) { return chat.Identity{}, errors.New("the files have changed") })
	r.Trace = true
	for _, err := range m.Generate(t.Context(), r) {
		if err == nil || !strings.Contains(err.Error(), "changed") {
			t.Errorf("an identity that cannot be told: got %v", err)
		}
	}
}

// script is an engine that says what a test lets it, to the limit.
type script []engine.Token

func (s script) Generate(_ context.Context, r engine.Request) iter.Seq2[engine.Token, error] {
	return func(yield func(engine.Token, error) bool) {
		for i, tok := range s {
			if i == r.MaxTokens || !yield(tok, nil) {
				return
			}
		}
	}
}

func TestReplay(t *testing.T) {
	said := func(ids ...int32) (s script) {
		for _, id := range ids {
			s = append(s, engine.Token{ID: id})
		}
		return s
	}
	say := func(s script) *Model { return New(&fakeTok{}, nil, s, model.Info{}) }
	stops := said(1, 2)
	stops[1].Finish = engine.Stop
	trace := chat.Trace{Prompt: []int32{9}, Tokens: []int32{1, 2, 3}}
	for name, test := range map[string]struct {
		now  script
		want Replayed
	}{
		"same":          {said(1, 2, 3), Replayed{Tokens: 3, Same: true}},
		"goes on":       {said(1, 2, 3, 4), Replayed{Tokens: 3, Same: true}}, // a stop string had ended it
		"another":       {said(1, 5, 3), Replayed{Tokens: 3, At: 1, Was: 2, Is: 5}},
		"first":         {said(7), Replayed{Tokens: 3, At: 0, Was: 1, Is: 7}},
		"over too soon": {stops, Replayed{Tokens: 3, At: 2, Was: 3, Is: -1}},
	} {
		if got, err := say(test.now).Replay(t.Context(), trace, ""); err != nil || got != test.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, test.want)
		}
	}
	if got, err := say(said(1)).Replay(t.Context(), chat.Trace{Prompt: []int32{9}}, ""); err != nil || !got.Same {
		t.Errorf("a prompt alone: got %+v, %v", got, err)
	}
	if _, err := say(said(1)).Replay(t.Context(), trace, "none"); !errors.Is(err, chat.ErrNoAdapter) {
		t.Errorf("an adapter that is not there: got %v", err)
	}
}
