package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"weft/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is what the fakes of a test share: the order of events, and what is in
// memory.
type world struct {
	mu     sync.Mutex
	log    []string
	loaded map[string]bool
	most   int64 // bytes in memory at once, at most
	bytes  int64
}

func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *world) events() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.log, " ")
}

// talker answers each request after its time, a second unless the prompt says
// another.
type talker struct {
	w    *world
	name string
}

func (f talker) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		f.w.note("%s(%s)", f.name, r.Prompt)
		f.w.mu.Lock()
		if !f.w.loaded[f.name] {
			panic(f.name + " runs and is not loaded")
		}
		f.w.mu.Unlock()
		length, err := time.ParseDuration(r.Prompt)
		if err != nil {
			length = time.Second
		}
		select {
		case <-time.After(length):
			yield(chat.Delta{Text: f.name, Finish: chat.FinishStop}, nil)
		case <-ctx.Done():
			yield(chat.Delta{}, ctx.Err())
		}
	}
}

// entry is a model that takes two seconds to load.
func (w *world) entry(name string, bytes int64) Entry {
	return Entry{Name: name, Bytes: bytes, Load: func() (Loaded, error) {
		w.mu.Lock()
		if w.loaded == nil {
			w.loaded = map[string]bool{}
		}
		w.loaded[name] = true
		w.bytes += bytes
		w.most = max(w.most, w.bytes)
		w.log = append(w.log, "+"+name)
		w.mu.Unlock()
		time.Sleep(2 * time.Second)
		return Loaded{Model: talker{w, name}, Close: func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.loaded, name)
			w.bytes -= bytes
			w.log = append(w.log, "-"+name)
		}}, nil
	}}
}

func open(t *testing.T, o Options, entries ...Entry) (*Registry, map[string]*Model) {
	t.Helper()
	if o.Freed == nil {
		o.Freed = func() {}
	}
	r, err := New(entries, o)
	if err != nil {
		t.Fatal(err)
	}
	models := map[string]*Model{}
	for _, m := range r.Models() {
		models[m.Name()] = m
	}
	return r, models
}

// ask runs one request to its end.
func ask(ctx context.Context, m *Model, prompt string) (text string, err error) {
	for d, err := range m.Generate(ctx, chat.Request{Prompt: prompt}) {
		if err != nil {
			return text, err
		}
		text += d.Text
	}
	return text, nil
}

// TestLoadsOnFirstRequest: requests that come while a model loads wait for it,
// and it is loaded once.
func TestLoadsOnFirstRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{}, w.entry("a", 1), w.entry("b", 1))
		if s := m["a"].Status(); s.State != Unloaded {
			t.Errorf("before any request: %s, want unloaded", s.State)
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if text, err := ask(t.Context(), m["a"], "1s"); err != nil || text != "a" {
					t.Errorf("got %q, %v", text, err)
				}
			})
		}
		synctest.Wait()
		if s := m["a"].Status(); s.State != Loading || s.Waiting != 5 || s.Running != 0 {
			t.Errorf("while it loads: %+v, want 5 waiting", s)
		}
		begin := time.Now()
		wg.Wait()
		if took := time.Since(begin); took != 3*time.Second {
			t.Errorf("took %v, want the load and one answer: 3 s", took)
		}
		if s := m["a"].Status(); s.State != Ready || s.Loads != 1 || s.Running != 0 || s.Waiting != 0 {
			t.Errorf("after: %+v, want loaded once, nobody inside", s)
		}
		if s := m["b"].Status(); s.State != Unloaded {
			t.Errorf("b: %s, want unloaded: nobody asked", s.State)
		}
		r.Close()
		if _, err := ask(t.Context(), m["a"], ""); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
		if len(w.loaded) > 0 {
			t.Errorf("after Close still in memory: %v", w.loaded)
		}
	})
}

