package engine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"weft/compute/op"
)

// Adapter is a change of an engine's model that requests may ask for
// (Request.Adapter), each for itself: they share passes with all others.
type Adapter struct {
	name, hash string
	by         op.Adapter
	engine     *Engine

	// Guarded by the engine's mu.
	inside  int           // requests with it that have not ended
	running int           // of them, those in the batch
	leaving bool          // it takes no more
	gone    chan struct{} // closed when the last one has ended and its pages are free
}

// AddAdapter takes in an adapter of the engine's model. hash names its content:
// requests share prefixes only with those whose adapter has the same. name is
// for Stats. ErrAdapters says that Options.MaxAdapters are there.
func (e *Engine) AddAdapter(name, hash string, by op.Adapter) (*Adapter, error) {
	if hash == "" || by == nil {
		return nil, fmt.Errorf("engine: adapter %q has no hash or changes nothing", name)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return nil, ErrClosed
	case len(e.adapters) >= e.opts.MaxAdapters:
		return nil, fmt.Errorf("%w: %q would be one more than %d (MaxAdapters)", ErrAdapters, name, e.opts.MaxAdapters)
	}
	a := &Adapter{name: name, hash: hash, by: by, engine: e, gone: make(chan struct{})}
	e.adapters = append(e.adapters, a)
	return a, nil
}

// RemoveAdapter lets no more requests use an adapter, waits until those inside
// have ended, and gives up the pages of its prefixes. When ctx ends first, the
// adapter still goes once nobody uses it.
func (e *Engine) RemoveAdapter(ctx context.Context, a *Adapter) error {
	if a.engine != e {
		return ErrAdapter
	}
	e.mu.Lock()
	a.leaving = true
	e.work.Signal()
	e.mu.Unlock()
	select {
	case <-a.gone:
		return nil
	case <-e.stopped:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Hash names the content, as AddAdapter was told; that of no adapter is empty.
func (a *Adapter) Hash() string {
	if a == nil {
		return ""
	}
	return a.hash
}

// unused says whether an adapter can go. With mu held.
func (a *Adapter) unused() bool { return a.leaving && a.inside == 0 }

// dismiss lets the adapters go that nobody uses any more, with their prefixes.
func (e *Engine) dismiss() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, a := range slices.Clone(e.adapters) {
		if !a.unused() {
			continue
		}
		e.adapters = slices.DeleteFunc(e.adapters, func(o *Adapter) bool { return o == a })
		if !slices.ContainsFunc(e.adapters, func(o *Adapter) bool { return o.hash == a.hash }) {
			mine := func(space string) bool { return strings.HasPrefix(space, a.space("")) }
			e.cache.Forget(mine)
			if e.drafter != nil {
				e.drafter.cache.Forget(mine)
			}
		}
		e.pass.ForgetSpans() // scratch memory must not keep it
		close(a.gone)
	}
}

// space is what requests of one salt share prefixes within, when they go through
// an adapter, or through none (nil). No salt can be read as another adapter's.
func (a *Adapter) space(salt string) string {
	return strconv.Itoa(len(a.Hash())) + ":" + a.Hash() + salt
}

// changes is what spans go through; nil: the model as it is.
func (a *Adapter) changes() op.Adapter {
	if a == nil {
		return nil
	}
	return a.by
}

// AdapterStats is what an engine has of one adapter.
type AdapterStats struct {
	Name             string
	Running, Waiting int // requests
}

// countAdapters counts the running requests of each adapter. With mu held.
func (e *Engine) countAdapters() {
	for _, a := range e.adapters {
		a.running = 0
	}
	for _, t := range e.running {
		if a := t.req.Adapter; a != nil {
			a.running++
		}
	}
}

// adapterStats lists the adapters. With mu held.
func (e *Engine) adapterStats() []AdapterStats {
	var all []AdapterStats
	for _, a := range e.adapters {
		all = append(all, AdapterStats{a.name, a.running, max(0, a.inside-a.running)})
	}
	return all
}
