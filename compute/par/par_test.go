package par

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestRunCallsEveryChunkOnce(t *testing.T) {
	for _, size := range []int{1, 2, 3, 8} {
		p := New(size)
		defer p.Close()
		for n := range 300 {
			counts := make([]atomic.Int32, n)
			p.Run(n, func(i int) { counts[i].Add(1) })
			for i := range counts {
				if got := counts[i].Load(); got != 1 {
					t.Fatalf("size %d, n %d: chunk %d ran %d times, want 1", size, n, i, got)
				}
			}
		}
	}
}

// Plain writes of chunks must be visible to the caller, and plain writes of
// the caller to the chunks: the race detector checks both.
func TestRunOrdersMemory(t *testing.T) {
	p := New(4)
	defer p.Close()
	data := make([]int, 64)
	for round := range 2000 {
		p.Run(len(data), func(i int) { data[i]++ })
		for i := range data {
			if data[i] != 2*round+1 {
				t.Fatalf("round %d: data[%d] = %d, want %d", round, i, data[i], 2*round+1)
			}
			data[i]++
		}
	}
}

func TestNilAndClosedPoolRunInCaller(t *testing.T) {
	closed := New(3)
	closed.Close()
	closed.Close()
	for name, p := range map[string]*Pool{"nil": nil, "closed": closed} {
		sum := 0
		p.Run(10, func(i int) { sum += i })
		if sum != 45 {
			t.Errorf("%s pool: sum = %d, want 45", name, sum)
		}
	}
	(*Pool)(nil).Close()
	if got := (*Pool)(nil).Size(); got != 1 {
		t.Errorf("nil pool: size %d, want 1", got)
	}
	all := New(0)
	defer all.Close()
	if got := all.Size(); got != runtime.GOMAXPROCS(0) {
		t.Errorf("New(0): size %d, want GOMAXPROCS %d", got, runtime.GOMAXPROCS(0))
	}
}

func TestNestedRun(t *testing.T) {
	p := New(3)
	defer p.Close()
	var sum atomic.Int64
	p.Run(10, func(i int) {
		p.Run(10, func(j int) {
			p.Run(2, func(k int) { sum.Add(int64(i*10 + j + k)) })
		})
	})
	if got := sum.Load(); got != 2*4950+100 {
		t.Errorf("sum = %d, want %d", got, 2*4950+100)
	}
}

func TestConcurrentCallers(t *testing.T) {
	p := New(4)
	defer p.Close()
	var wg sync.WaitGroup
	var total atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 200 {
				sum := make([]int64, 16)
				p.Run(16, func(i int) { sum[i] = int64(i) })
				for _, v := range sum {
					total.Add(v)
				}
			}
		})
	}
	wg.Wait()
	if got := total.Load(); got != 8*200*120 {
		t.Errorf("total = %d, want %d", got, 8*200*120)
	}
}

// After the idle time the workers sleep; the next Run must wake them. Each
// chunk waits for the other, so both workers have to take part.
func TestRunWakesSleepers(t *testing.T) {
	p := New(2)
	defer p.Close()
	for range 5 {
		for p.sleeping.Load() != 1 {
			time.Sleep(idleTime)
		}
		var here atomic.Int32
		p.Run(2, func(int) {
			here.Add(1)
			for here.Load() < 2 {
				runtime.Gosched()
			}
		})
	}
}

func TestPanicReachesCaller(t *testing.T) {
	p := New(2)
	defer p.Close()
	for round := range 100 {
		err := func() (err error) {
			defer func() { err = recover().(*Panic) }()
			p.Run(20, func(i int) {
				if i == round%20 {
					panic(fmt.Errorf("chunk %d: %w", i, io.ErrUnexpectedEOF))
				}
			})
			return nil
		}()
		want := fmt.Sprintf("chunk %d: unexpected EOF", round%20)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.HasPrefix(err.Error(), want) {
			t.Fatalf("round %d: got %v, want %q first", round, err, want)
		}
		if !strings.Contains(err.Error(), "par_test.go") {
			t.Fatalf("no stack of the chunk in %v", err)
		}
		sum := make([]int, 8)
		p.Run(8, func(i int) { sum[i] = i })
		if sum[7] != 7 {
			t.Fatalf("round %d: the pool does not run after a panic", round)
		}
	}
}

func TestGoexitInChunk(t *testing.T) {
	p := New(3)
	defer p.Close()
	gone := make(chan error, 1)
	go func() {
		defer func() {
			err, _ := recover().(error)
			gone <- err
		}()
		// Two chunks that meet run in two goroutines, of which the caller is
		// at most one; it must not be the one that ends.
		caller := make(chan struct{})
		var first atomic.Bool
		p.Run(2, func(int) {
			if onWorker() && first.CompareAndSwap(false, true) {
				close(caller)
				runtime.Goexit()
			}
			<-caller
		})
	}()
	if err := <-gone; !errors.Is(err, errExit) {
		t.Errorf("got %v, want %v", err, errExit)
	}
}

// onWorker reports whether a pool's worker, not a caller of Run, is running.
func onWorker() bool {
	buf := make([]byte, 4096)
	return strings.Contains(string(buf[:runtime.Stack(buf, false)]), ".work(")
}

func TestCloseEndsWorkers(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		p := New(5)
		p.Run(10, func(int) {})
		p.Close()
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines after Close, %d before New", after, before)
	}
}

func TestRunDoesNotAllocate(t *testing.T) {
	p := New(2)
	defer p.Close()
	fn := func(int) {}
	if got := testing.AllocsPerRun(100, func() { p.Run(4, fn) }); got != 0 {
		t.Errorf("%v allocations per Run, want 0", got)
	}
}

func ExamplePool_Run() {
	p := New(2)
	defer p.Close()
	// Sums over chunks: one partial each, added up in order.
	partial := make([]float64, 4)
	p.Run(len(partial), func(i int) {
		for x := 25*i + 1; x <= 25*(i+1); x++ {
			partial[i] += float64(x)
		}
	})
	var sum float64
	for _, x := range partial {
		sum += x
	}
	fmt.Println(sum)
	// Output: 5050
}