// TestBudget: the longest unused idle model makes room, and no more than must.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{Memory: 10}, w.entry("a", 4), w.entry("b", 4), w.entry("c", 4), w.entry("d", 9))
		defer r.Close()
		for _, name := range []string{"a", "b", "a", "c", "d"} {
			if _, err := ask(t.Context(), m[name], ""); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := w.events(), "+a a() +b b() a() -b +c c() -a -c +d d()"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if w.most > 10 {
			t.Errorf("%d bytes at once, want at most 10", w.most)
		}
	})
}

// TestBusyModelsStay: a model with running requests is not unloaded; who needs
// its room waits, and goes in front of its next requests.
func TestBusyModelsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{Memory: 10}, w.entry("a", 6), w.entry("b", 6))
		defer r.Close()
		var wg sync.WaitGroup
		go1 := func(after time.Duration, name, prompt string) {
			wg.Go(func() {
				time.Sleep(after)
				if text, err := ask(t.Context(), m[name], prompt); err != nil || text != name {
					t.Errorf("%s: got %q, %v", name, text, err)
				}
			})
		}
		go1(0, "a", "10s")
		go1(3*time.Second, "b", "1s") // has to wait for a's request
		go1(4*time.Second, "a", "1s") // may not keep b out
		go1(5*time.Second, "b", "1s") // goes along
		time.Sleep(4500 * time.Millisecond)
		if s := m["a"].Status(); s.State != Ready || s.Running != 1 || s.Waiting != 1 {
			t.Errorf("a: %+v, want one running and one that waits behind b", s)
		}
		wg.Wait()
		if got, want := w.events(), "+a a(10s) -a +b b(1s) b(1s) -b +a a(1s)"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if w.most > 10 {
			t.Errorf("%d bytes at once, want at most 10", w.most)
		}
	})
}

// TestCancelledWait: whoever gives up leaves the line, and those who stood behind
// need not wait for it.
func TestCancelledWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{Memory: 10, Wait: 30 * time.Second}, w.entry("a", 6), w.entry("b", 6))
		defer r.Close()
		var wg sync.WaitGroup
		wg.Go(func() { ask(t.Context(), m["a"], "100s") })
		time.Sleep(3 * time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := ask(ctx, m["b"], ""); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: got %v", err)
			}
		})
		synctest.Wait()
		held := make(chan struct{})
		wg.Go(func() {
			ask(t.Context(), m["a"], "1s")
			close(held)
		})
		synctest.Wait()
		cancel()
		<-held
		var away *chat.UnavailableError
		if _, err := ask(t.Context(), m["b"], ""); !errors.As(err, &away) || !strings.Contains(away.Msg, "b was not loaded within 30s") || !strings.Contains(away.Msg, "busy are a") {
			t.Errorf("after a long wait: got %v, want an UnavailableError that names who is busy", err)
		}
		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := ask(deadline, m["b"], ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("past its deadline: got %v", err)
		}
		wg.Wait()
		if w.loaded["b"] || !w.loaded["a"] {
			t.Errorf("in memory: %v, want a alone", w.loaded)
		}
	})
}

func TestLineIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{Queue: 2}, w.entry("a", 6), w.entry("b", 6))
		defer r.Close()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() { ask(t.Context(), m["a"], "") })
		}
		synctest.Wait()
		if _, err := ask(t.Context(), m["a"], ""); !errors.Is(err, chat.ErrBusy) {
			t.Errorf("a third in line: got %v, want ErrBusy", err)
		}
		wg.Go(func() { // the other model's line is its own
			if _, err := ask(t.Context(), m["b"], ""); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
	})
}

