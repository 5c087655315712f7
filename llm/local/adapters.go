package local

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"weft/chat"
	"weft/compute/op"
	"weft/infer/engine"
	"weft/model"
	"weft/model/lora"
)

// AdapterOptions says which adapters a model takes.
type AdapterOptions struct {
	Names []string // what the model is called: an adapter made for a base of another name is refused; none: any will do
	Dir   string   // Load reads folders below this one alone; none: Load reads nothing
}

// AdapterEngine is what Adapters need of *engine.Engine; see there.
type AdapterEngine interface {
	AddAdapter(name, hash string, by op.Adapter) (*engine.Adapter, error)
	RemoveAdapter(ctx context.Context, a *engine.Adapter) error
}

// Memory is what adapters take theirs from; see *registry.Registry.
type Memory interface {
	Reserve(bytes int64) (room int64, ok bool)
	Release(bytes int64)
}

// Adapters are the LoRA adapters of one model, under the names that requests
// ask for (chat.Request.Adapter). They stay while the model itself leaves memory
// and comes back. Safe for concurrent use.
type Adapters struct {
	opts AdapterOptions

	mu  sync.Mutex
	mem Memory    // nil: nobody counts
	all []*served // oldest first
	net model.Model
	eng AdapterEngine // nil: the model is not in memory
}

// served is one adapter.
type served struct {
	chat.Adapter
	pairs  *lora.Adapter // nil: not read yet
	hash   string
	bytes  int64           // of memory that are reserved
	handle *engine.Adapter // nil: the model is not in memory
}

// NewAdapters returns an empty set.
func NewAdapters(o AdapterOptions) *Adapters { return &Adapters{opts: o} }

// Account has the adapters counted as memory from now on, those that are declared at
// once. One that has no room is an error that says what would have.
func (s *Adapters) Account(mem Memory) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mem = mem
	for _, a := range s.all {
		if err := a.reserve(mem, lora.At(a.Path)); err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	return nil
}

// reserve takes the memory of an adapter that is still to be read.
func (a *served) reserve(mem Memory, dir fs.FS) error {
	if mem == nil || a.bytes > 0 {
		return nil
	}
	size, err := lora.Measure(dir)
	if err != nil {
		return err
	}
	n := size.Bytes()
	room, ok := mem.Reserve(n)
	if ok {
		a.bytes = n
		return nil
	}
	what := "none of its matrices would, of any rank"
	if rank := size.Within(room); rank > 0 {
		what = fmt.Sprintf("with rank %d instead of %d it would", rank, size.Rank)
	}
	return fmt.Errorf("it does not fit: it takes %.3g MB of memory, and beside the models and other adapters %.3g MB are left: %s; unload another adapter, or give models more memory",
		float64(n)/1e6, float64(room)/1e6, what)
}

// Bytes is the memory of all adapters.
func (s *Adapters) Bytes() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		if a.pairs != nil {
			n += a.pairs.Memory()
		}
	}
	return n
}

// Attach serves the adapters from the engine of net, to requests of m, whose
// first is still to come. Those that were not read yet are read now.
func (s *Adapters) Attach(m *Model, eng AdapterEngine, net model.Model) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.all {
		err := a.read(lora.At(a.Path), lora.Base{Model: net, Names: s.opts.Names})
		if err == nil {
			a.handle, err = eng.AddAdapter(a.Name, a.hash, a.pairs)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
	}
	s.eng, s.net, m.adapters = eng, net, s
	return nil
}

// read reads the pairs, if they are not there.
func (a *served) read(dir fs.FS, b lora.Base) (err error) {
	if a.pairs != nil {
		return nil
	}
	if a.pairs, err = lora.Open(dir, b); err != nil {
		return err
	}
	a.hash = a.pairs.Hash()
	return nil
}

// Detach forgets the engine, which is about to be closed.
func (s *Adapters) Detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.eng, s.net = nil, nil
	for _, a := range s.all {
		a.handle = nil
	}
}

// List returns what is there, the oldest first.
func (s *Adapters) List() []chat.Adapter {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []chat.Adapter
	for _, a := range s.all {
		all = append(all, a.Adapter)
	}
	return all
}

// Declare names an adapter in a folder, to be read when the model is there. The
// error is a *chat.InputError.
func (s *Adapters) Declare(name, path string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkName(name); err != nil {
		return err
	}
	s.all = append(s.all, &served{Adapter: chat.Adapter{Name: name, Path: path, Created: time.Now()}})
	return nil
}

