package engine

import (
	"math"
	"testing"
)

// TestExpected: the tokens of a round (spec: 2.77 at 0.7 and four guesses).
func TestExpected(t *testing.T) {
	if got := expected(0.7, 4); math.Abs(got-2.7731) > 1e-4 {
		t.Errorf("got %v, want 2.7731", got)
	}
	if got := expected(1, 4); got != 5 {
		t.Errorf("always right: got %v, want 5", got)
	}
}

func TestLine(t *testing.T) {
	var l line
	if l.at(3) != 0 {
		t.Error("a line through nothing")
	}
	l.add(2, 0.5)
	if got := l.at(9); got != 0.5 {
		t.Errorf("one measurement: got %v, want it for any number of rows", got)
	}
	for i := range 200 {
		rows := float64(1 + i%8)
		l.add(rows, 0.010+0.002*rows)
	}
	if got := l.at(20); math.Abs(got-0.05) > 0.002 {
		t.Errorf("20 rows: got %v s, want 0.05", got)
	}
	l.add(4, 100)
	if got := l.at(4); got > 0.03 {
		t.Errorf("after a disturbed pass: got %v s for 4 rows, want about 0.018", got)
	}
}

// TestLength: good guesses are long where rows are cheap; guesses that do not
// pay stop, are tried again ever more seldom, and come back when they are right.
func TestLength(t *testing.T) {
	e := &Engine{}
	var draft line
	for i := range 100 {
		rows := float64(1 + i%20)
		e.cost.add(rows, 0.010+0.0001*rows) // the weights are read once for all rows
		draft.add(1, 0.001)
	}
	var good, bad rate
	for range 20 {
		good.observe(8, 8)
		bad.observe(0, 8)
	}
	if k := e.length(&good, 8, 1, nil); k != 8 {
		t.Errorf("right every time: %d guesses, want 8", k)
	}
	if k := e.length(&good, 8, 1, &draft); k < 6 {
		t.Errorf("right every time, at a tenth of the cost: %d guesses", k)
	}
	tries := 0
	for range 1000 {
		if k := e.length(&bad, 8, 1, &draft); k > 0 {
			tries++
			bad.observe(0, k)
		}
	}
	if tries < 3 || tries > 8 {
		t.Errorf("%d tries in 1000 tokens of guesses that are never right", tries)
	}
	for range 20 {
		bad.observe(2, 2)
	}
	if k := e.length(&bad, 8, 1, &draft); k == 0 {
		t.Error("guesses that have become right are not made")
	}
	// A batch that is bound by arithmetic: every row costs as much as the first.
	for i := range 500 {
		rows := float64(1 + i%200)
		e.cost.add(rows, 0.010*rows)
	}
	if k := e.length(&rate{}, 8, 16, nil); k != 0 {
		t.Errorf("rows at full price: %d guesses, want none", k)
	}
}