func TestIdleUnload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		freed := 0
		r, m := open(t, Options{Idle: time.Minute, Freed: func() { freed++ }}, w.entry("a", 1), w.entry("b", 1))
		defer r.Close()
		ask(t.Context(), m["a"], "1s")
		ask(t.Context(), m["b"], "1s")
		time.Sleep(50 * time.Second)
		if s := m["a"].Status(); s.State != Ready || time.Until(s.Unload) != 7*time.Second {
			t.Errorf("a: %+v, want loaded for 7 s more", s)
		}
		ask(t.Context(), m["a"], "90s") // longer than a minute: its own time counts from its end
		synctest.Wait()
		if m["a"].Status().State != Ready || m["b"].Status().State != Unloaded {
			t.Errorf("a %s, b %s: want a loaded and b not", m["a"].Status().State, m["b"].Status().State)
		}
		time.Sleep(61 * time.Second)
		if s := m["a"].Status(); s.State != Unloaded || s.Unloads != 1 || !s.Unload.IsZero() {
			t.Errorf("a: %+v, want unloaded", s)
		}
		if freed != 2 {
			t.Errorf("memory was given back %d times, want 2", freed)
		}
		if _, err := ask(t.Context(), m["a"], ""); err != nil || m["a"].Status().Loads != 2 {
			t.Errorf("asked again: %v after %d loads", err, m["a"].Status().Loads)
		}
	})
}

// TestFailedLoad: everybody in line learns of it, the registry goes on, and the
// load is not tried again at once.
func TestFailedLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		broken, tries := true, 0
		good := w.entry("bad", 1)
		bad := Entry{Name: "bad", Bytes: 1, Load: func() (Loaded, error) {
			if tries++; broken && tries == 1 {
				time.Sleep(time.Second)
				return Loaded{}, errors.New("the file is cut")
			} else if broken {
				panic("out of range")
			}
			return good.Load()
		}}
		r, m := open(t, Options{}, bad, w.entry("a", 1))
		defer r.Close()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				var away *chat.UnavailableError
				if _, err := ask(t.Context(), m["bad"], ""); !errors.As(err, &away) || !strings.Contains(err.Error(), "bad could not be loaded: the file is cut") {
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if _, err := ask(t.Context(), m["bad"], ""); err == nil || tries != 1 {
			t.Errorf("at once again: %v after %d tries, want the same error without a try", err, tries)
		}
		if _, err := ask(t.Context(), m["a"], ""); err != nil {
			t.Errorf("the other model: %v", err)
		}
		time.Sleep(retryAfter)
		if _, err := ask(t.Context(), m["bad"], ""); err == nil || !strings.Contains(err.Error(), "out of range") {
			t.Errorf("a panic: got %v", err)
		}
		broken = false
		time.Sleep(retryAfter)
		if _, err := ask(t.Context(), m["bad"], ""); err != nil {
			t.Errorf("mended: %v", err)
		}
		if s := m["bad"].Status(); s.Failures != 2 || s.Loads != 1 || s.Failed != nil {
			t.Errorf("got %+v, want two failures and a load", s)
		}
	})
}

// TestSizes: what cannot fit is said before it is loaded, or as soon as it is known.
func TestSizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		if _, err := New([]Entry{w.entry("a", 11_000_000_000)}, Options{Memory: 10_000_000_000}); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "a: it does not fit the memory for models: it takes 11 GB of 10 GB") {
			t.Errorf("too large: got %v", err)
		}
		closed := false
		r, m := open(t, Options{Memory: 10}, w.entry("a", 4), w.entry("b", 4),
			Entry{Name: "grows", Bytes: 4, Load: func() (Loaded, error) { return Loaded{Model: talker{w, "grows"}, Bytes: 7}, nil }},
			Entry{Name: "bursts", Bytes: 4, Load: func() (Loaded, error) {
				return Loaded{Model: talker{w, "bursts"}, Bytes: 11, Close: func() { closed = true }}, nil
			}})
		defer r.Close()
		ask(t.Context(), m["a"], "")
		ask(t.Context(), m["b"], "")
		w.loaded["grows"] = true
		if _, err := ask(t.Context(), m["grows"], ""); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if m["a"].Status().State != Unloaded || m["b"].Status().State != Unloaded || m["grows"].Status().Bytes != 7 {
			t.Errorf("a %+v, b %+v, grows %+v: want room made for 7", m["a"].Status(), m["b"].Status(), m["grows"].Status())
		}
		if _, err := ask(t.Context(), m["bursts"], ""); !errors.Is(err, ErrTooLarge) || !closed {
			t.Errorf("larger than the budget: got %v, closed %t", err, closed)
		}
	})
}

