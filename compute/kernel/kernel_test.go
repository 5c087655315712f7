package kernel

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"weft/compute/par"
)

func TestPick(t *testing.T) {
	for _, x := range []struct {
		want string
		have tier
		get  tier
	}{{"", avx512, avx512}, {"", generic, generic}, {"avx2", avx512, avx2}, {"generic", avx2, generic}, {"avx512", avx512, avx512}} {
		if got := pick(x.want, x.have); got != x.get {
			t.Errorf("pick(%q, %v) = %v, want %v", x.want, x.have, got, x.get)
		}
	}
}

func TestPickRefuses(t *testing.T) {
	for want, have := range map[string]tier{"avx512": avx2, "avx2": generic, "sse": avx512} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("pick(%q, %v) did not panic", want, have)
				}
			}()
			pick(want, have)
		}()
	}
}

func TestFeaturesHoldTheTier(t *testing.T) {
	f := Features()
	if best() >= avx2 && (!slices.Contains(f, "avx2") || !slices.Contains(f, "fma")) {
		t.Errorf("tier %v, but features are %v", best(), f)
	}
	if best() == generic && runtime.GOARCH != "amd64" && f != nil {
		t.Errorf("no assembly in this build, but features are %v", f)
	}
	if Name() != level().String() {
		t.Errorf("name %q, level %v", Name(), level())
	}
}

func TestPeakAndBandwidthMeasure(t *testing.T) {
	p := par.New(2)
	defer p.Close()
	if got := Peak(p, 5*time.Millisecond); got < 1e7 || got > 1e15 {
		t.Errorf("peak of %g FLOP/s", got)
	}
	if got := Bandwidth(p, 5*time.Millisecond); got < 1e7 || got > 1e14 {
		t.Errorf("bandwidth of %g bytes/s", got)
	}
	if got := UpdateBandwidth(p, 5*time.Millisecond); got < 1e7 || got > 1e14 {
		t.Errorf("bandwidth of updates of %g bytes/s", got)
	}
}

func ExampleGemm() {
	a := Matrix{Data: []float32{1, 2, 3, 4}, Stride: 2} // [[1 2] [3 4]]
	w := Matrix{Data: []float32{5, 6, 7, 8}, Stride: 2, T: true}
	c := make([]float32, 4)
	Gemm(nil, c, 2, a, w, 2, 2, 2, false) // c = a * w^T
	fmt.Println(c)
	// Output: [17 23 39 53]
}
