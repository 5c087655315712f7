package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// wellFormed checks what holds for every batch: ranges cover the rows, targets
// inside one are the next row's input, and nothing is longer than SeqLen.
func wellFormed(t interface{ Fatalf(string, ...any) }, b Batch, seqLen int) {
	row, counted := 0, 0
	for _, r := range b.Docs {
		if r.Row != row || r.Len < 1 || r.Len > seqLen || r.Pos != 0 {
			t.Fatalf("range %+v at row %d, sequence length %d", r, row, seqLen)
		}
		for i := r.Row; i < r.Row+r.Len-1; i++ {
			if b.Targets[i] != -1 && b.Targets[i] != b.IDs[i+1] {
				t.Fatalf("row %d: target %d, next id %d", i, b.Targets[i], b.IDs[i+1])
			}
		}
		row += r.Len
	}
	for _, x := range b.Targets {
		if x >= 0 {
			counted++
		}
	}
	if row != len(b.IDs) || row != len(b.Targets) || counted != b.Counted {
		t.Fatalf("ranges cover %d of %d ids, %d targets; %d counted, want %d", row, len(b.IDs), len(b.Targets), b.Counted, counted)
	}
}

// targets gathers what n predictions of a loader are about, sorted, and checks
// that each range begins with the marker and stays in one of drawDocs.
func targets(t *rapid.T, l *Loader, n int64, seqLen int) []int32 {
	var all []int32
	for int64(len(all)) < n {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, b, seqLen)
		for _, r := range b.Docs {
			if b.IDs[r.Row] != 256 {
				t.Fatalf("a range begins with %d, want the marker", b.IDs[r.Row])
			}
			text := slices.DeleteFunc(slices.Clone(b.Targets[r.Row:r.Row+r.Len]), func(id int32) bool { return id == 257 })
			for _, id := range text {
				if id/8 != text[0]/8 {
					t.Fatalf("a range crosses documents: %v", text)
				}
			}
		}
		all = append(all, b.Targets...)
	}
	all = all[:n]
	slices.Sort(all)
	return all
}

// drawDocs draws a small corpus in which document i is written with the bytes
// [8i, 8i+8), so that a step from one to another would show.
func drawDocs(t *rapid.T) []string {
	sizes := rapid.SliceOfN(rapid.IntRange(1, 60), 1, 30).Draw(t, "sizes")
	var texts []string
	for i, n := range sizes {
		text := make([]byte, n)
		for j := range text {
			text[j] = byte(i*8 + j%8)
		}
		texts = append(texts, string(text))
	}
	return texts
}

// wantTargets are the ids to be predicted in an epoch, sorted.
func wantTargets(texts []string, tok Encoder) (want []int32) {
	for _, text := range texts {
		want = append(append(want, tok.Encode(text)...), 257)
	}
	slices.Sort(want)
	return want
}

func TestPackPredictsEachTokenOncePerEpoch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		docs, tok := drawDocs(t), byteTok{}
		d, err := Build(t.Context(), tok, slice(docs...), ShardOptions{MaxTokens: rapid.IntRange(1, 200).Draw(t, "shard")})
		if err != nil {
			t.Fatal(err)
		}
		want := wantTargets(docs, tok)
		o := LoaderOptions{
			Rows:   rapid.IntRange(1, 5).Draw(t, "rows"),
			SeqLen: rapid.IntRange(1, int(d.Predictions())).Draw(t, "seq"),
			Seed:   rapid.Uint64().Draw(t, "seed"), Pack: true,
		}
		if d.Predictions() != int64(len(want)) {
			t.Fatalf("%d predictions, want %d", d.Predictions(), len(want))
		}
		if got := targets(t, d.Loader(o), d.Predictions(), o.SeqLen); !slices.Equal(want, got) {
			t.Fatalf("first epoch predicts %v, want %v", got, want)
		}
		// Two epochs in a row predict everything twice.
		twice := slices.Concat(want, want)
		slices.Sort(twice)
		if got := targets(t, d.Loader(o), 2*d.Predictions(), o.SeqLen); !slices.Equal(twice, got) {
			t.Fatalf("two epochs predict %v, want %v", got, twice)
		}
	})
}

