package registry

import (
	"cmp"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"weft/chat"
)

// Entry is a model that can be loaded.
type Entry struct {
	Name  string                 // required
	Bytes int64                  // memory that it will take, as far as that is known before
	Load  func() (Loaded, error) // required; never called while the model is loaded
}

// Loaded is a model in memory.
type Loaded struct {
	Model chat.Model // required
	Bytes int64      // memory that it takes; what the entry says when 0
	Close func()     // gives the memory back; no request runs any more
}

// Options says how much and how long. The zero value keeps everything.
type Options struct {
	Memory int64         // bytes of all models in memory together; no bound
	Idle   time.Duration // a model without a request for so long is unloaded; never
	Queue  int           // requests that may wait for one model to be loaded; 64
	Wait   time.Duration // longest time a request waits for that; 5 minutes
	Freed  func()        // called after an unload, to have memory go back to the system; debug.FreeOSMemory
}

// Validate names the first option that makes no sense.
func (o Options) Validate() error {
	for _, f := range []struct {
		name string
		got  int64
	}{{"Memory", o.Memory}, {"Idle", int64(o.Idle)}, {"Queue", int64(o.Queue)}, {"Wait", int64(o.Wait)}} {
		if f.got < 0 {
			return fmt.Errorf("registry: %s is %d, want 0 (the default) or more", f.name, f.got)
		}
	}
	return nil
}

// retryAfter is how long a load that failed is not tried again: who asks gets
// the same error at once.
const retryAfter = 5 * time.Second

// Registry is a set of models and their one line of waiting requests.
type Registry struct {
	opts   Options
	models []*Model

	mu     sync.Mutex
	aside  int64     // bytes of Memory that something else takes, see Reserve
	line   []*ticket // requests whose model is not in memory, or has to leave it; oldest first
	busy   bool      // a load or an unload is being made
	closed bool
	timer  *time.Timer // next look at idle models; nil: never
	jobs   sync.WaitGroup
}

// New checks the entries against each other and the budget: one that could
// never be loaded is an ErrTooLarge now, not at its first request.
func New(entries []Entry, o Options) (*Registry, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Queue == 0 {
		o.Queue = 64
	}
	if o.Wait == 0 {
		o.Wait = 5 * time.Minute
	}
	if o.Freed == nil {
		o.Freed = debug.FreeOSMemory
	}
	r := &Registry{opts: o}
	seen := map[string]bool{}
	for i, e := range entries {
		switch {
		case e.Name == "" || e.Load == nil:
			return nil, fmt.Errorf("registry: entry %d has no name or no load", i)
		case seen[e.Name]:
			return nil, fmt.Errorf("registry: two models are named %q", e.Name)
		case o.Memory > 0 && e.Bytes > o.Memory:
			return nil, tooLarge(e.Name, e.Bytes, o.Memory)
		}
		seen[e.Name] = true
		r.models = append(r.models, &Model{reg: r, entry: e, state: Unloaded, bytes: e.Bytes})
	}
	return r, nil
}

func tooLarge(name string, need, budget int64) error {
	return fmt.Errorf("model %s: %w: it takes %s of %s", name, ErrTooLarge, size(need), size(budget))
}

// size writes bytes for people.
func size(n int64) string { return fmt.Sprintf("%.3g GB", float64(n)/1e9) }

// Models lists the models in the order of their entries.
func (r *Registry) Models() []*Model { return r.models }

// Close takes no more requests, sends those that wait away, and unloads every
// model. Requests that run must have ended or been cancelled.
func (r *Registry) Close() {
	r.mu.Lock()
	r.closed = true
	for _, t := range r.line {
		t.done <- ErrClosed
	}
	r.line = nil
	if r.timer != nil {
		r.timer.Stop()
	}
	r.mu.Unlock()
	r.jobs.Wait()
	for _, m := range r.models {
		r.mu.Lock()
		l := m.loaded
		m.loaded, m.state = Loaded{}, Unloaded
		r.mu.Unlock()
		if l.Close != nil {
			l.Close()
		}
	}
}

// Reserve takes memory for what models share theirs with, such as adapters, until
// Release: idle models make room for it. It must leave room for each model alone;
// where it does not, nothing is taken, and room is what could be.
func (r *Registry) Reserve(bytes int64) (room int64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	room = r.opts.Memory - r.aside
	for _, m := range r.models {
		room = min(room, r.opts.Memory-r.aside-m.bytes)
	}
	if r.opts.Memory > 0 && bytes > room {
		return max(0, room), false
	}
	r.aside += bytes
	r.advance()
	return room, true
}

// Release gives back what Reserve took.
func (r *Registry) Release(bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.aside -= bytes
	r.advance()
}

// taken is the memory of all models that are in it, those on their way in or
// out included, and what is reserved. With mu held, as in all that follows.
func (r *Registry) taken() (n int64) {
	n = r.aside
	for _, m := range r.models {
		if m.state != Unloaded {
			n += m.bytes
		}
	}
	return n
}

