package sample

import (
	"cmp"
	"math"
	"slices"

	"weft/compute/kernel"
)

// cut is the end of a prefix of tokens in falling order of logit, lower id
// first among equals: all tokens above key, and the first ties tokens at key.
type cut struct {
	key  uint32
	ties int
}

// key maps a float32 to an integer of the same order. Minus zero equals zero.
func key(x float32) uint32 {
	b := math.Float32bits(x + 0)
	if b>>31 != 0 {
		return ^b
	}
	return b | 1<<31
}

// apply removes from ids, which rise, what is not in the prefix.
func (c cut) apply(ids *[]int32, logits []float32) {
	*ids = slices.DeleteFunc(*ids, func(id int32) bool {
		k := key(logits[id])
		if k == c.key {
			c.ties--
			return c.ties < 0
		}
		return k < c.key
	})
}

// findCut returns the shortest prefix of ids (rising) whose mass reaches
// quota; mass nil counts tokens. It is a radix select over the bits of the
// logits: three passes, whatever the values (no sort, no bad pivots).
func findCut(ids []int32, logits, mass []float32, quota float64) cut {
	const digit = 11
	var c cut
	var mask uint32
	var above float64 // mass of the tokens above the range under search
	for shift := 32 - digit; ; shift = max(0, shift-digit) {
		var hist [1 << digit]float64
		for _, id := range ids {
			if k := key(logits[id]); k&mask == c.key {
				hist[k>>shift&(1<<digit-1)] += massOf(mass, id)
			}
		}
		b := len(hist) - 1
		for ; b > 0 && above+hist[b] < quota; b-- {
			above += hist[b]
		}
		c.key |= uint32(b) << shift
		mask |= (1<<digit - 1) << shift
		if shift == 0 {
			break
		}
	}
	c.ties = 1
	for _, id := range ids { // equal logits have equal mass
		if each := massOf(mass, id); key(logits[id]) == c.key && each > 0 {
			c.ties = max(1, int(math.Ceil((quota-above)/each)))
			break
		}
	}
	return c
}

func massOf(mass []float32, id int32) float64 {
	if mass == nil {
		return 1
	}
	return float64(mass[id])
}

// topK sets w.ids to the k tokens of the largest logits; banned ones (minus
// infinity) never count. Candidates collect in a small list; when it is full,
// the best k stay and what is not above them is not looked at again.
func (w *Scratch) topK(logits []float32, k int) {
	full, floor := 2*k+1024, float32(math.Inf(-1))
	w.ids = w.ids[:0]
	for i, l := range logits {
		if l <= floor {
			continue
		}
		if w.ids = append(w.ids, int32(i)); len(w.ids) == full {
			w.keep(logits, k)
			floor = logits[w.ids[0]]
			for _, id := range w.ids {
				floor = min(floor, logits[id])
			}
		}
	}
	if len(w.ids) > k {
		w.keep(logits, k)
	}
}

func (w *Scratch) keep(logits []float32, k int) {
	findCut(w.ids, logits, nil, float64(k)).apply(&w.ids, logits)
}

// Alt is one candidate with its natural-log probability under the model.
type Alt struct {
	ID      int32
	Logprob float32
}

// Top returns the n most likely tokens of a row of raw logits [vocab], as
// Logprobs does. The error is ErrNotFinite.
func Top(logits []float32, n int, w *Scratch) ([]Alt, error) {
	best, err := argmax(logits)
	if err != nil {
		return nil, err
	}
	_, top := Logprobs(logits, int32(best), n, w)
	return top, nil
}

// Logprobs returns the log-probability of token id under a row of raw logits
// [vocab], and the n most likely tokens, most likely first (lower id first
// among equals); n may exceed the row. Only top is allocated.
func Logprobs(logits []float32, id int32, n int, w *Scratch) (chosen float32, top []Alt) {
	norm := kernel.LogSumExp(logits)
	if n > 0 {
		w.topK(logits, min(n, len(logits)))
		top = make([]Alt, len(w.ids))
		for i, id := range w.ids {
			top[i] = Alt{id, logits[id] - norm}
		}
		slices.SortFunc(top, func(a, b Alt) int {
			return cmp.Or(cmp.Compare(b.Logprob, a.Logprob), cmp.Compare(a.ID, b.ID))
		})
	}
	return logits[id] - norm, top
}
