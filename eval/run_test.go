package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"weft/chat"
	"weft/text/corpus/world"
)

// parrot answers "say X" with X, and anything as its rules say.
type parrot struct {
	asked atomic.Int64
	rules map[string]func() (chat.Delta, error) // by the last message
	limit int                                   // context, tokens; 0: any
}

func (p *parrot) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		p.asked.Add(1)
		if err := ctx.Err(); err != nil {
			yield(chat.Delta{}, err)
			return
		}
		last := r.Messages[len(r.Messages)-1].Content
		if p.limit > 0 && r.MaxTokens > p.limit {
			yield(chat.Delta{}, &chat.ContextError{Prompt: 3, Max: r.MaxTokens, Context: p.limit})
			return
		}
		d := chat.Delta{Text: strings.TrimPrefix(last, "say ")}
		if rule := p.rules[last]; rule != nil {
			var err error
			if d, err = rule(); err != nil {
				yield(chat.Delta{}, err)
				return
			}
		}
		if *r.Sampling.Temperature != 0 || r.Logprobs != -1 {
			d.Text = "not greedy"
		}
		if !yield(d, nil) {
			return
		}
		yield(chat.Delta{Finish: chat.FinishStop, Usage: &chat.Usage{CompletionTokens: len(strings.Fields(d.Text)) + 1}}, nil)
	}
}

// item is one question of a task, with an accepted answer.
func item(task world.Task, level, n int, question, accept string) world.Item {
	return world.Item{ID: fmt.Sprintf("%s-%d", task, n), Task: task, Level: level,
		Messages: []chat.Message{{Role: chat.User, Content: question}, {Role: chat.Assistant, Content: accept}},
		Label:    world.Label{Kind: world.KindAnswer, Accept: []string{accept}}}
}

// quiz has two tasks of ten items; the parrot gets the first eight of each
// right, those of task b at two levels.
func quiz() []world.Item {
	var out []world.Item
	for i := range 10 {
		q := fmt.Sprintf("say %d", i)
		a := fmt.Sprint(i)
		if i >= 8 {
			a = "other"
		}
		out = append(out, item("a", 1, i, q, a), item("b", 1+i%2, i, q+" b", a+" b"))
	}
	return out
}

func mustRun(t *testing.T, m chat.Model, items []world.Item, o Options) Report {
	t.Helper()
	r, err := Run(t.Context(), m, slices.Values(items), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRunScores(t *testing.T) {
	var calls int
	o := Options{Concurrency: 4, Failures: 1, Progress: func(done, total, found int) { calls++ }}
	r := mustRun(t, new(parrot), quiz(), o)
	if calls != 21 {
		t.Errorf("progress was told %d times, want 21", calls)
	}
	var names []string
	for _, s := range r.Scores {
		names = append(names, fmt.Sprintf("%s %d: %d of %d", s.Task, s.Level, s.Right.Count, s.Right.Of))
	}
	want := []string{"a 0: 8 of 10", "b 0: 8 of 10", "b 1: 4 of 5", "b 2: 4 of 5"}
	if !slices.Equal(names, want) {
		t.Errorf("scores are %q, want %q", names, want)
	}
	a := r.Scores[0]
	if a.Right.Rate != 0.8 || a.Right.Interval != Wilson(8, 10) || a.Tokens != 2 || a.Abstained.Count != 0 || a.Detectable != Detectable(0.8, 10) {
		t.Errorf("score of a is %+v", a)
	}
	if len(r.Failures) != 2 || r.Failures[0].Item.ID != "a-8" || r.Failures[0].Reply.Content != "8" || !strings.Contains(r.Failures[0].Why, "other") {
		t.Errorf("failures are %+v, want the first of each task", r.Failures)
	}
	if alone := mustRun(t, new(parrot), quiz(), Options{Concurrency: 1, Failures: 1}); !reflect.DeepEqual(alone, r) {
		t.Error("one at a time, the report differs")
	}
	if s, ok := r.Find("a", 1); !ok || s.Right.Of != 10 {
		t.Errorf("the only level of a task: got %+v, %v", s, ok)
	}
}

// TestRunResumes: what was answered before a stop is not asked again, and the
// report is the one of a run that was never stopped.
func TestRunResumes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "answers.jsonl")
	o := Options{Concurrency: 2, Answers: path, ModelID: "m1"}
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(done, _, _ int) {
		if done == 7 {
			cancel()
		}
	}
	_, err := Run(ctx, new(parrot), slices.Values(quiz()), o)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "of 20 items") {
		t.Fatalf("stopped: got %v", err)
	}
	o.Progress = nil
	// A kill in the middle of a write leaves half a line.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"key":"12`); err != nil {
		t.Fatal(err)
	}
	f.Close()

	p := new(parrot)
	r := mustRun(t, p, quiz(), o)
	if n := p.asked.Load(); n > 13 || n < 11 {
		t.Errorf("asked %d of 20 again, want about 13", n)
	}
	if whole := mustRun(t, new(parrot), quiz(), Options{ModelID: "m1"}); !reflect.DeepEqual(r, whole) {
		t.Error("the report is not that of a run without a stop")
	}
	again := new(parrot)
	if mustRun(t, again, quiz()[:12], o); again.asked.Load() != 0 {
		t.Errorf("fewer items: asked %d again", again.asked.Load())
	}
	o.ModelID = "m2"
	if mustRun(t, again, quiz(), o); again.asked.Load() != 20 {
		t.Errorf("another model: asked %d, want all 20", again.asked.Load())
	}
	o.ModelID, o.MaxTokens = "m1", 9
	if mustRun(t, again, quiz(), o); again.asked.Load() != 40 {
		t.Errorf("another limit: asked %d more, want all 20", again.asked.Load()-20)
	}
	if err := os.WriteFile(path, []byte("{\"key\":\"x\"}\nnot an answer\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), again, slices.Values(quiz()), o); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a file of something else: got %v", err)
	}
}

