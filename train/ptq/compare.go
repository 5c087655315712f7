package ptq

import (
	"context"
	"fmt"
	"iter"
	"math"

	"weft/compute/kernel"
	"weft/compute/op"
	"weft/compute/par"
	"weft/compute/tensor"
	"weft/model"
	"weft/text/corpus"
)

// Estimate is a measured value and its 95 % interval.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Report is what quantising cost, on text that no calibration saw.
type Report struct {
	Tokens int64 `json:"tokens"` // that were predicted

	Perplexity       Estimate `json:"perplexity"`
	ParentPerplexity Estimate `json:"parent_perplexity"`
	// Ratio is perplexity over the parent's, token by token on the same text: its
	// interval is far narrower than theirs.
	Ratio Estimate `json:"perplexity_ratio"`

	BPB       float64 `json:"bits_per_byte"` // of the text; 0: bytes are not known
	ParentBPB float64 `json:"parent_bits_per_byte"`

	KL   Estimate `json:"kl_divergence"`  // mean of KL(parent || model) per token, nats
	Top1 Estimate `json:"top1_agreement"` // share of tokens with the same most probable one
}

// runTokens is how many neighbouring tokens of a document are one observation.
// Losses of neighbours are not independent; intervals by tokens would be too
// narrow.
const runTokens = 32

// token is what one prediction says.
type token struct {
	nll, parent, kl float64
	agree           float64 // 1 or 0
}

// Compare reads text with a model and with the parent that it was made from. Both
// may serve from weights at rest. The result is the same for any number of threads.
func Compare(ctx context.Context, parent, m model.Model, text iter.Seq2[corpus.Batch, error], pool *par.Pool) (Report, error) {
	if a, b := parent.Info().Vocab, m.Info().Vocab; a != b {
		return Report{}, fmt.Errorf("ptq: compare a vocabulary of %d tokens with a parent's of %d", b, a)
	}
	return compare(ctx, parent, m, kernel.KVF32, text, pool)
}

// CompareKV is Compare of a model with itself when its keys and values are kept as
// t, as a cache of that type would: what is said is what serving would say.
func CompareKV(ctx context.Context, m model.Model, t kernel.KVType, text iter.Seq2[corpus.Batch, error], pool *par.Pool) (Report, error) {
	return compare(ctx, m, m, t, text, pool)
}

// compare reads text with a parent and with m, whose keys and values are kept as t.
func compare(ctx context.Context, parent, m model.Model, t kernel.KVType, text iter.Seq2[corpus.Batch, error], pool *par.Pool) (Report, error) {
	c := comparison{ctx: ctx, passes: [2]*op.Pass{{Pool: pool, Arena: new(tensor.Arena)}, {Pool: pool, Arena: new(tensor.Arena), KVType: t}}}
	for b, err := range text {
		if err == nil {
			err = c.batch([2]model.Model{parent, m}, b)
		}
		if err != nil {
			return Report{}, err
		}
	}
	if c.tokens == 0 {
		return Report{}, fmt.Errorf("ptq: compare: %w to compare on", ErrText)
	}
	return c.report(), nil
}

// comparison adds up runs of tokens: memory for one token in runTokens, and the
// logits of logitRows rows, whatever the length of the text.
type comparison struct {
	ctx    context.Context
	passes [2]*op.Pass // of the parent, of the model
	runs   []token     // sums
	sizes  []float64   // tokens of each run
	tokens int64
	bytes  int64
}

// batch reads one batch with both models, the parent first.
func (c *comparison) batch(models [2]model.Model, b corpus.Batch) error {
	var hidden [2]*tensor.Tensor
	for i, p := range c.passes {
		p.Reset()
		p.Spans = spans(b)
		hidden[i] = models[i].Hidden(p, b.IDs)
	}
	all := make([]token, len(b.IDs)) // by row; zero where nothing is predicted
	for from := 0; from < len(all); from += logitRows {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		n := min(logitRows, len(all)-from)
		var logits [2]*tensor.Tensor
		var marks [2]tensor.Mark
		for i, p := range c.passes {
			marks[i] = p.Arena.Mark() // logits are large: their memory is used again
			h := hidden[i]
			logits[i] = models[i].Logits(p, tensor.From(n, h.Cols, h.Data[from*h.Cols:(from+n)*h.Cols]))
		}
		c.passes[0].Pool.Run(n, func(k int) {
			if t := b.Targets[from+k]; t >= 0 {
				all[from+k] = judge(logits[0].Row(k), logits[1].Row(k), int(t))
			}
		})
		for i, p := range c.passes {
			p.Arena.Release(marks[i])
		}
	}
	for _, d := range b.Docs {
		for from := 0; from < d.Len; from += runTokens {
			c.run(all[d.Row+from:d.Row+min(d.Len, from+runTokens)], b.Targets[d.Row+from:])
		}
	}
	c.bytes += b.Bytes
	return nil
}

