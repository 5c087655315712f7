package quant_test

import (
	"math"
	"testing"

	"weft/compute/quant"
)

const rows, cols = 16, 1024 // of each kind of values

// uniform is numbers in [-1/2, 1/2) of 24 bits.
func uniform(seed uint64, n int) []float64 {
	out := make([]float64, n)
	for i, w := range words(seed, n) {
		out[i] = float64(w>>40)/(1<<24) - 0.5
	}
	return out
}

// kinds are values to encode, made of a nearly normal number, a random one and
// their index. All arithmetic is exact or rounded once, as in make.py.
var kinds = map[string]func(bell float64, coin uint64, i int) float64{
	"bell":  func(bell float64, _ uint64, _ int) float64 { return bell / 32 },
	"tails": func(bell float64, _ uint64, _ int) float64 { return float64(float64(bell*bell)*bell) / 8 },
	"outliers": func(bell float64, coin uint64, _ int) float64 {
		if coin%97 == 0 {
			return bell * 4
		}
		return bell / 64
	},
	"positive": func(bell float64, _ uint64, _ int) float64 { return math.Abs(bell)/16 + 0.25 },
	"negative": func(bell float64, _ uint64, _ int) float64 { return -math.Abs(bell)/16 - 0.25 },
	"large":    func(bell float64, _ uint64, _ int) float64 { return bell * 4096 },
	"tiny":     func(bell float64, _ uint64, _ int) float64 { return bell / (1 << 20) },
	"sparse": func(bell float64, coin uint64, _ int) float64 {
		if coin%13 == 0 {
			return bell
		}
		return 0
	},
	"steps": func(bell float64, _ uint64, _ int) float64 { return math.Floor(bell*8) / 64 },
	"groups": func(bell float64, _ uint64, i int) float64 {
		if i/16%5 == 0 {
			return 0
		}
		return math.Ldexp(bell, -(i / 32 % 12))
	},
}

// values are rows*cols of a kind.
func values(kind string) []float32 {
	a, b, c, d, coin := uniform(1, rows*cols), uniform(2, rows*cols), uniform(3, rows*cols), uniform(4, rows*cols), words(5, rows*cols)
	out := make([]float32, rows*cols)
	for i := range out {
		out[i] = float32(kinds[kind](a[i]+b[i]+c[i]+d[i], coin[i], i))
	}
	return out
}

// importance is one weight per column.
func importance() []float32 {
	out := make([]float32, cols)
	for i, u := range uniform(6, cols) {
		v := float32(u + 0.5)
		out[i] = v * v
	}
	return out
}

// relative is the root mean square error of y relative to x.
func relative(x, y []float32) float64 {
	var diff, all float64
	for i, v := range x {
		e := float64(v) - float64(y[i])
		diff += e * e
		all += float64(v) * float64(v)
	}
	return math.Sqrt(diff / all)
}

func TestEncodeIsTheReference(t *testing.T) {
	r := expected(t)
	if got := digest(plain(importance())); got != r.Inputs["importance"] {
		t.Fatalf("the importance of columns has hash %s, want %s", got, r.Inputs["importance"])
	}
	for kind := range kinds {
		x := values(kind)
		if got := digest(plain(x)); got != r.Inputs[kind] {
			t.Fatalf("values of kind %s have hash %s, want %s", kind, got, r.Inputs[kind])
		}
		for name, want := range r.Formats {
			f, err := quant.Parse(name)
			if err != nil {
				t.Fatal(err)
			}
			size, err := f.RowBytes(len(x))
			if err != nil {
				t.Fatal(err)
			}
			b, y := make([]byte, size), make([]float32, len(x))
			for label, weights := range map[string][]float32{kind: nil, kind + ", weighted": importance()} {
				if err := f.Encode(b, x, weights); err != nil {
					t.Errorf("%s, %s: %v", name, label, err)
					continue
				}
				f.Decode(y, b)
				if w := want.Encode[label]; digest(b) != w.Hash {
					t.Errorf("%s, %s: bytes have hash %s, want %s; error %.6g, want %.6g", name, label, digest(b), w.Hash, relative(x, y), w.Error)
				}
			}
		}
	}
}
