// Package par is the fixed set of workers that every kernel forks over.
//
// It knows nothing of tensors or models: it runs n numbered chunks on at most
// Size goroutines and returns when all are done. Chunks are taken from an
// atomic counter, so a disturbed core does not stall the others; which worker
// runs a chunk is never defined, so a caller that sums must write one partial
// per chunk and add them up in order.
//
//	caller  -- Run --> left = n ...  chunk  chunk  chunk ... pending == 0 --> returns
//	worker  -- spins on left, ->     chunk  chunk        ... spins again
//	worker  -- sleeps, is woken, ->          chunk       ... spins, then sleeps
//
// Waiting is a plain-Go spin on an atomic: waking a sleeping thread costs tens
// of microseconds, as much as a whole kernel, while a spinning one joins in a
// fraction of one. Workers give way (runtime.Gosched) now and then, stay
// preemptible for the garbage collector, and sleep after an idle millisecond.
package par

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const (
	spins    = 2000             // looks at the counter between two Gosched calls, about 1 us
	idleTime = time.Millisecond // spinning without work before a worker sleeps
	closed   = -1               // value of left that ends the workers
)

// line keeps its neighbours on different cache lines: two of them, because
// processors prefetch lines in pairs.
type line [128]byte

// Pool is a fixed set of workers. A nil Pool runs everything in the caller.
//
// Any number of goroutines may call Run. One at a time gets the workers; a Run
// that finds them taken, and a Run inside a chunk, runs its chunks in its own
// goroutine, so neither can wait for the other.
type Pool struct {
	size int
	busy atomic.Bool // a Run has the workers, or the pool is closed

	// The job. Written by Run before left is set, and read only by the owner
	// of a chunk that is still pending, so it never changes under a reader.
	n     int
	fn    func(i int)
	panic atomic.Pointer[Panic]

	_       line
	left    atomic.Int64 // chunks not yet taken: chunk n-left is next
	_       line
	pending atomic.Int64 // chunks not yet done
	_       line

	sleeping atomic.Int64
	mu       sync.Mutex
	wake     sync.Cond // with mu: left is no longer 0
	ended    sync.WaitGroup
	once     sync.Once
}

// New returns a pool of n workers, the caller counted; n <= 0 means GOMAXPROCS.
func New(n int) *Pool {
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{size: n}
	p.wake.L = &p.mu
	for range n - 1 {
		p.ended.Go(p.work)
	}
	return p
}

// Size is the number of workers, the caller counted.
func (p *Pool) Size() int {
	if p == nil {
		return 1
	}
	return p.size
}

// Run calls fn(i) for every i in [0, n) and returns when all calls have. If a
// call panics in a forked Run, chunks not yet begun are skipped and Run panics
// with a *Panic in the caller's goroutine.
func (p *Pool) Run(n int, fn func(i int)) {
	if n <= 1 || p.Size() == 1 || !p.busy.CompareAndSwap(false, true) {
		for i := range n {
			fn(i)
		}
		return
	}
	p.n, p.fn = n, fn
	p.pending.Store(int64(n))
	p.left.Store(int64(n))
	if p.sleeping.Load() > 0 {
		p.mu.Lock()
		p.wake.Broadcast()
		p.mu.Unlock()
	}
	for !p.drain() {
	}
	for i := 1; p.pending.Load() > 0; i++ {
		if i%spins == 0 {
			runtime.Gosched()
		}
	}
	p.fn = nil
	failed := p.panic.Swap(nil)
	p.busy.Store(false)
	if failed != nil {
		panic(failed)
	}
}

// Close ends the workers and returns when they are gone. It waits for a Run in
// progress and must not be called from a chunk. Run on a closed pool runs
// everything in the caller.
func (p *Pool) Close() {
	if p == nil {
		return
	}
	p.once.Do(func() {
		for !p.busy.CompareAndSwap(false, true) {
			runtime.Gosched()
		}
		p.mu.Lock()
		p.left.Store(closed)
		p.wake.Broadcast()
		p.mu.Unlock()
		p.ended.Wait()
	})
}

// work is the life of a worker.
func (p *Pool) work() {
	idle := time.Now()
	for i := 1; ; i++ {
		switch left := p.left.Load(); {
		case left > 0:
			for !p.drain() {
			}
			i, idle = 0, time.Now()
		case left == closed:
			return
		case i%spins == 0:
			runtime.Gosched()
			if time.Since(idle) > idleTime {
				p.sleep()
				i, idle = 0, time.Now()
			}
		}
	}
}

// sleep waits until there is work. The worker counts itself as sleeping before
// it looks at left, and Run sets left before it looks at sleeping, so one of
// the two sees the other.
func (p *Pool) sleep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sleeping.Add(1)
	for p.left.Load() == 0 {
		p.wake.Wait()
	}
	p.sleeping.Add(-1)
}

// drain runs chunks until none is left, and reports true, or until one has
// panicked, and reports false.
func (p *Pool) drain() (empty bool) {
	mine := false // a chunk is taken and not yet counted as done
	defer func() {
		if mine {
			p.fail(recover())
		}
	}()
	for {
		left := p.left.Load()
		if left <= 0 {
			return true
		}
		if !p.left.CompareAndSwap(left, left-1) {
			continue
		}
		mine = true
		if p.panic.Load() == nil {
			p.fn(p.n - int(left))
		}
		mine = false
		p.pending.Add(-1)
	}
}

// fail keeps the first panic of a job for the caller and counts its chunk as done.
func (p *Pool) fail(value any) {
	p.panic.CompareAndSwap(nil, newPanic(value))
	p.pending.Add(-1)
}
