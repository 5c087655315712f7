package tokenizer

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// suffix is a distinct beginning, of up to maxPiece characters, of what stands
// between a place of the text and the end of its run.
type suffix struct {
	from, to int32
	weight   int64 // occurrences, by the counts of their words
}

// suffixes lists the distinct suffixes in the order of their bytes, and gives
// every place the number of its own.
func (t *unigramTrainer) suffixes() []suffix {
	var all []suffix
	for _, r := range t.runs {
		for at := r.from; at < r.to; {
			to := at
			for n := 0; n < maxPiece && to < r.to; n++ {
				to += t.size(to)
			}
			all = append(all, suffix{at, to, r.count})
			at += t.size(at)
		}
	}
	text := func(s suffix) []byte { return t.text[s.from:s.to] }
	slices.SortFunc(all, func(a, b suffix) int {
		return cmp.Or(bytes.Compare(text(a), text(b)), cmp.Compare(a.from, b.from))
	})
	t.lists = make([]int32, len(t.text))
	for i := range t.lists {
		t.lists[i] = -1
	}
	n := 0
	for i, s := range all {
		if i > 0 && bytes.Equal(text(all[n-1]), text(s)) {
			all[n-1].weight += s.weight
		} else {
			all[n] = s
			n++
		}
		t.lists[s.from] = int32(n - 1)
	}
	return all[:n]
}

// size is the length of the character at a place.
func (t *unigramTrainer) size(at int32) int32 {
	if t.text[at] < utf8.RuneSelf {
		return 1
	}
	_, n := utf8.DecodeRune(t.text[at:])
	return int32(n)
}

// repeats calls found for every substring that is not always followed by the
// same character, with its occurrences. These are the inner nodes of the tree of
// suffixes, which a stack of open ones visits in order (Abouelhoda et al. 2004).
func (t *unigramTrainer) repeats(places []suffix, found func(from, len int32, weight int64)) {
	type node struct {
		from, len int32
		weight    int64
	}
	var open []node
	closeTo := func(depth int32) { // closes what is longer than depth
		var below int64
		for len(open) > 0 && open[len(open)-1].len > depth {
			top := open[len(open)-1]
			open = open[:len(open)-1]
			top.weight += below
			found(top.from, top.len, top.weight)
			below = top.weight
			if depth > 0 && (len(open) == 0 || open[len(open)-1].len < depth) {
				open = append(open, node{top.from, depth, below})
				return
			}
		}
		if len(open) > 0 {
			open[len(open)-1].weight += below
		}
	}
	for i, s := range places {
		common := int32(0)
		if i > 0 {
			common = t.common(places[i-1], s)
		}
		closeTo(common)
		open = append(open, node{s.from, s.to - s.from, s.weight})
	}
	closeTo(0)
}

// common is how many bytes two suffixes share at the front, in whole characters.
func (t *unigramTrainer) common(a, b suffix) (n int32) {
	for a.from+n < a.to && b.from+n < b.to && t.text[a.from+n] == t.text[b.from+n] {
		n++
	}
	for n > 0 && b.from+n < b.to && !utf8.RuneStart(t.text[b.from+n]) {
		n--
	}
	return n
}

// connect lists the pieces that each suffix begins with. Both are in the order
// of their bytes, so one walk along both finds them: the pieces that the suffix
// at hand begins with are a stack.
func (t *unigramTrainer) connect(places []suffix) {
	var stack []int32
	next := int32(0)
	begins := func(s suffix, p int32) bool {
		return bytes.HasPrefix(t.text[s.from:s.to], t.text[t.pieces[p].from:t.pieces[p].from+t.pieces[p].len])
	}
	for _, s := range places {
		for len(stack) > 0 && !begins(s, stack[len(stack)-1]) {
			stack = stack[:len(stack)-1]
		}
		for int(next) < len(t.pieces) {
			p := t.pieces[next]
			if bytes.Compare(t.text[p.from:p.from+p.len], t.text[s.from:s.to]) > 0 {
				break
			}
			if begins(s, next) {
				stack = append(stack, next)
			}
			next++
		}
		t.first = append(t.first, int32(len(t.edges)))
		t.edges = append(t.edges, stack...)
	}
	t.first = append(t.first, int32(len(t.edges)))
}

// begin lists the pieces that begin at a place.
func (t *unigramTrainer) begin(at int32) []int32 {
	list := t.lists[at]
	if list < 0 {
		return nil
	}
	return t.edges[t.first[list]:t.first[list+1]]
}

const runBlock = 4096 // runs that a worker takes at a time