func TestWindowsPredictEachTokenOnceButAtTheEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		docs, tok := drawDocs(t), byteTok{}
		d, err := Build(t.Context(), tok, slice(docs...), ShardOptions{MaxTokens: rapid.IntRange(1, 200).Draw(t, "shard")})
		if err != nil {
			t.Fatal(err)
		}
		o := LoaderOptions{SeqLen: rapid.IntRange(1, int(d.Predictions())).Draw(t, "seq"), Seed: rapid.Uint64().Draw(t, "seed")}
		l := d.Loader(o)
		_, windows := l.src.(*windows).epoch(0)
		have := map[int32]int{}
		for _, id := range wantTargets(docs, tok) {
			have[id]++
		}
		for _, id := range targets(t, l, windows*int64(o.SeqLen), o.SeqLen) {
			if have[id]--; have[id] < 0 {
				t.Fatalf("id %d predicted more often than the text has it", id)
			}
		}
		if c := l.Cursor(); c.Epoch != 1 || c.Item != 0 {
			t.Fatalf("after %d windows the cursor is at %+v", windows, c)
		}
		if missed := d.Predictions() - windows*int64(o.SeqLen); missed < 0 || missed >= 2*int64(o.SeqLen) {
			t.Fatalf("%d of %d predictions missed with windows of %d", missed, d.Predictions(), o.SeqLen)
		}
	})
}

// modes are the ways a loader can run, over the same corpus.
func modes(d *Dataset, rows, seqLen int, seed uint64) map[string]*Loader {
	o := LoaderOptions{Rows: rows, SeqLen: seqLen, Seed: seed}
	pack, random := o, o
	pack.Pack, random.Random = true, true
	return map[string]*Loader{"windows": d.Loader(o), "pack": d.Loader(pack), "random": d.Loader(random)}
}

func TestResumeContinuesTheSequence(t *testing.T) {
	d := build(t, byteTok{}, ShardOptions{MaxTokens: 300}, numbered(40, 90)...)
	examples := someExamples(t, 17)
	fresh := func() map[string]*Loader {
		m := modes(d, 3, 20, 7)
		m["examples"] = examples.Loader()
		return m
	}
	for name, l := range fresh() {
		t.Run(name, func(t *testing.T) {
			var batches []Batch
			var cursors []Cursor
			for range 120 { // several epochs
				cursors = append(cursors, l.Cursor())
				b, err := l.Next()
				if err != nil {
					t.Fatal(err)
				}
				batches = append(batches, b)
			}
			if l.Cursor().Epoch < 2 {
				t.Fatalf("only %g epochs: the test shows little", l.Epoch())
			}
			for i, c := range cursors {
				data, err := json.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				var back Cursor
				if err := json.Unmarshal(data, &back); err != nil {
					t.Fatal(err)
				}
				again := fresh()[name]
				if err := again.Seek(back); err != nil {
					t.Fatal(err)
				}
				for j := i; j < min(i+4, len(batches)); j++ {
					b, err := again.Next()
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(batches[j], b); diff != "" {
						t.Fatalf("resumed at %d, batch %d: %s", i, j, diff)
					}
				}
			}
		})
	}
}

func TestOrderDependsOnSeedAndEpoch(t *testing.T) {
	d := build(t, byteTok{}, ShardOptions{}, numbered(40, 90)...)
	other := modes(d, 3, 20, 8)
	for name, l := range modes(d, 3, 20, 7) {
		a, _ := l.Next()
		b, _ := other[name].Next()
		if cmp.Equal(a, b) {
			t.Errorf("%s: seeds 7 and 8 give the same first batch", name)
		}
	}
	p, q := newPerm(40, 7, 0), newPerm(40, 7, 1)
	same := 0
	for i := range int64(40) {
		if p.at(i) == q.at(i) {
			same++
		}
	}
	if same > 10 {
		t.Errorf("epochs 0 and 1 agree in %d of 40 places", same)
	}
}

// The order is part of what a checkpoint means: it must never change.
func TestOrderIsPinned(t *testing.T) {
	p := newPerm(10, 42, 3)
	var got []int64
	for i := range int64(10) {
		got = append(got, p.at(i))
	}
	if want := "[0 2 8 3 1 9 6 5 4 7]"; fmt.Sprint(got) != want {
		t.Errorf("permutation %v, want %s", got, want)
	}
}