// run adds one observation.
func (c *comparison) run(tokens []token, targets []int32) {
	var sum token
	n := 0
	for i, t := range tokens {
		if targets[i] < 0 {
			continue
		}
		n++
		sum.nll, sum.parent, sum.kl, sum.agree = sum.nll+t.nll, sum.parent+t.parent, sum.kl+t.kl, sum.agree+t.agree
	}
	if n > 0 {
		c.runs, c.sizes = append(c.runs, sum), append(c.sizes, float64(n))
		c.tokens += int64(n)
	}
}

// judge compares two rows of logits, in float64: the divergence of a good copy is
// smaller than the rounding of a float32 logarithm. With p the parent's
// probabilities, x and y the logits, KL is sum p(x-y) less the difference of the
// logarithms of both sums.
func judge(parent, child []float32, target int) (t token) {
	best, other := 0, 0
	for i, v := range parent {
		if v > parent[best] {
			best = i
		}
		if child[i] > child[other] {
			other = i
		}
	}
	px, cx := float64(parent[best]), float64(child[other])
	var psum, csum, apart float64
	for i, v := range parent { // sums of exp(logit - largest), which cannot overflow
		e := math.Exp(float64(v) - px)
		psum += e
		csum += math.Exp(float64(child[i]) - cx)
		apart += e * (float64(v) - float64(child[i]))
	}
	pz, cz := px+math.Log(psum), cx+math.Log(csum)
	t.parent, t.nll = pz-float64(parent[target]), cz-float64(child[target])
	t.kl = max(0, apart/psum-(pz-cz))
	if best == other {
		t.agree = 1
	}
	return t
}

// report makes figures of the runs. Perplexities are the exponentials of mean
// losses, and so are the ends of their intervals.
func (c *comparison) report() Report {
	exp := func(value func(token) float64) Estimate {
		mean, se := c.mean(value)
		return Estimate{math.Exp(mean), math.Exp(mean - z95*se), math.Exp(mean + z95*se)}
	}
	r := Report{
		Tokens:           c.tokens,
		Perplexity:       exp(func(t token) float64 { return t.nll }),
		ParentPerplexity: exp(func(t token) float64 { return t.parent }),
		Ratio:            exp(func(t token) float64 { return t.nll - t.parent }),
		Top1:             c.shareOf(c.mean(func(t token) float64 { return t.agree })),
	}
	kl, se := c.mean(func(t token) float64 { return t.kl })
	r.KL = Estimate{kl, max(0, kl-z95*se), kl + z95*se}
	if c.bytes > 0 { // log2 of the perplexity is bits per token
		perByte := float64(c.tokens) / float64(c.bytes)
		r.BPB, r.ParentBPB = math.Log2(r.Perplexity.Value)*perByte, math.Log2(r.ParentPerplexity.Value)*perByte
	}
	return r
}

const z95 = 1.959963984540054 // 97.5 % point of the normal distribution

// mean is the mean of a value over tokens, and its standard error by runs: that
// of a ratio of sums (Cochran 1977, 6.4).
func (c *comparison) mean(value func(token) float64) (mean, se float64) {
	var sum, n, squares float64
	for i, r := range c.runs {
		sum, n = sum+value(r), n+c.sizes[i]
	}
	mean = sum / n
	for i, r := range c.runs {
		d := value(r) - mean*c.sizes[i]
		squares += d * d
	}
	k := float64(len(c.runs)) // k/(k-1): the mean is of the same runs
	return mean, math.Sqrt(squares*k/max(1, k-1)) / n
}

// shareOf is the Wilson interval of a share, for as many independent tokens as
// its standard error by runs speaks of; for a share of 0 or 1 as many as there
// are runs.
func (c *comparison) shareOf(p, se float64) Estimate {
	n := float64(len(c.runs))
	if se > 0 {
		n = min(p*(1-p)/(se*se), float64(c.tokens))
	}
	zz := z95 * z95
	mid := (p + zz/(2*n)) / (1 + zz/n)
	half := z95 / (1 + zz/n) * math.Sqrt(p*(1-p)/n+zz/(4*n*n))
	return Estimate{p, max(0, min(p, mid-half)), min(1, max(p, mid+half))}
}