// expect counts how often each piece is expected in the text under the present
// probabilities, and returns the text's likelihood in nats per character.
// Counts are summed as integers and likelihoods block by block, so that the
// result has the same bits for any number of workers.
func (t *unigramTrainer) expect() float64 {
	blocks := (len(t.runs) + runBlock - 1) / runBlock
	sums, logs := make([][]int64, t.workers), make([]float64, blocks)
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := range t.workers {
		wg.Go(func() {
			sums[w] = make([]int64, len(t.pieces))
			f := forward{t: t, sums: sums[w]}
			for b := int(next.Add(1)) - 1; b < blocks; b = int(next.Add(1)) - 1 {
				for _, r := range t.runs[b*runBlock : min(len(t.runs), (b+1)*runBlock)] {
					logs[b] += f.run(r)
				}
			}
		})
	}
	wg.Wait()
	for i := range t.counts {
		var n int64
		for _, s := range sums {
			n += s[i]
		}
		t.counts[i] = float64(n) / t.scale
	}
	total := 0.0
	for _, l := range logs {
		total += l
	}
	return total / max(t.chars, 1)
}

// forward is the room for one run's forward and backward sums.
type forward struct {
	t    *unigramTrainer
	sums []int64
	a, b [maxRun*utf8.UTFMax + 1]float64 // by byte of the run: of all ways up to there, and on from there
}

// run adds the expected counts of a run's pieces, and returns the logarithm of
// its likelihood times its count.
func (f *forward) run(r trainRun) float64 {
	t, n := f.t, r.to-r.from
	clear(f.a[:n+1])
	clear(f.b[:n+1])
	f.a[0], f.b[n] = 1, 1
	for i := range n {
		if f.a[i] == 0 {
			continue
		}
		for _, p := range t.begin(r.from + i) {
			f.a[i+t.pieces[p].len] += f.a[i] * t.pieces[p].prob
		}
	}
	all := f.a[n]
	unit := float64(r.count) * t.scale / all
	for i := n - 1; i >= 0; i-- {
		sum := 0.0
		for _, p := range t.begin(r.from + i) {
			on := t.pieces[p].prob * f.b[i+t.pieces[p].len]
			sum += on
			f.sums[p] += int64(math.RoundToEven(f.a[i] * on * unit))
		}
		f.b[i] = sum
	}
	return float64(r.count) * math.Log(all)
}

// prune keeps all characters and, up to keep pieces in all, those whose loss
// would cost most likelihood.
func (t *unigramTrainer) prune(keep int) {
	cost := t.costs()
	order := make([]int32, len(t.pieces))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { // pieces are in the order of their bytes
		return cmp.Or(cmp.Compare(cost[b], cost[a]), cmp.Compare(a, b))
	})
	number := make([]int32, len(t.pieces)) // new number, -1 when dropped
	for i := range number {
		number[i] = -1
	}
	for _, p := range order[:keep] {
		number[p] = 0
	}
	n := int32(0)
	for p := range number {
		if number[p] == 0 {
			number[p] = n
			t.pieces[n], t.counts[n] = t.pieces[p], t.counts[p]
			n++
		}
	}
	t.pieces, t.counts = t.pieces[:n], t.counts[:n]
	at := int32(0)
	for list := range len(t.first) - 1 {
		from, to := t.first[list], t.first[list+1]
		t.first[list] = at
		for _, p := range t.edges[from:to] {
			if number[p] >= 0 {
				t.edges[at] = number[p]
				at++
			}
		}
	}
	t.first[len(t.first)-1] = at
	t.edges = t.edges[:at]
}

// costs is what the likelihood loses, in nats per token, without each piece:
// its occurrences fall to the best other way to spell it. Characters cost
// infinitely much.
func (t *unigramTrainer) costs() []float64 {
	cost := make([]float64, len(t.pieces))
	sum := 0.0
	for _, n := range t.counts {
		sum += n
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range t.workers {
		wg.Go(func() {
			for b := int(next.Add(1)) - 1; b*runBlock < len(cost); b = int(next.Add(1)) - 1 {
				for p := b * runBlock; p < min(len(cost), (b+1)*runBlock); p++ {
					cost[p] = t.cost(int32(p), sum)
				}
			}
		})
	}
	wg.Wait()
	return cost
}

// cost is costs for one piece; sum is that of all expected counts.
func (t *unigramTrainer) cost(p int32, sum float64) float64 {
	n := t.counts[p]
	switch {
	case t.pieces[p].single:
		return math.Inf(1)
	case n == 0:
		return 0
	}
	other := t.spell(p)
	after := math.Log(sum + n*float64(len(other)-1))
	loss := math.Log(n) - math.Log(sum)
	for _, q := range other {
		loss -= math.Log(t.counts[q]+n) - after
	}
	return n / sum * loss
}

// spell is the likeliest way to spell a piece by others (Viterbi 1967).
func (t *unigramTrainer) spell(p int32) []int32 {
	at, n := t.pieces[p].from, t.pieces[p].len
	var best [maxPiece*utf8.UTFMax + 1]float64 // probability of the best way up to there
	var last [maxPiece*utf8.UTFMax + 1]int32   // its last piece
	best[0] = 1
	for i := range n {
		if best[i] == 0 {
			continue
		}
		for _, q := range t.begin(at + i) {
			end := i + t.pieces[q].len
			if end > n {
				break
			}
			if v := best[i] * t.pieces[q].prob; q != p && v > best[end] {
				best[end], last[end] = v, q
			}
		}
	}
	var out []int32
	for end := n; end > 0; end -= t.pieces[last[end]].len {
		out = append(out, last[end])
	}
	return out
}
