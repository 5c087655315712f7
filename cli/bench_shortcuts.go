package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"weft/compute/kernel"
	"weft/compute/par"
	"weft/infer/engine"
	"weft/infer/kv"
	"weft/model"
)

// shortcuts is what of `weft bench` asks whether the engine's shortcuts pay.
type shortcuts struct {
	guesses string // --speculate: "ngram", or a MODEL that guesses; "": not measured
	text    string // --text: a file to take prompts from; "": one that repeats itself
	prefix  int    // --prefix: tokens that requests begin with; 0: not measured
}

// on says whether any of it is asked for.
func (s *shortcuts) on() bool { return s.guesses != "" || s.prefix > 0 }

// guessRow compares generation with and without guesses of what comes next.
type guessRow struct {
	Model    string    `json:"model"`
	Note     string    `json:"note,omitempty"`
	Threads  int       `json:"threads"`
	Test     string    `json:"test"`
	Source   string    `json:"source"`  // of the guesses
	Plain    []float64 `json:"plain"`   // tokens/s, turn by turn with
	Guessed  []float64 `json:"guessed"` // these
	Times    float64   `json:"times"`   // median of the ratios of turns
	Right    float64   `json:"right"`   // share of the guesses
	PerPass  float64   `json:"tokens_per_pass"`
	Guesses  uint64    `json:"guesses"`
	Failures uint64    `json:"draft_failures,omitempty"`
}

// prefixRow compares the time to the first token behind a prefix that is not
// known, that is known, and that is on disk as after a restart.
type prefixRow struct {
	Model    string  `json:"model"`
	Note     string  `json:"note,omitempty"`
	Threads  int     `json:"threads"`
	Prefix   int     `json:"prefix"`
	Requests int     `json:"requests"`
	Cold     float64 `json:"cold_ms"`
	Hit      float64 `json:"hit_ms"` // median of the requests after the first
	Times    float64 `json:"times"`
	Disk     float64 `json:"restart_ms"` // the first request of the second start
	DiskHits int     `json:"restart_tokens_found"`
}

// validate checks that there is a model, and what to do with it.
func (s *shortcuts) validate(arg string, b *modelBench) error {
	switch {
	case s.text != "" && s.guesses == "":
		return errors.New("bench: --text is for --speculate")
	case s.prefix < 0:
		return fmt.Errorf("bench: --prefix is %d, want 1 or more tokens", s.prefix)
	case s.on() && arg == "" && b.random == "":
		return errors.New("bench: --speculate and --prefix measure a MODEL, or --random weights: name one")
	}
	return nil
}

// subject is the model to measure: MODEL, or random weights.
type subject struct {
	name, note string
	model      model.Model
	loaded     *loaded // nil: random weights
}

// serve measures what is asked for, on each number of threads.
func (b *modelBench) serve(ctx context.Context, e *env, arg string) error {
	sub, err := b.randomOrLoaded(arg)
	if err != nil {
		return err
	}
	var out benched
	threads := b.threads
	if len(threads) == 0 {
		threads = []int{e.threads}
	}
	for _, n := range threads {
		pool := par.New(n)
		err := b.shortcuts.onPool(ctx, pool, sub, b, &out)
		pool.Close()
		if err != nil {
			return err
		}
	}
	return out.print(e)
}

func (b *modelBench) randomOrLoaded(arg string) (subject, error) {
	if arg == "" {
		return b.randomSubject()
	}
	l, err := loadWith(arg, reading{as: b.stored})
	if err != nil {
		return subject{}, err
	}
	return subject{name: arg, model: l.model, loaded: l}, nil
}

func (s *shortcuts) onPool(ctx context.Context, pool *par.Pool, sub subject, b *modelBench, out *benched) error {
	if s.guesses != "" {
		row, err := s.speculation(ctx, pool, sub, b)
		if err != nil {
			return err
		}
		out.Guesses = append(out.Guesses, row)
	}
	if s.prefix > 0 {
		row, err := s.prefixes(ctx, pool, sub)
		if err != nil {
			return err
		}
		out.Prefix = append(out.Prefix, row)
	}
	return nil
}

