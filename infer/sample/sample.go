package sample

import (
	"maps"
	"math"
	"slices"

	"weft/compute/kernel"
	"weft/compute/tensor"
)

// Sampler is the state of one request: its generator and what it has said. It
// outlives preemption, so a resumed request goes on with the same draws.
type Sampler struct {
	p      Params
	rng    tensor.RNG
	seen   map[int32]int // times in the output; 0: in the prompt only; nil without penalties
	saved  []saved       // logits that adjust has changed
	greedy bool
}

// saved is a raw logit.
type saved struct {
	id int32
	l  float32
}

// Scratch is the working memory of Sample and Logprobs, at most two words per
// vocabulary entry, allocated when first needed. Not for two goroutines at once.
type Scratch struct {
	weights []float32 // probability of each token after temperature
	ids     []int32   // tokens still in the race, rising
}

// New starts the sampler of one request. The params have been validated.
func New(p Params, prompt []int32) *Sampler {
	s := &Sampler{p: p, rng: *tensor.NewRNG(p.Seed), greedy: p.Temperature == 0}
	if p.Penalised() {
		s.seen = map[int32]int{}
		for _, id := range prompt {
			s.seen[id] = 0
		}
	}
	return s
}

// CopyTo makes to go on as s would, without a change to s: it draws ahead.
func (s *Sampler) CopyTo(to *Sampler) {
	seen := to.seen
	*to = Sampler{p: s.p, rng: s.rng, greedy: s.greedy, saved: to.saved[:0]}
	if s.seen == nil {
		return
	}
	if clear(seen); seen == nil {
		seen = map[int32]int{}
	}
	maps.Copy(seen, s.seen)
	to.seen = seen
}

// Sample chooses the next token from one row of raw logits [vocab] and
// remembers it. The row is as before when it returns. The error is ErrNotFinite.
func (s *Sampler) Sample(logits []float32, w *Scratch) (int32, error) {
	s.adjust(logits)
	defer s.restore(logits)
	best, err := argmax(logits)
	if err != nil {
		return -1, err
	}
	id := int32(best)
	if !s.greedy && s.p.TopK != 1 {
		s.weigh(logits, best, w)
		id = w.draw(s.rng.Float64())
	}
	if s.seen != nil {
		s.seen[id]++
	}
	return id, nil
}

// adjust applies penalties and bias to the logits of the tokens concerned.
func (s *Sampler) adjust(logits []float32) {
	rep := float32(s.p.repetition())
	for id, n := range s.seen {
		l := logits[id]
		s.saved = append(s.saved, saved{id, l})
		if l > 0 {
			l /= rep
		} else {
			l *= rep
		}
		if n > 0 {
			l -= float32(s.p.PresencePenalty + float64(n)*s.p.FrequencyPenalty)
		}
		logits[id] = l
	}
	for id, b := range s.p.LogitBias {
		s.saved = append(s.saved, saved{id, logits[id]})
		logits[id] += float32(b)
	}
}

// restore undoes adjust, last change first: a token may have two.
func (s *Sampler) restore(logits []float32) {
	for i := len(s.saved) - 1; i >= 0; i-- {
		logits[s.saved[i].id] = s.saved[i].l
	}
	s.saved = s.saved[:0]
}

// argmax returns the index of the first largest logit. Minus infinity is a
// banned token; NaN, plus infinity and a row of banned tokens are errors.
func argmax(logits []float32) (int, error) {
	best, top := -1, float32(math.Inf(-1))
	for i, l := range logits {
		if l > top {
			best, top = i, l
		} else if l != l {
			return -1, ErrNotFinite
		}
	}
	if best < 0 || math.IsInf(float64(top), 1) {
		return -1, ErrNotFinite
	}
	return best, nil
}

// weigh leaves in w the probability of every token at the temperature, and the
// tokens that top-k, top-p and min-p keep. Each of the three keeps a prefix of
// the order by falling logit (lower id first among equals), so nothing is sorted.
func (s *Sampler) weigh(logits []float32, best int, w *Scratch) {
	w.weights = append(w.weights[:0], logits...)
	top, inv := logits[best], float32(min(1/s.p.Temperature, 1e30))
	for i, l := range w.weights {
		w.weights[i] = (l - top) * inv
	}
	kernel.Softmax(w.weights, w.weights)

	nucleus := s.p.TopP > 0 && s.p.TopP < 1
	floor := float32(s.p.MinP) * w.weights[best]
	w.ids = w.ids[:0]
	total := 1.0 // of the tokens that top-k leaves, as softmax does
	if k := s.p.TopK; k > 0 && k < len(logits) {
		w.topK(logits, k)
		total = w.sum()
	} else {
		// Tokens below (1-p)/n hold less than 1-p together: the nucleus is
		// among the others. Half of it leaves room for rounding.
		least := floor
		if nucleus {
			least = float32((1 - s.p.TopP) / 2 / float64(len(logits)))
		}
		for i, x := range w.weights {
			if x >= least {
				w.ids = append(w.ids, int32(i))
			}
		}
	}
	if nucleus {
		findCut(w.ids, logits, w.weights, s.p.TopP*total).apply(&w.ids, logits)
	}
	if floor > 0 {
		w.ids = slices.DeleteFunc(w.ids, func(id int32) bool { return w.weights[id] < floor })
	}
}

// sum is the probability of the tokens in the race.
func (w *Scratch) sum() (total float64) {
	for _, id := range w.ids {
		total += float64(w.weights[id])
	}
	return total
}

// draw returns the token at which the running sum, in id order, passes the
// share u (0 to 1) of the whole.
func (w *Scratch) draw(u float64) int32 {
	rest := u * w.sum()
	last := w.ids[0]
	for _, id := range w.ids {
		if x := float64(w.weights[id]); x > 0 {
			last = id
			if rest -= x; rest < 0 {
				break
			}
		}
	}
	return last
}
