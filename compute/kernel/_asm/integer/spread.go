package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// leastSpread is the least rows of a kernel for spread weights: slivers of many
// rows have no less.
const leastSpread = 4

// spreadable is a form that costs so much to decode that many rows want it done
// once for all.
type spreadable interface {
	form
	spread() spread // what becomes of it
}

// spread is weights as the multiplication takes them: bytes without sign [8 quads
// of k][16 columns][4], and float32 scales [16]; where there are minima, those;
// where a scale is that of 16 k, two. Groups share nothing any more.
type spread struct {
	plain
	kernel string
	size   int  // bytes of a block
	halves bool // two scales
	least  bool // there are minima
}

const spreadBytes = 512 // of weights

var (
	spread5  = spread{kernel: "s5rows", size: spreadBytes + 64}
	spread51 = spread{kernel: "s51rows", size: spreadBytes + 128, least: true}
	spread6  = spread{kernel: "s6rows", size: spreadBytes + 128, halves: true}
	spreads  = []spread{spread5, spread51, spread6}
)

func (f spread) name() string { return f.kernel }
func (f spread) bytes() int   { return f.size }
func (f spread) masks() []Mem { return nil }
func (f spread) held() int    { return 0 }

// start is that of the forms for few rows.
func (f spread) start(t *tile) {
	if !f.halves {
		five{}.start(t)
	}
}

func (f spread) multiply(t *tile) {
	if !f.halves {
		f.sums(t, 0, 8)
		return
	}
	for half := range 2 {
		t.startAt(bias32 + 4*half)
		f.sums(t, 4*half, 4)
		t.scaled(spreadBytes+64*half, pairsToInt32)
		t.store()
	}
}

// sums emits those of count quads from the given one on.
func (f spread) sums(t *tile, first, count int) {
	for q := first; q < first+count; q++ {
		t.fetch(64 * q)
		for v := range vecs {
			VMOVDQU(Mem{Base: t.w, Disp: 64*q + 32*v}, t.v[v])
		}
		t.step(4*q, maddubsw, addw)
	}
}

func (f spread) scale(t *tile) {
	if f.halves {
		return
	}
	t.scaled(spreadBytes, pairsToInt32)
	if f.least {
		t.plus()
	}
	t.store()
}