// speculation generates from each prompt without guesses and with them, turn by
// turn, in one engine: tokens must be the same.
func (s *shortcuts) speculation(ctx context.Context, pool *par.Pool, sub subject, b *modelBench) (guessRow, error) {
	row := guessRow{Model: sub.name, Note: sub.note, Threads: pool.Size(), Source: "its own text"}
	length, n := 64, 128
	if len(b.prompts) > 0 {
		length = b.prompts[0]
	}
	if len(b.tokens) > 0 {
		n = b.tokens[0]
	}
	row.Test = fmt.Sprintf("tg%d", n)
	if context := sub.model.Info().Context; length+n+1 > context {
		return row, fmt.Errorf("bench: %d tokens behind a prompt of %d do not fit the model's context of %d", n, length, context)
	}
	prompts, err := s.promptsOf(sub, length, b.repeats)
	if err != nil {
		return row, err
	}
	o := engine.Options{Pool: pool, MaxBatch: 1, NoPrefixCache: true, Pages: (length+n)/kernel.BlockLen + 4}
	if s.guesses == "ngram" {
		o.Ngram = 3
	} else if row.Source, o.Draft, err = s.draftFor(sub); err != nil {
		return row, err
	}
	eng, err := engine.Open(sub.model, o)
	if err != nil {
		return row, err
	}
	defer eng.Close()
	var ratios []float64
	var before engine.Stats
	for i := -1; i < len(prompts); i++ { // the first turn warms up
		if i == 0 {
			before = eng.Stats()
		}
		q := engine.Request{Prompt: prompts[max(i, 0)], MaxTokens: n, Logprobs: -1, DraftLen: -1}
		plain, want, err := timed(ctx, eng, q)
		if err != nil {
			return row, err
		}
		q.DraftLen = 0
		guessed, got, err := timed(ctx, eng, q)
		if err != nil {
			return row, err
		}
		if !slices.Equal(got, want) {
			return row, errors.New("bench: with guesses the model says something else: this is a bug")
		}
		if i >= 0 {
			row.Plain, row.Guessed = append(row.Plain, float64(n-1)/plain), append(row.Guessed, float64(n-1)/guessed)
			ratios = append(ratios, plain/guessed)
		}
	}
	after := eng.Stats()
	row.Times, row.Guesses = middle(ratios), after.Drafted-before.Drafted
	row.Failures = after.DraftFailures
	row.Right = float64(after.Accepted-before.Accepted) / float64(max(1, row.Guesses))
	passes := after.Iterations - before.Iterations - uint64(len(prompts)*(n+1)) // of the plain turns, and prompts
	row.PerPass = float64(len(prompts)*(n-1)) / float64(max(1, passes))
	return row, nil
}

// timed runs a request and returns the seconds from its first token to its last.
func timed(ctx context.Context, eng *engine.Engine, q engine.Request) (seconds float64, ids []int32, err error) {
	var first time.Time
	for t, err := range eng.Generate(ctx, q) {
		if err != nil {
			return 0, nil, err
		}
		if len(ids) == 0 {
			first = time.Now()
		}
		ids = append(ids, t.ID)
	}
	return time.Since(first).Seconds(), ids, nil
}

// draftFor loads the model that guesses for another.
func (s *shortcuts) draftFor(sub subject) (name string, m model.Model, err error) {
	if sub.loaded == nil {
		return "", nil, errors.New("bench: --speculate with a MODEL guesses for a MODEL: random weights have no tokenizer to share")
	}
	l, err := loadModel(s.guesses)
	if err != nil {
		return "", nil, fmt.Errorf("--speculate: %w", err)
	}
	if l.tok.Hash() != sub.loaded.tok.Hash() {
		return "", nil, fmt.Errorf("--speculate %s: its tokenizer is not that of %s", s.guesses, sub.name)
	}
	return l.name, l.model, nil
}

// promptsOf are n prompts of so many tokens: pieces of the text, at even
// distances; or a sentence over and over, another one each time; or so with
// random ids.
func (s *shortcuts) promptsOf(sub subject, length, n int) (prompts [][]int32, err error) {
	var all []int32
	if s.text != "" {
		if sub.loaded == nil {
			return nil, errors.New("bench: --text is for a MODEL: random weights have no tokenizer")
		}
		text, err := os.ReadFile(s.text)
		if err != nil {
			return nil, fmt.Errorf("--text: %w", err)
		}
		if all = sub.loaded.tok.Encode(string(text)); len(all) < length {
			return nil, fmt.Errorf("--text %s: it has %d tokens, want %d for a prompt", s.text, len(all), length)
		}
	}
	for i := range n {
		var ids []int32
		switch {
		case all != nil:
			at := (len(all) - length) * i / max(1, n-1)
			ids = all[at : at+length]
		case sub.loaded == nil:
			ids = randomIDs(24, sub.model.Info().Vocab, uint64(i+1))
		default:
			ids = sub.loaded.tok.Encode(sentence(i))
		}
		for len(ids) < length {
			ids = append(ids, ids[:min(len(ids), length-len(ids))]...)
		}
		prompts = append(prompts, ids[:length])
	}
	return prompts, nil
}

