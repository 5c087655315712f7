package cli

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"weft/compute/par"
	"weft/infer/engine"
	"weft/internal/sysmem"
	"weft/llm/local"
	"weft/llm/registry"
	"weft/model/nn"
	"weft/server"
	"weft/text/template"
)

// offer is a model that the server has by name: what is known of it before it is
// loaded, and its engine while it is.
type offer struct {
	name, arg string
	engine    engineOptions
	pool      *par.Pool
	size      footprint
	about     server.About
	context   int
	created   time.Time
	adapters  *local.Adapters // nil: it takes none

	mu   sync.Mutex
	live *engine.Engine // nil: not loaded
	past engine.Stats   // counters of the engines before
}

// namedModel splits NAME=MODEL; without a name it is the folder's or file's.
func namedModel(arg string) (name, path string) {
	name, path, ok := strings.Cut(arg, "=")
	if _, err := os.Stat(arg); !ok || err == nil || name == "" || strings.ContainsAny(name, `/\:`) {
		return "", arg
	}
	return name, path
}

// newOffer finds a model. Unless it will be loaded at once, it reads what describes
// it, none of its weights.
func newOffer(arg string, pool *par.Pool, o engineOptions, lazy bool) (*offer, error) {
	name, path := namedModel(arg)
	l, err := findModel(path)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = l.name
	}
	f := &offer{name: name, arg: path, engine: o, pool: pool, created: created(path)}
	if !lazy {
		return f, nil
	}
	if f.size, err = footprintOf(l, o); err != nil {
		return nil, fmt.Errorf("model %s: %w", name, hintFiles(err))
	}
	f.context = f.size.shape.Context
	f.about, err = aboutFiles(l, f.size)
	return f, err
}

// aboutFiles describes a model that is not loaded.
func aboutFiles(l *loaded, f footprint) (server.About, error) {
	params, _ := f.shape.Params()
	a := server.About{Family: f.shape.Family, Parameters: params, Bytes: f.weights, Vocab: f.shape.Vocab, Card: readCard(l.files), Tiny: l.embedded}
	if l.embedded {
		a.Examples = exampleQuestions()
	}
	tmpl, err := template.LoadFS(l.files)
	if err != nil {
		return a, err
	}
	if tmpl != nil {
		a.Template = tmpl.Name()
	}
	return a, nil
}

// bound makes the model fit its share of a memory, which decides the size of its
// cache whatever else is loaded. What fits nowhere is said now.
func (f *offer) bound(share, all int64) error {
	if f.engine.Pages == 0 {
		pages, err := f.size.fit(share, all)
		if err != nil {
			return fmt.Errorf("model %s: %w", f.name, err)
		}
		f.engine.Pages = pages
	} else if f.size.bytes(f.engine.Pages) > all {
		return fmt.Errorf("model %s: %w: %d pages of keys and values take %s, and with weights it is %s of %s: leave --pages out", f.name, errTooLarge,
			f.engine.Pages, bytes64(int64(f.engine.Pages)*f.size.page), bytes64(f.size.bytes(f.engine.Pages)), bytes64(all))
	}
	f.context = min(f.context, f.engine.Pages*f.size.pageLen)
	return nil
}

// entry is the model for the registry.
func (f *offer) entry() registry.Entry {
	return registry.Entry{Name: f.name, Bytes: f.size.bytes(f.engine.Pages), Load: f.load}
}

