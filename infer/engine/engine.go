package engine

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/infer/kv"
	"weft/infer/sample"
	"weft/model"
	"weft/model/nn"
)

// Options sizes an engine. The zero value is a good default.
type Options struct {
	Pages    int       // pages of the cache, each of all layers (kv.Options); room for MaxBatch whole contexts, within half the free memory
	PageLen  int       // positions per page, a multiple of kernel.BlockLen; kernel.BlockLen
	MaxBatch int       // requests that run at once; 16
	Chunk    int       // rows of one iteration at most, decodes first; prompts get the rest, less where it costs others too much time; 256
	Queue    int       // requests that may wait; 64
	Pool     *par.Pool // workers; one per core, owned by the engine

	KVType kernel.KVType // how keys and values are kept; float32

	Draft    model.Model // guesses tokens ahead, for speculation; of the same vocabulary; none
	Ngram    int         // longest run of tokens looked up in a request's own text, to guess what follows; off
	DraftLen int         // tokens guessed at a time, at most; 8

	MaxAdapters int // adapters that may be there at once (AddAdapter); none

	Warn func(error) // told why the draft model failed, each reason once; nobody

	NoPrefixCache bool           // compute every prompt whole, also what another request began with; off
	PrefixDisk    kv.DiskOptions // where kept prefixes go when memory runs out, and at the end; nowhere

	poison      bool // tests: freed pages are filled with NaN
	alwaysDraft bool // tests: guess as much as may be, whether it pays or not
	fullChunks  bool // tests: prompts fill each pass up to Chunk, whatever that costs others
}

// maxOption bounds every number: beyond it the bookkeeping alone is gigabytes.
const maxOption = 1 << 24

// Validate names the first option that makes no sense.
func (o Options) Validate() error {
	for _, f := range []struct {
		name string
		got  int
	}{{"Pages", o.Pages}, {"PageLen", o.PageLen}, {"MaxBatch", o.MaxBatch}, {"Chunk", o.Chunk}, {"Queue", o.Queue}, {"Ngram", o.Ngram}, {"DraftLen", o.DraftLen}, {"MaxAdapters", o.MaxAdapters}} {
		if f.got < 0 || f.got > maxOption {
			return fmt.Errorf("engine: %s is %d, want 0 (the default) to %d", f.name, f.got, maxOption)
		}
	}
	if o.PageLen%kernel.BlockLen != 0 {
		return fmt.Errorf("engine: PageLen is %d, want a multiple of %d", o.PageLen, kernel.BlockLen)
	}
	if !o.KVType.Valid() {
		return fmt.Errorf("engine: KVType is %v, want one of %v", o.KVType, kernel.KVTypes())
	}
	if o.NoPrefixCache && o.PrefixDisk.Dir != "" {
		return errors.New("engine: a folder for prefixes, but no prefix cache: want both or none")
	}
	return o.PrefixDisk.Validate()
}

// Engine is one model, its cache and its scheduler.
type Engine struct {
	model  model.Model
	opts   Options
	vocab  int
	window int // positions a request may take
	cache  *kv.Cache
	pool   *par.Pool
	owned  bool // the pool is ours to close

	mu      sync.Mutex
	work    sync.Cond // with mu: queue or closed has changed
	queue   []*task   // not yet admitted, oldest first
	tenants map[string]*account
	inside  int // requests submitted and not ended
	closed  bool
	stats   Stats
	stopped chan struct{}

	adapters []*Adapter // oldest first

	// What follows belongs to the loop's goroutine.
	running   []*task // oldest first
	preempted []*task // to be computed again, oldest first
	batch     []part
	picks     []pick
	pickFn    func(int)
	score     [promptRows]sample.Scratch
	drafter   *drafter // nil: none
	cost      line     // seconds of a pass without prompts, by rows
	perRow    mean     // seconds that each prompt row adds to a pass
	pass      op.Pass
	arena     tensor.Arena
	ids       []int32
	rows      []int
}

// Open starts an engine for m and packs its weights for serving (nn.Freeze). It
// fails on options that Validate rejects and when the memory of the cache
// cannot be mapped.
func Open(m model.Model, o Options) (*Engine, error) {
	e, err := build(m, o)
	if err != nil {
		return nil, err
	}
	go e.loop()
	return e, nil
}

// New is Open for options known to be good: it panics where Open fails.
func New(m model.Model, o Options) *Engine {
	e, err := Open(m, o)
	if err != nil {
		panic(err)
	}
	return e
}

