package eval

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"weft/chat"
	"weft/text/corpus/world"
)

// Options say how to ask. The zero value is the default.
type Options struct {
	Concurrency int    // requests in flight; 16
	MaxTokens   int    // of a reply, fewer where the context is smaller; 256
	Failures    int    // wrong replies kept in the report, per task; 5, none when negative
	Answers     string // jsonl file of the replies, read first and appended to; none
	ModelID     string // names the exact model in Answers, such as a hash of its files; required with it

	// Progress is told, from one goroutine, how many items are done, and how
	// many of them were found in Answers; nobody.
	Progress func(done, total, found int)
}

// Run asks the model every item and grades the replies. Decoding is greedy, and
// equal requests give equal tokens, so the report is the same for any
// concurrency. A reply is written to Answers as soon as it is there; the same
// call, with more or fewer items too, goes on from what the file holds.
//
// An item on which the model fails counts as an error in its score. Run itself
// fails when ctx ends, when an item cannot be judged, or when nothing at all
// was answered.
func Run(ctx context.Context, m chat.Model, items iter.Seq[world.Item], o Options) (Report, error) {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 256
	}
	r := &run{Options: o, model: m}
	seen := map[string]bool{}
	for it := range items {
		if err := checkItem(it); err != nil {
			return Report{}, err
		}
		if seen[it.ID] {
			return Report{}, fmt.Errorf("eval: item %s is there twice", it.ID)
		}
		seen[it.ID] = true
		r.items = append(r.items, it)
	}
	if len(r.items) == 0 {
		return Report{}, errors.New("eval: there are no items to ask")
	}
	if o.Answers != "" {
		if o.ModelID == "" {
			return Report{}, errors.New("eval: answers are to be kept, but nothing names the model they are of: set ModelID")
		}
		var err error
		if r.kept, err = openAnswers(o.Answers); err != nil {
			return Report{}, err
		}
		defer r.kept.close()
	}
	answers, err := r.ask(ctx)
	if err != nil {
		return Report{}, err
	}
	return r.report(answers)
}

// run is one call of Run.
type run struct {
	Options
	model chat.Model
	items []world.Item
	kept  *answers // nil: nowhere
}

// answer is what the model gave for an item.
type answer struct {
	Reply  chat.Message `json:"reply"`
	Tokens int          `json:"tokens"`        // of the reply, its end counted
	Cut    bool         `json:"cut,omitempty"` // it ran into the limit

	err error
}

// ask gets all answers, [items]. It stops at the first error that every other
// item would meet as well.
func (r *run) ask(ctx context.Context) ([]answer, error) {
	work, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := make([]answer, len(r.items))
	var todo []int
	for i, it := range r.items {
		if a, ok := r.kept.find(r.key(it)); ok {
			out[i] = a
		} else {
			todo = append(todo, i)
		}
	}
	next, done := make(chan int), make(chan int)
	var workers sync.WaitGroup
	for range min(r.Concurrency, len(todo)) {
		workers.Go(func() {
			for i := range next {
				out[i] = r.one(work, r.items[i])
				done <- i
			}
		})
	}
	go func() {
		defer close(next)
		for _, i := range todo {
			select {
			case next <- i:
			case <-work.Done():
				return
			}
		}
	}()
	go func() { workers.Wait(); close(done) }()

	found := len(r.items) - len(todo)
	r.tell(found, found)
	got := found
	for i := range done {
		if err := r.keep(work, i, out[i]); err != nil {
			cancel(err)
			continue // the others end by themselves
		}
		got++
		r.tell(got, found)
	}
	if err := context.Cause(work); err != nil {
		return nil, fmt.Errorf("eval: stopped after %d of %d items: %w", got, len(r.items), err)
	}
	return out, nil
}

// keep puts an answer on disk. It returns what ends the whole run.
func (r *run) keep(ctx context.Context, i int, a answer) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(a.err, chat.ErrNoTemplate):
		return a.err
	case a.err != nil: // to be asked again the next time
		return nil
	}
	return r.kept.add(r.key(r.items[i]), r.items[i].ID, a)
}

func (r *run) tell(done, found int) {
	if r.Progress != nil {
		r.Progress(done, len(r.items), found)
	}
}

// one asks one item. Where the context leaves less room than MaxTokens, the
// rest of the context is the limit.
func (r *run) one(ctx context.Context, it world.Item) answer {
	zero := 0.0
	q := chat.Request{
		Messages: it.Messages[:len(it.Messages)-1], Tools: it.Tools,
		Sampling: chat.Sampling{Temperature: &zero}, MaxTokens: r.MaxTokens, Logprobs: -1,
	}
	a := generate(ctx, r.model, q)
	var full *chat.ContextError
	if errors.As(a.err, &full) && full.Prompt < full.Context {
		q.MaxTokens = 0
		a = generate(ctx, r.model, q)
	}
	return a
}

// generate collects the deltas of one request.
func generate(ctx context.Context, m chat.Model, q chat.Request) (a answer) {
	a.Reply.Role = chat.Assistant
	for d, err := range m.Generate(ctx, q) {
		if err != nil {
			a.err = err
			return a
		}
		a.Reply.Content += d.Text
		a.Reply.ToolCalls = append(a.Reply.ToolCalls, d.ToolCalls...)
		if d.Usage != nil {
			a.Tokens = d.Usage.CompletionTokens
		}
		if d.Finish != "" {
			a.Cut = d.Finish == chat.FinishLength
			return a
		}
	}
	a.err = errors.New("the reply ended without a reason")
	return a
}