func TestPermIsAPermutation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 3000).Draw(t, "n")
		p := newPerm(n, rapid.Uint64().Draw(t, "seed"), rapid.Uint64().Draw(t, "epoch"))
		seen := make([]bool, n)
		for i := range n {
			x := p.at(i)
			if x < 0 || x >= n || seen[x] {
				t.Fatalf("element %d of %d is %d, outside or twice", i, n, x)
			}
			seen[x] = true
		}
	})
}

func TestPermIsEven(t *testing.T) {
	// Over many seeds every place sees every element about equally often.
	const n, seeds = 12, 6000
	var count [n][n]float64
	for seed := range uint64(seeds) {
		p := newPerm(n, seed, 0)
		for i := range int64(n) {
			count[i][p.at(i)]++
		}
	}
	chi := 0.0
	for _, row := range count {
		for _, c := range row {
			e := float64(seeds) / n
			chi += (c - e) * (c - e) / e
		}
	}
	if chi > 190 { // 121 degrees of freedom: mean 121, sd 15.6
		t.Errorf("chi-squared %.0f over 121 degrees of freedom", chi)
	}
}

func TestSeekRefusesAnotherRun(t *testing.T) {
	d := build(t, byteTok{}, ShardOptions{}, numbered(40, 90)...)
	l := d.Loader(LoaderOptions{SeqLen: 20, Pack: true})
	for name, c := range map[string]Cursor{
		"seed":   d.Loader(LoaderOptions{SeqLen: 20, Pack: true, Seed: 1}).Cursor(),
		"mode":   d.Loader(LoaderOptions{SeqLen: 20}).Cursor(),
		"length": d.Loader(LoaderOptions{SeqLen: 21, Pack: true}).Cursor(),
		"data":   build(t, byteTok{}, ShardOptions{}, numbered(41, 90)...).Loader(LoaderOptions{SeqLen: 20, Pack: true}).Cursor(),
		"range":  {Item: 40, Order: l.Cursor().Order},
		"sign":   {Epoch: -1, Order: l.Cursor().Order},
	} {
		if err := l.Seek(c); !errors.Is(err, ErrCursor) {
			t.Errorf("%s: got %v, want ErrCursor", name, err)
		}
	}
	if err := l.Seek(d.Loader(LoaderOptions{SeqLen: 20, Pack: true, Rows: 9}).Cursor()); err != nil {
		t.Errorf("other rows: %v", err)
	}
}

func TestLoaderErrors(t *testing.T) {
	d := build(t, byteTok{}, ShardOptions{}, "short")
	_, err := d.Loader(LoaderOptions{SeqLen: 64}).Next()
	if !errors.Is(err, ErrTooSmall) {
		t.Errorf("got %v, want ErrTooSmall", err)
	}
	wantError(t, err, "6 tokens to predict", "at least 64", "at most 6")
	_, err = d.Loader(LoaderOptions{SeqLen: 2, Pack: true, Random: true}).Next()
	wantError(t, err, "exclude each other")
}

func TestEvalCountsEveryByteOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		texts := drawDocs(t)
		d, err := Build(t.Context(), byteTok{pairs: true}, slice(texts...), ShardOptions{MaxTokens: 100})
		if err != nil {
			t.Fatal(err)
		}
		limit := rapid.Int64Range(0, d.Predictions()).Draw(t, "max")
		seqLen := rapid.IntRange(1, 40).Draw(t, "seq")
		var first []int32
		for rows := 1; rows <= 4; rows++ {
			var bytes int64
			var targets []int32
			for b, err := range d.Eval(EvalOptions{Rows: rows, SeqLen: seqLen, MaxTokens: limit}) {
				if err != nil {
					t.Fatal(err)
				}
				wellFormed(t, b, seqLen)
				if len(b.IDs) > rows*seqLen {
					t.Fatalf("%d rows in a batch of %d", len(b.IDs), rows*seqLen)
				}
				bytes += b.Bytes
				for _, r := range b.Docs { // what is predicted from what
					targets = append(append(targets, b.Targets[r.Row:r.Row+r.Len]...), -2)
				}
			}
			if limit == 0 && bytes != d.Bytes() {
				t.Fatalf("%d bytes scored, the text has %d", bytes, d.Bytes())
			}
			if rows == 1 {
				first = targets
			} else if !slices.Equal(first, targets) {
				t.Fatalf("rows %d change what is scored", rows)
			}
		}
	})
}
