package op

import (
	"math"
	"strings"
	"sync"
	"testing"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// TestRopeGrows reads a rotation from many passes at once while it grows: the
// tables keep the bits they have when made in one go.
func TestRopeGrows(t *testing.T) {
	whole := NewRope(Frequencies(500000, 8), 8, 1)
	want := whole.upTo(3000)
	r := NewRope(Frequencies(500000, 8), 8, 1)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for n := 1 + g; n < 3000; n += 97 {
				got := r.upTo(n)
				if at := (n - 1) * 4; !sameBits(got.cos[at:at+4], want.cos[at:at+4]) || !sameBits(got.sin[at:at+4], want.sin[at:at+4]) {
					t.Errorf("position %d has other bits after growing", n-1)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestMisuse(t *testing.T) {
	x := tensor.New(2, 3)
	for want, fn := range map[string]func(){
		"cannot have a KV cache":  func() { (&Pass{Record: true, KV: noKV{}}).New(1, 1) },
		"token id 7 is outside":   func() { (&Pass{}).Embed(x, []int32{0, 7}) },
		"linear of 4 inputs":      func() { (&Pass{}).Linear(x, tensor.New(5, 4), nil) },
		"linear of 1 inputs":      func() { (&Pass{}).LinearAtRest(x, Pack8([]int8{1}, []float32{1}, 1, 1)) },
		"a norm of 2 values":      func() { (&Pass{}).RMSNorm(x, tensor.New(1, 2), 1) },
		"columns 2 to 4 of":       func() { (&Pass{}).Columns(x, 2, 2) },
		"token id 1 is outside":   func() { (&Pass{}).EmbedAtRest(Pack8([]int8{1}, []float32{1}, 1, 1), []int32{1}) },
		"one target per row":      func() { (&Pass{}).CrossEntropy(x, []int32{1}, 1) },
		"target 3 is outside the": func() { (&Pass{}).CrossEntropy(x, []int32{1, 3}, 1) },
	} {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, want) {
					t.Errorf("panic is %q, want one with %q", got, want)
				}
			}()
			fn()
		}()
	}
}

type noKV struct{}

func (noKV) Blocks(int, int, int) []kernel.Block { return nil }

// TestReset drops a forward whose backward nobody wants.
func TestReset(t *testing.T) {
	w := tensor.From(1, 1, []float32{2})
	w.Grad = []float32{}
	p := &Pass{Record: true, Arena: &tensor.Arena{}}
	x := tensor.From(1, 1, []float32{3})
	p.Linear(x, w, nil).Grad = []float32{float32(math.NaN())}
	p.Reset()
	p.Linear(x, w, nil).Grad = []float32{10}
	p.Backward()
	if len(w.Grad) != 1 || w.Grad[0] != 30 {
		t.Errorf("gradient is %v, want [30]: that of the second forward alone", w.Grad)
	}
}

// TestAccumulation runs two backwards into one gradient.
func TestAccumulation(t *testing.T) {
	w := tensor.From(1, 1, []float32{2})
	w.Grad = []float32{}
	p := &Pass{Record: true, Arena: &tensor.Arena{}}
	for _, v := range []float32{3, 4} {
		p.Reset()
		p.Linear(tensor.From(1, 1, []float32{v}), w, nil).Grad = []float32{1}
		p.Backward()
	}
	if w.Grad[0] != 7 {
		t.Errorf("gradient is %v, want 3+4", w.Grad)
	}
}