// checkName says whether an adapter can have a name.
func (s *Adapters) checkName(name string) error {
	msg := ""
	if name == "" || len(name) > 128 || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) || c == ',' }) {
		msg = fmt.Sprintf("got %q, want 1 to 128 characters that can be printed, without commas", name)
	} else if s.find(name) != nil {
		msg = fmt.Sprintf("an adapter %q is loaded already: unload it first", name)
	}
	if msg == "" {
		return nil
	}
	return &chat.InputError{Param: "lora_name", Msg: msg}
}

// Load reads an adapter for who asks over a network: path, which may be relative
// to it, must lie below AdapterOptions.Dir, whatever links are on the way. What is
// wrong with the request or the files is a *chat.InputError.
func (s *Adapters) Load(name, path string) error {
	bad := func(format string, a ...any) error {
		return &chat.InputError{Param: "lora_path", Msg: fmt.Sprintf(format, a...)}
	}
	if s.opts.Dir == "" {
		return bad("this server reads no adapters while it runs: start it with a folder to read them from")
	}
	rel := path
	if filepath.IsAbs(path) {
		abs, err := filepath.Abs(s.opts.Dir)
		if err != nil {
			return fmt.Errorf("folder for adapters: %w", err)
		}
		if rel, err = filepath.Rel(abs, path); err != nil {
			return bad("got %q, want a folder below the one that adapters are read from", path)
		}
	}
	if !filepath.IsLocal(rel) {
		return bad("got %q, want a folder below the one that adapters are read from", path)
	}
	root, err := os.OpenRoot(s.opts.Dir)
	if err != nil {
		return fmt.Errorf("folder for adapters: %w", err)
	}
	defer root.Close()
	dir, err := lora.In(root.FS(), filepath.ToSlash(filepath.Clean(rel)))
	if err != nil {
		return bad("%v", err)
	}
	switch err := s.add(name, path, dir); err.(type) {
	case nil, *chat.InputError, *chat.UnavailableError:
		return err
	default:
		return bad("%v", err)
	}
}

// add reads an adapter and gives it to the engine.
func (s *Adapters) add(name, path string, dir fs.FS) error {
	s.mu.Lock()
	net, mem, err := s.net, s.mem, s.checkName(name)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if net == nil {
		return &chat.UnavailableError{Msg: "the model that the adapter changes is not in memory: send the model a request first"}
	}
	a := &served{Adapter: chat.Adapter{Name: name, Path: path, Created: time.Now()}}
	if err := a.reserve(mem, dir); err != nil {
		return err
	}
	if err = a.read(dir, lora.Base{Model: net, Names: s.opts.Names}); err == nil {
		err = s.take(a)
	}
	if err != nil {
		a.release(mem)
	}
	return err
}

// release gives an adapter's memory back.
func (a *served) release(mem Memory) {
	if a.bytes > 0 {
		mem.Release(a.bytes)
	}
}

// take gives the engine an adapter that was read.
func (s *Adapters) take(a *served) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkName(a.Name); err != nil { // somebody else may have been faster
		return err
	}
	if s.eng == nil {
		return &chat.UnavailableError{Msg: "the model that the adapter changes has just left memory: try again"}
	}
	if a.handle, err = s.eng.AddAdapter(a.Name, a.hash, a.pairs); err != nil {
		return err
	}
	s.all = append(s.all, a)
	return nil
}

// Unload lets no more requests use an adapter and returns when those that do
// have ended, or with ctx; the adapter goes in any case. chat.ErrNoAdapter says
// that there is none of that name.
func (s *Adapters) Unload(ctx context.Context, name string) error {
	s.mu.Lock()
	a := s.find(name)
	if a == nil {
		s.mu.Unlock()
		return chat.ErrNoAdapter
	}
	s.all = slices.DeleteFunc(s.all, func(o *served) bool { return o == a })
	eng, mem, handle := s.eng, s.mem, a.handle
	s.mu.Unlock()
	if handle == nil {
		a.release(mem)
		return nil
	}
	err := eng.RemoveAdapter(ctx, handle)
	if err == nil {
		a.release(mem)
		return nil
	}
	go func() { // who asked does not wait any longer; the memory is taken until it is gone
		_ = eng.RemoveAdapter(context.WithoutCancel(ctx), handle)
		a.release(mem)
	}()
	return err
}

func (s *Adapters) find(name string) *served {
	for _, a := range s.all {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// serving is an adapter that requests can use. A nil set has none.
func (s *Adapters) serving(name string) (*engine.Adapter, error) {
	if s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if a := s.find(name); a != nil && a.handle != nil {
			return a.handle, nil
		}
	}
	return nil, chat.ErrNoAdapter
}
