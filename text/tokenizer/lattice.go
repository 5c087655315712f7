package tokenizer

import (
	"container/heap"
	"math"
	"slices"
	"unicode/utf8"
)

// lattice is every segmentation of a text at once: its nodes are tokens at their
// places, and a path from front to end is a segmentation.
type lattice struct {
	text  string
	nodes []latticeNode
	ends  [][]int32 // nodes by the byte where they end; ends[0] holds the front
}

// latticeNode is a token at a place. Node 0 is the front of the text, the last
// one its end; both are empty.
type latticeNode struct {
	from, to int32
	id       int32
	score    float64 // log probability
	best     float64 // of the best path from the front up to and with this node
}

// newLattice finds all tokens in text, and stands in for characters that have
// none. Nodes come in the order of their fronts.
func (u *unigram) newLattice(text string) *lattice {
	l := &lattice{text: text, nodes: []latticeNode{{}}, ends: make([][]int32, len(text)+1)}
	l.ends[0] = []int32{0}
	add := func(from, to int, id int32, score float64) {
		best := math.Inf(-1)
		for _, before := range l.ends[from] {
			best = max(best, u.round(l.nodes[before].best+score))
		}
		l.ends[to] = append(l.ends[to], int32(len(l.nodes)))
		l.nodes = append(l.nodes, latticeNode{int32(from), int32(to), id, score, best})
	}
	for at := 0; at < len(text); {
		_, char := utf8.DecodeRuneInString(text[at:])
		known := false
		// Tokens that start inside a character cannot be reached.
		for end, node := at, int32(0); end < len(text) && len(l.ends[at]) > 0; {
			if node = u.tokens.next(node, text[end]); node == 0 {
				break
			}
			end++
			if id := u.tokens.nodes[node].value; id >= 0 {
				add(at, end, id, u.scores[id])
				known = known || end-at == char
			}
		}
		if !known {
			add(at, at+char, noToken, u.missing)
		}
		at += char
	}
	end := int32(len(text))
	best := math.Inf(-1)
	for _, before := range l.ends[end] {
		best = max(best, l.nodes[before].best)
	}
	l.nodes = append(l.nodes, latticeNode{from: end, to: end, best: best})
	return l
}

// hypothesis is a path from some node to the end of the text.
type hypothesis struct {
	node  int32
	next  *hypothesis // towards the end
	after float64     // score of the path
	whole float64     // the best that a path through it can have
}

// agenda is a heap of hypotheses, the best first.
type agenda []*hypothesis

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].whole > a[j].whole }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(h any)        { *a = append(*a, h.(*hypothesis)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

const (
	maxAgenda  = 10000 // hypotheses, then only the best of them go on, as in SentencePiece
	keepAgenda = 512
)

// nbest lists up to n segmentations, the best first, by A* search from the end:
// what remains in front of a hypothesis is known exactly.
func (l *lattice) nbest(n int) (paths [][]int32, scores []float64) {
	last := int32(len(l.nodes) - 1)
	a := agenda{{node: last, whole: l.nodes[last].best}}
	for len(a) > 0 && len(paths) < n {
		top := heap.Pop(&a).(*hypothesis)
		if top.node == 0 {
			var path []int32
			for h := top.next; h.next != nil; h = h.next {
				path = append(path, h.node)
			}
			paths, scores = append(paths, path), append(scores, top.whole)
			continue
		}
		for _, before := range l.ends[l.nodes[top.node].from] {
			b := &l.nodes[before]
			heap.Push(&a, &hypothesis{node: before, next: top, after: b.score + top.after, whole: b.best + top.after})
		}
		if len(a) >= maxAgenda {
			slices.SortStableFunc(a, func(x, y *hypothesis) int {
				switch {
				case x.whole > y.whole:
					return -1
				case x.whole < y.whole:
					return 1
				}
				return 0
			})
			clear(a[min(keepAgenda, n*10):])
			a = a[:min(keepAgenda, n*10)] // sorted, so a heap
		}
	}
	return paths, scores
}

// sums gives each node the log of the summed weights of all paths from the front
// to it, without its own; a path weighs its probability to the power of alpha.
func (l *lattice) sums(alpha float64) []float64 {
	out := make([]float64, len(l.nodes))
	for i := 1; i < len(l.nodes); i++ {
		before := l.ends[l.nodes[i].from]
		top := math.Inf(-1)
		for _, b := range before {
			top = max(top, out[b]+alpha*l.nodes[b].score)
		}
		sum := 0.0
		for _, b := range before {
			sum += math.Exp(out[b] + alpha*l.nodes[b].score - top)
		}
		out[i] = top + math.Log(sum)
	}
	return out
}

// sample appends a segmentation drawn by its probability to the power of alpha:
// from the drop.nbest best ones, or from all, by forward filtering and backward
// sampling (Kudo 2018, section 3.4).
func (u *unigram) sample(dst []int32, piece string, drop *dropout) []int32 {
	l := u.newLattice(piece)
	var path []int32
	if drop.nbest > 0 {
		paths, scores := l.nbest(min(drop.nbest, keepAgenda))
		weights := make([]float64, len(scores))
		for i, s := range scores {
			weights[i] = math.Exp(drop.alpha * (s - scores[0]))
		}
		path = paths[draw(weights, drop)]
	} else {
		sums := l.sums(drop.alpha)
		for at := int32(len(l.nodes) - 1); ; {
			before := l.ends[l.nodes[at].from]
			weights := make([]float64, len(before))
			for i, b := range before {
				weights[i] = math.Exp(sums[b] + drop.alpha*l.nodes[b].score - sums[at])
			}
			if at = before[draw(weights, drop)]; at == 0 {
				break
			}
			path = append(path, at)
		}
		slices.Reverse(path)
	}
	return u.ids(dst, l, path)
}

// draw picks an index with a probability in proportion to its weight.
func draw(weights []float64, drop *dropout) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	x := drop.rng.Float64() * total
	for i, w := range weights {
		if x -= w; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// ids appends the ids of a path.
func (u *unigram) ids(dst []int32, l *lattice, path []int32) []int32 {
	missing := false
	for _, n := range path {
		node := l.nodes[n]
		dst = u.put(dst, l.text[node.from:node.to], node.id, missing)
		missing = node.id == noToken
	}
	return dst
}
