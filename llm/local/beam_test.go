package local

import (
	"context"
	"iter"
	"testing"

	"weft/chat"
	"weft/infer/engine"
	"weft/model"
)

// search is an engine that sends the answers of a beam search.
type search struct {
	answers [][]int32
	seen    engine.Request
}

func (s *search) Generate(_ context.Context, r engine.Request) iter.Seq2[engine.Token, error] {
	s.seen = r
	return func(yield func(engine.Token, error) bool) {
		for i, ids := range s.answers {
			for j, id := range ids {
				t := engine.Token{ID: id, Choice: i}
				if j == len(ids)-1 {
					t.Finish, t.Usage = engine.Length, &chat.Usage{CompletionTokens: len(ids)}
				}
				if !yield(t, nil) {
					return
				}
			}
		}
	}
}

// TestBeam: each answer of a search is a text of its own, cut at its stop string,
// and is drawn from nothing.
func TestBeam(t *testing.T) {
	s := &search{answers: [][]int32{{'a', 'b'}, {'c', '.', 'x', 'y'}, {'d', 'e', 'f'}}}
	tok := &fakeTok{}
	m := New(tok, nil, s, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1})
	hot := 0.9
	r := chat.Request{Prompt: "p", Logprobs: -1, Stop: []string{"."}, Sampling: chat.Sampling{Temperature: &hot},
		Beam: &chat.Beam{Width: 4, Best: 3, LengthPenalty: 0.5, EarlyStopping: true}}
	texts, ends := map[int]string{}, map[int]chat.FinishReason{}
	for d, err := range m.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		texts[d.Choice] += d.Text
		if d.Finish != "" {
			ends[d.Choice] = d.Finish
		}
	}
	if texts[0] != "ab" || texts[1] != "c" || texts[2] != "def" || ends[0] != chat.FinishLength || ends[1] != chat.FinishStop || ends[2] != chat.FinishLength {
		t.Errorf("got %v that end with %v", texts, ends)
	}
	if b := s.seen.Beam; b == nil || *b != (engine.Beam{Width: 4, Best: 3, LengthPenalty: 0.5, EarlyStopping: true}) || s.seen.Params.Temperature != 0 {
		t.Errorf("the engine was asked for %+v with %+v", s.seen.Beam, s.seen.Params)
	}
}