// TestRunErrors: a failure of the model is counted, shown, kept out of the
// shares, and asked again the next time.
func TestRunErrors(t *testing.T) {
	broken := &parrot{rules: map[string]func() (chat.Delta, error){
		"say 3": func() (chat.Delta, error) { return chat.Delta{}, errors.New("the wire is cut") },
	}}
	o := Options{Answers: filepath.Join(t.TempDir(), "a.jsonl"), ModelID: "m"}
	r := mustRun(t, broken, quiz(), o)
	if s := r.Scores[0]; s.Errors != 1 || s.Right.Of != 9 || s.Right.Count != 7 {
		t.Errorf("score is %+v, want 1 error, 7 of 9", s)
	}
	if i := slices.IndexFunc(r.Failures, func(f Failure) bool { return strings.Contains(f.Why, "the wire is cut") }); i < 0 {
		t.Errorf("no failure shows the error: %+v", r.Failures)
	}
	bars := []Bar{{"a", 0, Right, 0.5, 1}}
	if c := r.Check(bars); c[0].Met || !strings.Contains(c[0].Verdict(), "1 error") {
		t.Errorf("a bar with errors: got %+v", c)
	}
	healed := new(parrot)
	if r = mustRun(t, healed, quiz(), o); healed.asked.Load() != 1 || r.Scores[0].Errors != 0 {
		t.Errorf("after it healed: asked %d, %+v", healed.asked.Load(), r.Scores[0])
	}

	for name, c := range map[string]struct {
		m     chat.Model
		items []world.Item
		o     Options
		says  string
	}{
		"nothing works": {&parrot{limit: 2}, quiz()[:2], Options{}, "so did every other"},
		"no template": {&parrot{rules: map[string]func() (chat.Delta, error){"say 0": func() (chat.Delta, error) { return chat.Delta{}, chat.ErrNoTemplate }}},
			quiz(), Options{}, "chat template"},
		"no items":     {healed, nil, Options{}, "no items"},
		"twice":        {healed, append(quiz(), quiz()[0]), Options{}, "twice"},
		"no reference": {healed, []world.Item{{ID: "x", Messages: []chat.Message{{Role: chat.User}}}}, Options{}, "reference"},
		"no name":      {healed, quiz(), Options{Answers: "x"}, "ModelID"},
		"kind":         {healed, []world.Item{{ID: "x", Messages: quiz()[0].Messages, Label: world.Label{Kind: "taste"}}}, Options{}, `"taste"`},
	} {
		if _, err := Run(t.Context(), c.m, slices.Values(c.items), c.o); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.says)
		}
	}
}

// TestRunSmallContext: the limit of a reply gives way to the context.
func TestRunSmallContext(t *testing.T) {
	if r := mustRun(t, &parrot{limit: 100}, quiz(), Options{}); r.Scores[0].Right.Count != 8 || r.Scores[0].Errors != 0 {
		t.Errorf("score is %+v", r.Scores[0])
	}
}
