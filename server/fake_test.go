package server

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"weft/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeModel speaks a fixed text word by word. Knobs make it fail, wait or
// panic, as real models do.
type fakeModel struct {
	words   []string
	thought string          // said in front of the words, with messages
	calls   []chat.ToolCall // made behind the words if tools are offered
	context int             // refuse longer prompts (a token is a byte); 0: none
	busy    bool            // refuse everything
	failAt  int             // fail in front of this word; 0: never
	panicAt int             // panic in front of this word; 0: never
	blind   bool            // keep no traces
	err     error           // refuse everything with it
	block   chan struct{}   // wait for it, or for ctx, in front of the second word
	running atomic.Int64
	seen    atomic.Pointer[chat.Request]
}

func words(s string) []string { return strings.SplitAfter(s, " ") }

func (f *fakeModel) prompt(r chat.Request) string {
	text := r.Prompt
	for _, m := range r.Messages {
		text += m.Content
	}
	for range r.PromptIDs {
		text += "x"
	}
	return text
}

func (f *fakeModel) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		f.running.Add(1)
		defer f.running.Add(-1)
		f.seen.Store(&r)
		prompt := f.prompt(r)
		if f.err != nil {
			yield(chat.Delta{}, f.err)
			return
		}
		if f.busy {
			yield(chat.Delta{}, chat.ErrBusy)
			return
		}
		if f.context > 0 && len(prompt)+max(0, r.MaxTokens) > f.context {
			yield(chat.Delta{}, &chat.ContextError{Prompt: len(prompt), Max: max(0, r.MaxTokens), Context: f.context})
			return
		}
		f.speak(ctx, r, prompt, yield)
	}
}

func (f *fakeModel) speak(ctx context.Context, r chat.Request, prompt string, yield func(chat.Delta, error) bool) {
	words, finish := f.words, chat.FinishStop
	if r.MaxTokens < 0 {
		words = nil
	}
	if r.MaxTokens != 0 && len(words) >= r.MaxTokens {
		words, finish = words[:max(0, r.MaxTokens)], chat.FinishLength
	}
	if r.Echo && prompt != "" {
		d := chat.Delta{Text: prompt}
		if r.Logprobs >= 0 {
			d.Logprobs = []chat.TokenLogprob{logprob(prompt, math.NaN(), r.Logprobs)}
		}
		if !yield(d, nil) {
			return
		}
	}
	if f.thought != "" && len(r.Messages) > 0 && !yield(chat.Delta{Reasoning: f.thought}, nil) {
		return
	}
	for i, w := range words {
		if f.block != nil && i == 1 {
			select {
			case <-f.block:
			case <-ctx.Done():
			}
		}
		if err := ctx.Err(); err != nil {
			yield(chat.Delta{}, err)
			return
		}
		if f.failAt > 0 && i == f.failAt {
			yield(chat.Delta{}, io.ErrUnexpectedEOF)
			return
		}
		if f.panicAt > 0 && i == f.panicAt {
			panic("fake: row out of range")
		}
		d := chat.Delta{Text: w}
		if r.Logprobs >= 0 {
			d.Logprobs = []chat.TokenLogprob{logprob(w, -0.25, r.Logprobs)}
		}
		if !yield(d, nil) {
			return
		}
	}
	last := chat.Delta{Finish: finish}
	if len(r.Tools) > 0 && len(f.calls) > 0 { // the last call ends with the answer
		n := len(f.calls) - 1
		if n > 0 && !yield(chat.Delta{ToolCalls: f.calls[:n]}, nil) {
			return
		}
		last = chat.Delta{ToolCalls: f.calls[n:], Finish: chat.FinishToolCalls}
	}
	last.Usage = &chat.Usage{PromptTokens: len(prompt), CachedTokens: 1, CompletionTokens: len(words), ReasoningTokens: len(strings.Fields(f.thought))}
	last.Times = &chat.Times{Queue: 2 * time.Second, Prefill: 3 * time.Second, Decode: 4 * time.Second}
	if r.Trace && !f.blind {
		last.Identity = &chat.Identity{Weights: "aa", Tokenizer: "bb", Template: "cc", Engine: "weft test", Kernels: "generic", Cache: "f32"}
		last.Trace = &chat.Trace{Prompt: []int32{1, 2}, Stop: []int32{0}, Tokens: []int32{3, 4, 5}, Finish: last.Finish}
		last.Trace.Sampling = chat.Settled{Temperature: 1, TopP: 1, RepetitionPenalty: 1, Seed: -7}
		if r.Sampling.Seed != nil {
			last.Trace.Sampling.Seed = int64(*r.Sampling.Seed)
		}
	}
	yield(last, nil)
}

func logprob(text string, lp float64, top int) chat.TokenLogprob {
	t := chat.TokenLogprob{ID: 7, Text: strings.ToValidUTF8(text, "\ufffd"), Bytes: []byte(text), Logprob: lp}
	for i := range top {
		alt := "alt" + string(rune('a'+i))
		t.Top = append(t.Top, chat.TokenLogprob{Text: alt, Bytes: []byte(alt), Logprob: lp - float64(i) - 1})
	}
	if !utf8.Valid(t.Bytes) {
		t.Text = "\ufffd"
	}
	return t
}

// testServer builds a server over one fake model, with fixed ids and times.
func testServer(t *testing.T, f *fakeModel, change func(*Options)) *Server {
	t.Helper()
	o := Options{Models: []Model{{ID: "tiny", Model: f, Context: 64, Created: time.Unix(1700000000, 0)}}}
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return time.Unix(1800000000, 0) }
	s.newID = func() string { return "0123456789abcdef01234567" }
	return s
}

// call sends one request straight into the handler.
func call(s http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// wantError checks status, code and param of an error body, and that its
// shape is the protocol's.
func wantError(t *testing.T, w *httptest.ResponseRecorder, status int, code, param string) string {
	t.Helper()
	var body struct {
		Error *struct {
			Message *string
			Type    *string
			Param   *string
			Code    *string
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error == nil || body.Error.Message == nil || body.Error.Type == nil {
		t.Fatalf("got body %s (%v), want an error object with message and type", w.Body, err)
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	if w.Code != status || text(body.Error.Code) != code || text(body.Error.Param) != param {
		t.Errorf("got status %d, code %q, param %q, want %d, %q, %q (message: %s)",
			w.Code, text(body.Error.Code), text(body.Error.Param), status, code, param, *body.Error.Message)
	}
	return *body.Error.Message
}
