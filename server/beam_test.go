package server

import (
	"context"
	"iter"
	"strings"
	"testing"

	"weft/chat"
)

// searcher answers a search with its Best answers, one after the other, and any
// other request with the text of its seed, the likelier the smaller it is.
type searcher struct{}

func (searcher) Generate(_ context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		n, sure := 1, 0.0
		if r.Beam != nil {
			n = r.Beam.Best
		} else if r.Sampling.Seed != nil {
			sure = float64(*r.Sampling.Seed)
		}
		for i := range n {
			word := string(rune('a' + i + int(sure)))
			d := chat.Delta{Text: word, Choice: i, Finish: chat.FinishStop, Usage: &chat.Usage{PromptTokens: 3, CompletionTokens: 1}}
			if r.Logprobs >= 0 {
				d.Logprobs = []chat.TokenLogprob{{Text: word, Bytes: []byte(word), Logprob: -sure}}
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}

// TestSearch: the answers of one search are the choices of a response, whole and
// streamed, for each of several prompts; of best_of drawn answers the likeliest are
// sent, and all are counted.
func TestSearch(t *testing.T) {
	s := testServer(t, nil, func(o *Options) { o.Models[0].Model = searcher{} })
	for _, tc := range []struct{ body, want string }{
		{`{"prompt":["x","y"],"use_beam_search":true,"n":2}`,
			`"choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"b","logprobs":null,"finish_reason":"stop"},{"index":2,"text":"a","logprobs":null,"finish_reason":"stop"},{"index":3,"text":"b","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":4`},
		{`{"prompt":"x","seed":0,"best_of":4,"n":2}`,
			`"choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"},{"index":1,"text":"b","logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4`},
	} {
		if w := call(s, "POST", "/v1/completions", tc.body); w.Code != 200 || !strings.Contains(w.Body.String(), tc.want) {
			t.Errorf("%s: %d %s, want %s", tc.body, w.Code, w.Body, tc.want)
		}
	}
	w := call(s, "POST", "/v1/completions", `{"prompt":"x","use_beam_search":true,"n":2,"stream":true}`)
	for _, part := range []string{`{"index":0,"text":"a"`, `{"index":1,"text":"b"`, "[DONE]"} {
		if !strings.Contains(w.Body.String(), part) {
			t.Errorf("no %s in the stream %s", part, w.Body)
		}
	}
	wantError(t, call(s, "POST", "/v1/completions", `{"prompt":"x","use_beam_search":true}`, manifestHeader, "1"), 400, "invalid_value", manifestHeader)
}

// TestBest: the likeliest per token come first, of each prompt alone.
func TestBest(t *testing.T) {
	of := func(lps ...float64) (a answer) {
		for _, lp := range lps {
			a.logprobs = append(a.logprobs, chat.TokenLogprob{Logprob: lp})
		}
		return a
	}
	got := best([]answer{of(-3), of(-1, -2), of(-1), of(-9), of(-8, -8), of(-7)}, 3, 2)
	want := []float64{-1, -1.5, -7, -8}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i].perToken() != want[i] {
			t.Errorf("place %d: %v per token, want %v", i, got[i].perToken(), want[i])
		}
	}
}
