package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"weft/compute/op"
	"weft/infer/sample"
)

// TestFairQueue: one tenant fills the queue before another comes; served in
// order of what each has had, they finish in turns.
func TestFairQueue(t *testing.T) {
	e, err := build(tiny(), Options{MaxBatch: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	var tasks []*task
	ask := func(tenant string, prompt int) {
		r := Request{Tenant: tenant, Prompt: make([]int32, prompt), MaxTokens: 4}
		r.Prompt[0] = int32(len(tasks) + 1) // no common prefix
		task, err := e.submit(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	for range 5 {
		ask("many", 8)
	}
	for range 2 {
		ask("few", 8)
	}
	ask("long", 20)
	var order []string
	done := map[*task]bool{}
	for e.inside > 0 {
		e.turn()
		for _, task := range tasks {
			if task.stream.ended && !done[task] {
				done[task] = true
				order = append(order, task.req.Tenant)
			}
		}
	}
	if got, want := strings.Join(order, " "), "many few long many few many many many"; got != want {
		t.Errorf("finished in the order %s, want %s", got, want)
	}
	// Who was away begins level with who is here.
	ask("many", 8)
	ask("few", 8)
	if a, b := e.tenants["many"].served, e.tenants["few"].served; b < a {
		t.Errorf("a tenant that was away has had %d, the one that is here %d", b, a)
	}
	for e.inside > 0 {
		e.turn()
	}
}

// TestFullQueueMakesRoom: the newest request of a tenant with many waiting goes
// for one of a tenant with none, and nobody else does.
func TestFullQueueMakesRoom(t *testing.T) {
	e, err := build(tiny(), Options{MaxBatch: 1, Queue: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	submit := func(tenant string) (*task, error) {
		return e.submit(t.Context(), Request{Tenant: tenant, Prompt: []int32{1}, MaxTokens: 1})
	}
	var greedy []*task
	for range 4 {
		task, err := submit("a")
		if err != nil {
			t.Fatal(err)
		}
		greedy = append(greedy, task)
	}
	for i, tenant := range []string{"b", "c"} {
		if _, err := submit(tenant); err != nil {
			t.Fatalf("tenant %s: %v", tenant, err)
		}
		if out := greedy[3-i]; !out.stream.ended || !errors.Is(out.stream.err, ErrBusy) {
			t.Errorf("after tenant %s came, request %d of the first is still there", tenant, 3-i)
		}
	}
	for _, tenant := range []string{"a", "b"} {
		if _, err := submit(tenant); !errors.Is(err, ErrBusy) {
			t.Errorf("one more of tenant %s: %v, want ErrBusy", tenant, err)
		}
	}
	for range 3 * maxIdle { // strangers that are refused leave nothing behind
		_, _ = submit(fmt.Sprint("stranger ", len(e.tenants), time.Now()))
	}
	if e.inside != 4 || len(e.queue) != 4 || len(e.tenants) > maxIdle+8 {
		t.Errorf("%d inside, %d in the queue, %d tenants", e.inside, len(e.queue), len(e.tenants))
	}
	for e.inside > 0 {
		e.turn()
	}
}

// TestPreemptedResumes: two requests that together need more pages than there
// are; one is thrown out in the middle of its answer and says the rest as if
// nothing had happened, drawn from the same generator.
func TestPreemptedResumes(t *testing.T) {
	for _, off := range []bool{false, true} {
		m := tiny()
		e, err := build(m, Options{Pages: 5, NoPrefixCache: off})
		if err != nil {
			t.Fatal(err)
		}
		defer e.free()
		var tasks []*task
		for i := range 2 {
			r := Request{Prompt: []int32{int32(i), 5, 6}, MaxTokens: 50, Logprobs: 1, Params: sample.Params{Temperature: 1, Seed: uint64(i), PresencePenalty: 0.5}}
			task, err := e.submit(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		for e.inside > 0 {
			e.turn()
			if err := e.cache.Check(); err != nil {
				t.Fatal(err)
			}
		}
		for i, task := range tasks {
			if d := differ(task.stream.buf, generate(m, task.req)); d != "" {
				t.Errorf("request %d, prefix cache off %v: %s", i, off, d)
			}
		}
		if s := e.Stats(); s.Preemptions == 0 || off && s.Rows <= 2*(3+49) {
			t.Errorf("prefix cache off %v: %d preemptions, %d rows, want some, computed again", off, s.Preemptions, s.Rows)
		}
	}
}

// TestDeadline: a request whose time is up in the middle of its answer ends
// with the reason and frees its pages; its neighbour goes on.
func TestDeadline(t *testing.T) {
	m := tiny()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	passes := 0
	e := start(t, spy{m, func(*op.Pass, []int32) {
		if passes++; passes == 20 {
			<-ctx.Done()
		}
	}}, Options{})
	var wg sync.WaitGroup
	wg.Go(func() {
		r := Request{Prompt: []int32{3}, MaxTokens: 60}
		got, err := collect(e, r)
		if err != nil {
			t.Error(err)
		} else if d := differ(got, generate(m, r)); d != "" {
			t.Error(d)
		}
	})
	var last error
	for _, err := range e.Generate(ctx, Request{Prompt: []int32{4}, MaxTokens: 190}) {
		last = err
	}
	if !errors.Is(last, context.DeadlineExceeded) {
		t.Errorf("the stream ended with %v, want the deadline", last)
	}
	wg.Wait()
	eventually(t, "no pages used", func() bool { return e.Stats().PagesUsed == 0 })
}
