package engine

import (
	"math"
	"testing"
	"time"

	"weft/compute/op"
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
	for range 500 {
		l.add(4, 0.018)
	}
	if got := l.at(20); math.Abs(got-0.05) > 0.002 {
		t.Errorf("20 rows, long after passes had other than 4: got %v s, want 0.05", got)
	}
	l.add(4, 100)
	if got := l.at(4); got > 0.03 {
		t.Errorf("after a disturbed pass: got %v s for 4 rows, want about 0.018", got)
	}
}

// TestFirstPassIsCold: what was measured before anything was warm is forgotten.
func TestFirstPassIsCold(t *testing.T) {
	var l line
	var m mean
	for _, s := range []float64{1, 0.02, 0.02} {
		l.add(1, s)
		m.add(s)
	}
	if l.at(1) > 0.03 || m.value > 0.03 {
		t.Errorf("after a cold start: %v and %v s, want 0.02", l.at(1), m.value)
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
		good.observe(8, 8, forget)
		bad.observe(0, 8, forget)
	}
	if k := e.length(&good, 8, 1, nil, 0); k != 8 {
		t.Errorf("right every time: %d guesses, want 8", k)
	}
	if k := e.length(&good, 8, 1, &draft, 0); k < 6 {
		t.Errorf("right every time, at a tenth of the cost: %d guesses", k)
	}
	tries := 0
	for range 1000 {
		k := e.length(&bad, 8, 1, &draft, 0)
		if k == 0 {
			k = bad.retry(8)
		}
		if k > 0 {
			tries++
			bad.observe(0, k, forget)
		}
	}
	if tries < 3 || tries > 8 {
		t.Errorf("%d tries in 1000 tokens of guesses that are never right", tries)
	}
	for range 20 {
		bad.observe(2, 2, forget)
	}
	if k := e.length(&bad, 8, 1, &draft, 0); k == 0 {
		t.Error("guesses that have become right are not made")
	}
	if k := e.length(&good, 8, 1, &draft, 0.01); k != 0 {
		t.Errorf("%d guesses of a draft model that takes as long to read what was said as the model to say it", k)
	}
	// A batch that is bound by arithmetic: every row costs as much as the first.
	for i := range 500 {
		rows := float64(1 + i%200)
		e.cost.add(rows, 0.010*rows)
	}
	if k := e.length(&rate{}, 8, 16, nil, 0); k != 0 {
		t.Errorf("rows at full price: %d guesses, want none", k)
	}
}

// TestDraftModelThatDoesNotPay: a model as large as the target is given up after
// a trial, its pages come back, and later requests are hardly bothered with it.
func TestDraftModelThatDoesNotPay(t *testing.T) {
	e, err := build(tiny(), Options{Draft: spy{odd(), func(*op.Pass, []int32) { time.Sleep(2 * time.Millisecond) }}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	for range 8 {
		if _, err := e.submit(t.Context(), Request{Prompt: []int32{1, 2, 3}, MaxTokens: 60, Logprobs: -1}); err != nil {
			t.Fatal(err)
		}
		for i := 0; e.inside > 0; i++ {
			e.turn()
			if free, cached, total := e.drafter.cache.Pages(); i == 30 && free+cached != total {
				t.Errorf("%d pages of a model that does not pay are held", total-free-cached)
			}
		}
	}
	if s := e.Stats(); s.Drafts > 2*tryRounds {
		t.Errorf("%d passes with guesses in 480 tokens, want a trial", s.Drafts)
	}
}

// TestPromptsGetTheirShare: the rows of prompts in a pass follow from what rows
// and passes take: less than twice the time for one prompt, more where more wait,
// Chunk where nobody else does or nothing is known.
func TestPromptsGetTheirShare(t *testing.T) {
	e := &Engine{opts: Options{Chunk: 256}}
	if n := e.promptRows(8, 1); n != 248 {
		t.Errorf("nothing measured: %d rows, want the rest of 256", n)
	}
	for range 50 {
		e.measure(8, 0, 0.032)
		e.measure(8, 10, 0.032+10*0.002)
	}
	for _, tc := range []struct{ others, prompts, want int }{{8, 1, 9}, {8, 4, 38}, {0, 1, 256}, {250, 1, 6}} {
		if n := e.promptRows(tc.others, tc.prompts); n < tc.want-1 || n > tc.want {
			t.Errorf("%d prompts beside %d others: %d rows, want %d", tc.prompts, tc.others, n, tc.want)
		}
	}
	e.measure(8, 9, 0.033) // a lucky one
	if n := e.promptRows(8, 1); n > 13 {
		t.Errorf("after one fast pass: %d rows, want about 9", n)
	}
	for range 50 { // rows so slow that not one fits
		e.measure(8, 1, 1)
	}
	if n := e.promptRows(8, 1); n != 1 {
		t.Errorf("slow rows: %d, want 1", n)
	}
}