// advance lets in whom it can, decides which models have to leave, and starts
// the next load or unload, if there is one and none is being made. It is called
// after every change.
func (r *Registry) advance() {
	if r.closed {
		return
	}
	next := r.serveLine()
	if !r.busy {
		if m := r.leaver(); m != nil {
			r.unload(m)
		} else if next != nil && next.state == Unloaded && r.fits(next) {
			r.load(next)
		}
	}
	r.wind()
}

// serveLine goes through the line, oldest request first. Those whose model is in
// memory, and may stay, are let in. The first of the others says which model is
// loaded next, and with it which have to leave.
func (r *Registry) serveLine() (next *Model) {
	r.choose(nil)
	var rest []*ticket
	for _, t := range r.line {
		m := t.model
		if m.state == Ready && !m.leaving {
			m.enter()
			t.done <- nil
			continue
		}
		if next == nil && m.state != Ready {
			next = m
			r.choose(m)
		}
		rest = append(rest, t)
	}
	r.line = rest
	return next
}

// choose marks the models that have to leave for m: idle ones first, the longest
// unused before others, then busy ones, whose last request came in first. For no
// m they leave only where a load took more than was expected.
func (r *Registry) choose(m *Model) {
	for _, o := range r.models {
		o.leaving = false
	}
	if r.opts.Memory == 0 {
		return
	}
	room := r.opts.Memory - r.taken()
	if m != nil && m.state == Unloaded {
		room -= m.bytes
	}
	var stay []*Model
	for _, o := range r.models {
		switch {
		case o.state == Unloading:
			room += o.bytes
		case o.state == Ready && o != m:
			stay = append(stay, o)
		}
	}
	slices.SortStableFunc(stay, func(a, b *Model) int {
		if c := cmp.Compare(min(a.running, 1), min(b.running, 1)); c != 0 {
			return c
		}
		return a.entered.Compare(b.entered)
	})
	for _, o := range stay {
		if room >= 0 {
			return
		}
		o.leaving = true
		room += o.bytes
	}
}

// fits says whether a model can be loaded now.
func (r *Registry) fits(m *Model) bool {
	return r.opts.Memory == 0 || r.taken()+m.bytes <= r.opts.Memory
}

// leaver is a model to be unloaded now: idle, and either in the way or unused
// for too long. nil: there is none.
func (r *Registry) leaver() *Model {
	for _, m := range r.models {
		if m.state == Ready && m.running == 0 && (m.leaving || r.opts.Idle > 0 && time.Since(m.idle) >= r.opts.Idle) {
			return m
		}
	}
	return nil
}

// wind sets the timer to when the first idle model has been so for too long.
func (r *Registry) wind() {
	if r.opts.Idle == 0 || r.busy { // the end of a load or an unload winds it
		return
	}
	first := time.Duration(-1)
	for _, m := range r.models {
		if m.state == Ready && m.running == 0 {
			if left := max(0, r.opts.Idle-time.Since(m.idle)); first < 0 || left < first {
				first = left
			}
		}
	}
	switch {
	case first < 0:
	case r.timer == nil:
		r.timer = time.AfterFunc(first, r.look)
	default:
		r.timer.Reset(first)
	}
}

// look is what the timer does.
func (r *Registry) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance()
}

// start makes one load or unload in a goroutine of its own. It runs without mu
// and returns what is to be done with it.
func (r *Registry) start(job func() (then func())) {
	r.busy = true
	r.jobs.Go(func() {
		then := job()
		r.mu.Lock()
		defer r.mu.Unlock()
		then()
		r.busy = false
		r.advance()
	})
}

// load brings a model into memory. Everybody who waits for it learns of a failure.
func (r *Registry) load(m *Model) {
	m.state = Loading
	r.start(func() func() {
		l, err := m.bring()
		if err != nil {
			r.opts.Freed()
		}
		return func() {
			if err != nil {
				m.state, m.failed, m.failedAt = Unloaded, err, time.Now()
				m.failures++
				r.answer(m, m.failure())
				return
			}
			m.loaded, m.state, m.failed = l, Ready, nil
			m.bytes = cmp.Or(l.Bytes, m.bytes)
			m.entered, m.idle = time.Now(), time.Now()
			m.loads++
			r.answer(m, nil) // all who wait for it, although others came before some of them: loads are dear
		}
	})
}

// answer ends the waiting of everybody in line for a model: with nil they are let in.
func (r *Registry) answer(m *Model, err error) {
	r.line = slices.DeleteFunc(r.line, func(t *ticket) bool {
		if t.model != m {
			return false
		}
		if err == nil {
			m.enter()
		}
		t.done <- err
		return true
	})
}

// unload gives a model's memory back.
func (r *Registry) unload(m *Model) {
	l := m.loaded
	m.state, m.loaded = Unloading, Loaded{}
	r.start(func() func() {
		if l.Close != nil {
			l.Close()
		}
		l = Loaded{} // or the memory would still be in use while Freed runs
		r.opts.Freed()
		return func() {
			m.state = Unloaded
			m.unloads++
		}
	})
}