// load brings the model to life.
func (f *offer) load() (registry.Loaded, error) {
	l, err := loadWith(f.arg, reading{as: f.engine.stored})
	if err != nil {
		return registry.Loaded{}, err
	}
	facade, eng, err := l.live(f.pool, f.engine)
	if err != nil {
		return registry.Loaded{}, err
	}
	facade.SetIdentity(l.identity(f.engine))
	if err := f.adapt(facade, eng, l); err != nil {
		eng.Close()
		return registry.Loaded{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = eng
	f.context, f.about = eng.Window(), l.about()
	s := eng.Stats()
	return registry.Loaded{
		Model: facade, Close: func() { f.retire(eng) },
		Bytes: nn.Bytes(l.model) + f.size.scratch + max(int64(f.engine.Pages)*f.size.page, int64(s.PagesTotal)*int64(s.PageBytes)),
	}, nil
}

// retire closes an engine and keeps its counters, which must never fall.
func (f *offer) retire(eng *engine.Engine) {
	if f.adapters != nil {
		f.adapters.Detach()
	}
	eng.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live = nil
	f.past = addStats(eng.Stats(), f.past)
}

// addStats adds the counters of past to those of now.
func addStats(now, past engine.Stats) engine.Stats {
	now.Preemptions += past.Preemptions
	now.PrefixQueries += past.PrefixQueries
	now.PrefixHits += past.PrefixHits
	now.PrefixLoaded += past.PrefixLoaded
	now.Drafts += past.Drafts
	now.Drafted += past.Drafted
	now.Accepted += past.Accepted
	now.DraftFailures += past.DraftFailures
	now.Batch.Add(past.Batch)
	return now
}

// stats is what the server shows of the engine, or of those there were. Requests
// that wait for the model to be loaded wait like others.
func (f *offer) stats(waiting int) server.Stats {
	f.mu.Lock()
	live, past := f.live, f.past
	f.mu.Unlock()
	var now engine.Stats
	if live != nil {
		now = live.Stats()
	}
	out := engineStats(addStats(now, past))
	out.Waiting += waiting
	out.PrefixCache = !f.engine.NoPrefixCache
	if f.adapters != nil {
		out.LoRABytes = f.adapters.Bytes()
	}
	return out
}

// model is the offer in the words of the server.
func (f *offer) model(m *registry.Model) server.Model {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := server.Model{
		ID: f.name, Model: m, Context: f.context, Created: f.created, About: f.about,
		Stats: func() server.Stats { return f.stats(m.Status().Waiting) },
		Status: func() server.Status {
			s := m.Status()
			out := server.Status{State: string(s.State), Bytes: s.Bytes, Unload: s.Unload, Loads: s.Loads, Unloads: s.Unloads, Failures: s.Failures}
			if s.Failed != nil {
				out.Failed = s.Failed.Error()
			}
			return out
		},
	}
	if f.adapters != nil {
		out.Adapters = f.adapters
	}
	return out
}

// lazyShare is the part of this machine's memory that models may take when they
// come and go and nobody says how much.
const lazyShare = 0.9

// budget is the memory for models in bytes; 0: no bound.
func (s *serving) budget() (int64, error) {
	switch {
	case s.memory != "":
		n, err := parseBytes(s.memory)
		if err != nil {
			return 0, &usageError{fmt.Errorf("--memory: %w", err)}
		}
		return n, nil
	case s.idle > 0:
		return int64(lazyShare * float64(sysmem.Limit())), nil
	}
	return 0, nil
}

// offers finds all models.
func offers(args []string, pool *par.Pool, o engineOptions, lazy bool) (all []*offer, err error) {
	if err := o.Validate(); err != nil {
		return nil, &usageError{err}
	}
	for _, arg := range args {
		f, err := newOffer(arg, pool, o, lazy)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	return all, nil
}

// boundAll makes all models fit a budget: each has an equal share of what adapters
// leave, or what it must have. Of the first one's, a part is left for adapters that
// clients may load.
func boundAll(all []*offer, lora loraOptions, budget int64) error {
	if budget == 0 {
		return nil
	}
	declared, later, err := lora.memory(all[0], budget/int64(len(all)))
	if err != nil {
		return err
	}
	budget -= declared
	for _, f := range all {
		if err := f.bound(budget/int64(len(all))-later, budget); err != nil {
			if declared > 0 {
				return fmt.Errorf("%w (--memory, of which adapters take %s)", err, bytes64(declared))
			}
			return fmt.Errorf("%w (--memory)", err)
		}
		later = 0
	}
	return nil
}