func TestNew(t *testing.T) {
	load := func() (Loaded, error) { return Loaded{}, nil }
	for name, try := range map[string]struct {
		entries []Entry
		o       Options
	}{
		"no name": {[]Entry{{Load: load}}, Options{}}, "no load": {[]Entry{{Name: "a"}}, Options{}},
		"twice":  {[]Entry{{Name: "a", Load: load}, {Name: "a", Load: load}}, Options{}},
		"memory": {nil, Options{Memory: -1}}, "idle": {nil, Options{Idle: -1}}, "queue": {nil, Options{Queue: -1}}, "wait": {nil, Options{Wait: -1}},
	} {
		if _, err := New(try.entries, try.o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	r, err := New([]Entry{{Name: "empty", Load: load}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.Models()[0].Load(t.Context()); err == nil || !strings.Contains(err.Error(), "no model") {
		t.Errorf("a load that gives nothing: got %v", err)
	}
}

// TestManyAtOnce lets many requests for more models than fit come, some of which
// give up: all get their model's answer or their own error, within the budget.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		var entries []Entry
		for i := range 6 {
			entries = append(entries, w.entry(fmt.Sprint("m", i), int64(2+i%3)))
		}
		r, m := open(t, Options{Memory: 7, Idle: 20 * time.Second, Wait: time.Hour}, entries...)
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() {
				time.Sleep(time.Duration(i*37%211) * 100 * time.Millisecond)
				name, ctx := fmt.Sprint("m", i*7%6), t.Context()
				if i%5 == 0 {
					short, cancel := context.WithTimeout(ctx, time.Duration(i)*50*time.Millisecond)
					defer cancel()
					ctx = short
				}
				text, err := ask(ctx, m[name], fmt.Sprint(i%4, "s"))
				if err == nil && text != name || err != nil && !(i%5 == 0 && errors.Is(err, context.DeadlineExceeded)) {
					t.Errorf("request %d: got %q, %v", i, text, err)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute)
		for name, m := range m {
			if s := m.Status(); s.State != Unloaded || s.Running != 0 || s.Waiting != 0 || s.Loads != s.Unloads {
				t.Errorf("%s: %+v, want nothing left", name, s)
			}
		}
		if w.most > 7 || w.bytes != 0 {
			t.Errorf("%d bytes at once of 7, %d at the end", w.most, w.bytes)
		}
		r.Close()
	})
}

// TestReserve: what is taken aside makes idle models leave, and leaves room for
// each model alone.
func TestReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		r, m := open(t, Options{Memory: 10}, w.entry("a", 5), w.entry("b", 4))
		defer r.Close()
		for _, name := range []string{"a", "b"} {
			if _, err := ask(t.Context(), m[name], ""); err != nil {
				t.Fatal(err)
			}
		}
		if room, ok := r.Reserve(6); ok || room != 5 {
			t.Errorf("6 beside a model of 5 of 10: %v, room for %d, want none and 5", ok, room)
		}
		if _, ok := r.Reserve(3); !ok {
			t.Error("3 of 10 are not given")
		}
		synctest.Wait()
		if room, ok := r.Reserve(3); ok || room != 2 {
			t.Errorf("3 more: %v, room for %d, want none and 2", ok, room)
		}
		if _, err := ask(t.Context(), m["a"], ""); err != nil { // beside 3, not beside b too
			t.Fatal(err)
		}
		r.Release(3)
		if _, err := ask(t.Context(), m["b"], ""); err != nil {
			t.Fatal(err)
		}
		if got, want := w.events(), "+a a() +b b() -a -b +a a() +b b()"; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if _, ok := r.Reserve(1 << 50); ok {
			t.Error("everything and more is given")
		}
	})
	r, _ := open(t, Options{}, (&world{}).entry("a", 5))
	defer r.Close()
	if _, ok := r.Reserve(1 << 50); !ok {
		t.Error("without a bound nothing is refused")
	}
}