// sentence i is one to say over and over.
func sentence(i int) string {
	what := []string{"baker", "shop at the corner", "old house", "teacher", "blue door"}
	return fmt.Sprintf("The %s opens at %d and closes at %d.\n", what[i%len(what)], 6+i%5, 16+i%6)
}

// prefixRequests is how many requests share a prefix.
const prefixRequests = 100

// prefixes lets requests begin alike, one after another, in an engine whose
// prefixes outlive it, and then in a second one.
func (s *shortcuts) prefixes(ctx context.Context, pool *par.Pool, sub subject) (prefixRow, error) {
	const tail, tokens = 4, 4 // of each request alone
	row := prefixRow{Model: sub.name, Note: sub.note, Threads: pool.Size(), Prefix: s.prefix, Requests: prefixRequests}
	info := sub.model.Info()
	if s.prefix+tail+tokens > info.Context {
		return row, fmt.Errorf("bench: a prefix of %d tokens does not fit the model's context of %d", s.prefix, info.Context)
	}
	dir, err := os.MkdirTemp("", "weft-bench-")
	if err != nil {
		return row, err
	}
	defer os.RemoveAll(dir)
	o := engine.Options{Pool: pool, Pages: (s.prefix+tail+tokens)/kernel.BlockLen + prefixRequests + 8,
		PrefixDisk: kv.DiskOptions{Dir: dir, Key: "bench"}}
	prefix := randomIDs(s.prefix, info.Vocab, 1)
	var first []int32
	var hits []float64
	for start := range 2 {
		eng, err := engine.Open(sub.model, o)
		if err != nil {
			return row, err
		}
		for i := range prefixRequests {
			ms, cached, said, err := toFirst(ctx, eng, append(slices.Clone(prefix), randomIDs(tail, info.Vocab, uint64(2+i))...), tokens)
			switch {
			case err != nil:
			case i > 0:
				hits = append(hits, ms)
			case start == 0:
				row.Cold, first = ms, said
			case !slices.Equal(said, first):
				err = errors.New("bench: behind a prefix from disk the model says something else: this is a bug")
			default:
				row.Disk, row.DiskHits = ms, cached
			}
			if err != nil {
				eng.Close()
				return row, err
			}
			if start == 1 {
				break
			}
		}
		eng.Close()
	}
	row.Hit = middle(hits)
	row.Times = row.Cold / row.Hit
	return row, nil
}

// toFirst runs a request and returns the milliseconds to its first token, how
// much of its prompt was known, and what it said.
func toFirst(ctx context.Context, eng *engine.Engine, prompt []int32, n int) (ms float64, cached int, ids []int32, err error) {
	begin := time.Now()
	for t, err := range eng.Generate(ctx, engine.Request{Prompt: prompt, MaxTokens: n, Logprobs: -1}) {
		if err != nil {
			return 0, 0, nil, err
		}
		if len(ids) == 0 {
			ms, cached = time.Since(begin).Seconds()*1e3, t.Cached
		}
		ids = append(ids, t.ID)
	}
	return ms, cached, ids, nil
}

// printGuesses shows rows as a table in Markdown.
func printGuesses(w io.Writer, rows []guessRow) error {
	var b strings.Builder
	fmt.Fprintln(&b, "| model | threads | test | guesses from | tokens/s without | with | times | right | tokens per pass |")
	fmt.Fprintln(&b, "|---|---:|---|---|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		right := "none made: they would not pay"
		if r.Guesses > 0 {
			right = fmt.Sprintf("%.0f %% of %d", 100*r.Right, r.Guesses)
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %.1f | %.1f | %.2f | %s | %.2f |\n", r.Model, r.Threads, r.Test, r.Source,
			middle(slices.Clone(r.Plain)), middle(slices.Clone(r.Guessed)), r.Times, right, r.PerPass)
	}
	if rows[0].Note != "" {
		fmt.Fprintf(&b, "\n%s\n", rows[0].Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printPrefixes shows rows as a table in Markdown.
func printPrefixes(w io.Writer, rows []prefixRow) error {
	var b strings.Builder
	fmt.Fprintln(&b, "| model | threads | prefix | first token, cold | on a hit | times | after a restart | times |")
	fmt.Fprintln(&b, "|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %.2f ms | %.2f ms (median of %d) | %.1f | %.2f ms (%d tokens found) | %.1f |\n", r.Model, r.Threads, r.Prefix,
			r.Cold, r.Hit, r.Requests-1, r.Times, r.Disk, r.DiskHits, r.Cold/r.Disk)
	}
	if rows[0].Note != "" {
		fmt.Fprintf(&b, "\n%s\n", rows[0].Note)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
