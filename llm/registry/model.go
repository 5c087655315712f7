package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"weft/chat"
)

// State says where a model is.
type State string

// The states of a model.
const (
	Unloaded  State = "unloaded"
	Loading   State = "loading"
	Ready     State = "loaded"
	Unloading State = "unloading"
)

// Model is one model of a registry, in memory or not. It is safe for concurrent
// use.
type Model struct {
	reg   *Registry
	entry Entry

	// Guarded by the registry's mu.
	state    State
	loaded   Loaded
	bytes    int64     // of memory: measured by the last load, else as the entry says
	running  int       // requests let in and not ended
	leaving  bool      // it makes room: new requests go to the line
	entered  time.Time // when the last request was let in
	idle     time.Time // when the last one ended
	failed   error     // of the last load; nil: it went well, or there was none
	failedAt time.Time

	loads, unloads, failures uint64
}

var _ chat.Model = (*Model)(nil)

// ticket is a request in line.
type ticket struct {
	model *Model
	done  chan error // one answer: nil lets the request in
}

// Name is the name of the entry.
func (m *Model) Name() string { return m.entry.Name }

// Generate runs one request, after loading the model if it must; see chat.Model.
// A full line is chat.ErrBusy; a load that failed, or for which there was no room
// in time, is a *chat.UnavailableError.
func (m *Model) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		inside, err := m.acquire(ctx)
		if err != nil {
			yield(chat.Delta{}, err)
			return
		}
		defer m.release()
		for d, err := range inside.Generate(ctx, r) {
			if !yield(d, err) {
				return
			}
		}
	}
}

// Load loads the model unless it is in memory.
func (m *Model) Load(ctx context.Context) error {
	_, err := m.acquire(ctx)
	if err == nil {
		m.release()
	}
	return err
}

// acquire lets a request in, at once or from the line.
func (m *Model) acquire(ctx context.Context) (chat.Model, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, inside, err := m.queue()
	if t == nil {
		return inside, err
	}
	late := time.NewTimer(m.reg.opts.Wait)
	defer late.Stop()
	select {
	case err := <-t.done:
		return m.inside(err)
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = m.noRoom()
	}
	if m.reg.leave(t) {
		return nil, err
	}
	return m.inside(<-t.done) // it was let in meanwhile: the request will see for itself that it is late
}

// queue lets a request in or takes a ticket for it.
func (m *Model) queue() (t *ticket, inside chat.Model, err error) {
	r := m.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, nil, ErrClosed
	case m.state == Ready && !m.leaving:
		m.enter()
		return nil, m.loaded.Model, nil
	case m.failed != nil && time.Since(m.failedAt) < retryAfter:
		return nil, nil, m.failure()
	case m.waiting() >= r.opts.Queue:
		return nil, nil, chat.ErrBusy
	}
	t = &ticket{m, make(chan error, 1)}
	r.line = append(r.line, t)
	r.advance()
	return t, nil, nil
}

// inside is the loaded model of a request that was let in.
func (m *Model) inside(err error) (chat.Model, error) {
	if err != nil {
		return nil, err
	}
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	return m.loaded.Model, nil
}

// leave takes a ticket out of the line; false: it was answered already.
func (r *Registry) leave(t *ticket) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.line, t)
	if i < 0 {
		return false
	}
	r.line = slices.Delete(r.line, i, i+1)
	r.advance()
	return true
}

// enter counts a request in. With mu held.
func (m *Model) enter() {
	m.running++
	m.entered = time.Now()
}

// release counts a request out.
func (m *Model) release() {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	m.running--
	m.idle = time.Now()
	m.reg.advance()
}

// waiting is the number of requests in line for the model. With mu held.
func (m *Model) waiting() (n int) {
	for _, t := range m.reg.line {
		if t.model == m {
			n++
		}
	}
	return n
}

// bring loads the model. A panic, or a model that turns out to take more than
// the budget, is an error like any other.
func (m *Model) bring() (l Loaded, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	if l, err = m.entry.Load(); err != nil {
		return Loaded{}, err
	}
	if budget := m.reg.budget(); l.Model == nil || budget > 0 && l.Bytes > budget {
		if l.Close != nil {
			l.Close()
		}
		if l.Model == nil {
			return Loaded{}, errors.New("the load gave no model")
		}
		return Loaded{}, tooLarge(m.entry.Name, l.Bytes, budget)
	}
	return l, nil
}

// budget is the memory for models alone; 0: no bound.
func (r *Registry) budget() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.opts.Memory == 0 {
		return 0
	}
	return max(1, r.opts.Memory-r.aside)
}

// failure is what requests are told of the load that failed. With mu held.
func (m *Model) failure() error {
	return &chat.UnavailableError{Msg: fmt.Sprintf("the model %s could not be loaded: %v", m.entry.Name, m.failed), Err: m.failed}
}

// noRoom says why a model was not loaded in time.
func (m *Model) noRoom() error {
	r := m.reg
	r.mu.Lock()
	defer r.mu.Unlock()
	var busy []string
	for _, o := range r.models {
		if o.running > 0 {
			busy = append(busy, o.entry.Name)
		}
	}
	why := "loads in front of it took longer"
	if len(busy) > 0 {
		why = "busy are " + strings.Join(busy, ", ")
	}
	return &chat.UnavailableError{Msg: fmt.Sprintf("the model %s was not loaded within %v: it takes %s of the %s for models, and %s", m.entry.Name, r.opts.Wait, size(m.bytes), size(r.opts.Memory), why)}
}

// Status is what a model does at the moment.
type Status struct {
	State            State
	Bytes            int64     // of memory that it takes, or will take once loaded
	Running, Waiting int       // requests inside, and in line for it to be loaded
	Unload           time.Time // when it will be unloaded if no request comes; zero: it will not
	Failed           error     // why the last load failed; nil

	Loads, Unloads, Failures uint64 // since the start
}

// Status says what the model does at the moment.
func (m *Model) Status() Status {
	m.reg.mu.Lock()
	defer m.reg.mu.Unlock()
	s := Status{
		State: m.state, Bytes: m.bytes, Running: m.running, Waiting: m.waiting(), Failed: m.failed,
		Loads: m.loads, Unloads: m.unloads, Failures: m.failures,
	}
	if idle := m.reg.opts.Idle; idle > 0 && m.state == Ready && m.running == 0 {
		s.Unload = m.idle.Add(idle)
	}
	return s
}