// build is Open without the loop.
func build(m model.Model, o Options) (*Engine, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.MaxAdapters > 0 {
		nn.Adapt(m)
	}
	nn.Freeze(m)
	info := m.Info()
	page := pageBytes(m.State(), o)
	if o.Draft != nil {
		if d := o.Draft.Info().Vocab; d != info.Vocab {
			return nil, fmt.Errorf("engine: the draft model has %d tokens and the model %d: want the same vocabulary", d, info.Vocab)
		}
		page += pageBytes(o.Draft.State(), o)
	}
	o = o.fill(info, page, freeMemory())
	spare := min(max(1, o.Pages/32), o.Pages-1) // so that who runs can grow before somebody is thrown out
	pages := o.pages()
	pages.Watermark, pages.Disk = spare, o.PrefixDisk
	cache, err := kv.New(m.State(), pages)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		model: m, opts: o, vocab: info.Vocab, window: longest(m.State(), pages, info.Context), cache: cache,
		pool: o.Pool, owned: o.Pool == nil, stopped: make(chan struct{}), stats: newStats(),
		tenants: map[string]*account{},
	}
	if e.owned {
		e.pool = par.New(0)
	}
	e.work.L = &e.mu
	e.picks = make([]pick, o.MaxBatch)
	e.pickFn = func(i int) { e.picks[i].run() }
	e.pass = op.Pass{KV: cache, Pool: e.pool, Arena: &e.arena}
	if o.Draft != nil {
		if e.drafter, err = newDrafter(o.Draft, o); err != nil {
			e.free()
			return nil, fmt.Errorf("engine: the draft model: %w", err)
		}
		d := e.drafter
		d.pass = op.Pass{KV: d.cache, Pool: e.pool, Arena: &d.arena}
	}
	e.publish()
	return e, nil
}

// Window is the number of positions, prompt and answer, that one request may
// take: the model's context, or the whole cache where that is smaller.
func (e *Engine) Window() int { return e.window }

// Generate runs one request; each range over the result is a request of its
// own. The last token carries Finish and Usage. Breaking off the range, or
// cancelling ctx (the error is then ctx.Err()), frees all that the request
// holds. Other errors: ErrBusy, ErrClosed, ErrAdapter, *ContextError, *chat.InputError,
// *ModelError, sample.ErrNotFinite.
func (e *Engine) Generate(ctx context.Context, r Request) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		t, err := e.submit(ctx, r)
		if err != nil {
			yield(Token{}, err)
			return
		}
		t.stream.read(ctx, yield)
	}
}

// submit checks a request and puts it into the queue.
func (e *Engine) submit(ctx context.Context, r Request) (*task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	window, err := e.windowOf(&r)
	if err == nil {
		err = r.check(e.vocab, window)
	}
	if err != nil {
		return nil, err
	}
	t := newTask(ctx, r, window)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, ErrClosed
	}
	if a := r.Adapter; a != nil && (a.engine != e || a.leaving) {
		return nil, ErrAdapter
	}
	t.account = e.account(r.Tenant)
	if e.inside >= e.opts.MaxBatch+e.opts.Queue {
		e.stats.Rejected++ // this one or the one it displaces
		if !e.displace(t.account) {
			return nil, ErrBusy
		}
	}
	e.inside++
	t.account.inside++
	if r.Adapter != nil {
		r.Adapter.inside++
	}
	e.stats.PromptTokens += uint64(len(r.Prompt))
	e.queue = append(e.queue, t)
	e.work.Signal()
	return t, nil
}

// Close takes no more requests, lets those inside finish (cancel their
// contexts to hurry), and frees the memory. The model stays the caller's.
func (e *Engine) Close() {
	e.mu.Lock()
	e.closed = true
	e.work.Signal()
	e.mu.Unlock()
	<-e.stopped
}

// loop is the scheduler.
func (e *Engine) loop() {
	defer close(e.stopped)
	for e.wait() {
		e.turn()
	}
	e.free()
}

// turn is one iteration, which runs one pass.
func (e *Engine) turn() {
	e.dismiss()
	e.reap()
	e.admit()
	e.plan()
	e.step()
	e.publish()
	runtime.Gosched() // readers run now: the pool's workers leave no core idle for them
}

func (e *Engine) free() {
	e.cache.Close()
	if e.drafter != nil {
		e.drafter.cache.Close()
	}
	if e.owned {
		e.pool.Close()
	}
}

// wait blocks until there is a request, or an adapter to let go; it returns
// false when the engine is closed and empty.
func (e *Engine) wait() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.inside == 0 && !slices.ContainsFunc(e.adapters, (*Adapter).unused) {
		if e.closed {
			return false
		}
		e.work.Wait()
	}
	return true
}
