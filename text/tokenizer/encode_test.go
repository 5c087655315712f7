package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// naiveApply is the oracle of merging: look at all pairs, merge the leftmost of
// the best rank, start again.
func naiveApply(merges []merge, ids []int32) []int32 {
	ranks := map[[2]int32]int{}
	for r, g := range merges {
		ranks[[2]int32{g.left, g.right}] = r // of two the last counts
	}
	ids = slices.Clone(ids)
	for {
		best, at := len(merges), -1
		for i := range len(ids) - 1 {
			if r, ok := ranks[[2]int32{ids[i], ids[i+1]}]; ok && r < best {
				best, at = r, i
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = merges[best].into
		ids = slices.Delete(ids, at+1, at+2)
	}
}

// TestMergingAgainstNaive covers all ways of merging, on merges of few symbols
// that overlap a lot, in the order of training or in one that it would not give.
func TestMergingAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		symbols := rapid.IntRange(2, 6).Draw(t, "symbols")
		base := rapid.SampledFrom([]int32{0, 250, 70_000}).Draw(t, "base") // ids below 256 have a table of their own
		var merges []merge
		for i := range rapid.IntRange(1, 40).Draw(t, "merges") {
			id := rapid.Int32Range(base, base+int32(symbols+i)-1)
			merges = append(merges, merge{id.Draw(t, "left"), id.Draw(t, "right"), base + int32(symbols+i)})
		}
		trained := rapid.Bool().Draw(t, "trained")
		order := rapid.Permutation(slices.Collect(func(yield func(int) bool) {
			for i := range merges {
				if !yield(i) {
					return
				}
			}
		})).Draw(t, "order")
		for i, j := range order {
			if !trained {
				merges[i], merges[j] = merges[j], merges[i]
			}
		}
		table := newMergeTable(merges)
		if trained && slices.Contains(table.early, true) {
			t.Fatalf("early merges in the order of training: %v", merges)
		}
		ids := rapid.SliceOfN(rapid.Int32Range(base, base+int32(symbols)-1), 0, 150).Draw(t, "ids")
		want := naiveApply(merges, ids)
		if got := table.apply(slices.Clone(ids)); !slices.Equal(got, want) {
			t.Fatalf("apply: got %v, want %v", got, want)
		}
		if got := table.applyHeap(slices.Clone(ids), nil); !slices.Equal(got, want) {
			t.Fatalf("applyHeap: got %v, want %v", got, want)
		}
		if got := table.applyBuckets(slices.Clone(ids)); !slices.Equal(got, want) {
			t.Fatalf("applyBuckets: got %v, want %v", got, want)
		}
	})
}

// TestDropout counts what merging with dropout gives: each candidate in turn is
// passed over with probability p until one is taken, so the frequencies of the
// outcomes are known.
func TestDropout(t *testing.T) {
	const p, draws = 0.3, 20000
	table := newMergeTable([]merge{{'a', 'b', 256}, {256, 256, 257}}) // ab, abab
	drop := &dropout{rate: p, rng: rand.New(rand.NewPCG(1, 2))}
	counts := map[string]float64{}
	for range draws {
		counts[fmtIDs(table.applyHeap([]int32{'a', 'b', 'a', 'b'}, drop))]++
	}
	both := (1 - p*p) * (1 - p)
	chi, sum := 0.0, 0.0
	for _, c := range []struct {
		ids  []int32
		want float64
	}{
		{[]int32{'a', 'b', 'a', 'b'}, p * p}, {[]int32{256, 'a', 'b'}, (1 - p) * p}, {[]int32{'a', 'b', 256}, p * (1 - p) * p},
		{[]int32{256, 256}, both * p}, {[]int32{257}, both * (1 - p)},
	} {
		diff := counts[fmtIDs(c.ids)] - draws*c.want
		chi += diff * diff / (draws * c.want)
		sum += counts[fmtIDs(c.ids)]
	}
	if sum != draws || chi > 18.5 { // the 0.1 % point for 4 degrees of freedom
		t.Errorf("%v: chi-square %.1f of %v draws with a known outcome, want at most 18.5 of %d", counts, chi, sum, draws)
	}
}

// TestEncodeBatch: a text has the ids that it has alone, with a seed of its own.
func TestEncodeBatch(t *testing.T) {
	tok := fixtures(t)["gpt2"]
	texts := goldenTexts(t)
	for _, o := range []Options{{}, {Trusted: true, Marked: true}, {Dropout: 0.5, Seed: 7}} {
		for i, got := range tok.EncodeBatch(texts, o) {
			own := o
			own.Seed += uint64(i)
			if want := tok.EncodeWith(texts[i], own); !slices.Equal(got, want) {
				t.Errorf("%+v: %q: got %v, want %v", o, texts[i], got, want)
			}
		}
	}
	long := strings.Repeat("the quick brown fox ", 20)
	if a, b := tok.EncodeWith(long, Options{Dropout: 0.5}), tok.Encode(long); slices.Equal(a, b) || tok.Decode(a) != long {
		t.Errorf("with dropout: %v, without: %v", a, b)
	}
}

func TestLongRunOfOneLetter(t *testing.T) {
	tok := fixtures(t)["gpt2"]
	for _, unit := range []string{"a", " ", "\n", "é", "日", "1", "\xff"} {
		text := strings.Repeat(unit, 300_000)
		if got := tok.Decode(tok.Encode(text)); got != text {
			t.Errorf("a run of %q: decoded to %d bytes, want %d", unit, len(got), len(text))
		}
	}
}

// roundTrip: any bytes come back, through the text doors and through a stream.
func roundTrip(t *testing.T, all map[string]*Tokenizer, text string) {
	t.Helper()
	for name, tok := range all {
		if len(tok.normalizers) > 0 {
			continue
		}
		ids := tok.Encode(text)
		if got := tok.Decode(ids); got != text {
			t.Fatalf("%s: %q decoded to %q", name, text, got)
		}
		for _, id := range ids {
			if tok.IsSpecial(id) {
				t.Fatalf("%s: %q led to special token %d", name, text, id)
			}
		}
		if got := tok.Count(text); got != len(ids) {
			t.Fatalf("%s: %q: Count gives %d, want %d", name, text, got, len(ids))
		}
		s := tok.NewStream()
		var shown strings.Builder
		for _, id := range ids {
			piece := s.Push(id)
			if !utf8.ValidString(piece) || len(s.held) > 3 {
				t.Fatalf("%s: %q: a stream gave %q and holds %q", name, text, piece, s.held)
			}
			shown.WriteString(piece)
		}
		shown.WriteString(s.Flush())
		if got := shown.String(); got != lossy(text) {
			t.Fatalf("%s: %q streamed as %q, want %q", name, text, got, lossy(text))
		}
	}
}

func TestRoundTrip(t *testing.T) {
	all := fixtures(t)
	for _, text := range goldenTexts(t) {
		roundTrip(t, all, text)
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 2000 {
		data := make([]byte, r.IntN(60))
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		roundTrip(t, all, string(data))
	}
}

func FuzzRoundTrip(f *testing.F) {
	for _, text := range goldenTexts(f) {
		f.Add(text)
	}
	f.Add("\xe6\x97\xff\xf0\x9f\x98")
	all := fixtures(f)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<16 {
			roundTrip(t, all, text)
		}
	})
}

// TestSpecialsStayOut: no special token comes of text of users, whatever its
// place; trusted text yields exactly it.
func TestSpecialsStayOut(t *testing.T) {
	for name, tok := range fixtures(t) {
		for _, a := range tok.added {
			for _, text := range []string{a.content, "x" + a.content, a.content + a.content, " " + a.content + "\n", a.content[:len(a.content)-1] + a.content} {
				for _, id := range tok.Encode(text) {
					if tok.IsSpecial(id) {
						t.Errorf("%s: %q of a user led to special token %d", name, text, id)
					}
				}
			}
			if got := tok.EncodeSpecial(a.content); !slices.Equal(got, []int32{a.id}) {
				t.Errorf("%s: trusted %q: got %v, want %d", name, a.content, got, a.id)
			}
			if id, ok := tok.Special(a.content); !ok || id != a.id || tok.IsSpecial(id) != a.special {
				t.Errorf("%s: Special(%q): got %d, %v", name, a.content, id, ok)
			}
		}
	}
}

// TestSpecialsThatWordsSpell: a special token spelled like an ordinary word is
// reached neither as a whole chunk nor by a merge.
func TestSpecialsThatWordsSpell(t *testing.T) {
	s := mustTrain(t, TrainOptions{VocabSize: 300}, strings.Repeat("hello hello", 20)).spec
	s.whole = true
	id := s.merges[len(s.merges)-1].into
	s.tokens = slices.Clone(s.tokens)
	s.tokens[id].kind = special
	s.added = []added{{id: id, content: s.tokens[id].text, special: true}}
	tok, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode(s.tokens[id].text); slices.Contains(got, id) || tok.Decode(got) != s.tokens[id].text {
		t.Errorf("user text %q: got %v, want it spelled without %d", s.tokens[id].text, got, id)
	}
	data, err := tok.marshal()
	if err != nil {
		t.Fatal(err)
	}
	back, err := parse(data)
	if err != nil || back.Hash() != tok.Hash() || slices.Contains(back.Encode(s.tokens[id].text), id) {
		t.Errorf("after saving and loading: error %v", err)
	}
}

func TestAddedTokens(t *testing.T) {
	list := []added{
		{id: 300, content: "<a>", special: true}, {id: 301, content: "<a><b>", special: true},
		{id: 302, content: "    "}, {id: 303, content: "<l>", lstrip: true, special: true}, {id: 304, content: "<r>", rstrip: true, special: true},
	}
	s := mustTrain(t, TrainOptions{VocabSize: 256}).spec
	s.tokens = append(s.tokens, make([]token, 49)...)
	for _, a := range list {
		s.tokens[a.id] = token{text: a.content, kind: special}
	}
	s.added = list
	tok, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text    string
		trusted bool
		want    []int32
	}{
		{"<a><b><a>", true, []int32{301, 300}},
		{"x    y", false, []int32{'x', 302, 'y'}},
		{"x     y", false, []int32{'x', 302, ' ', 'y'}},
		{"x <l> y", true, []int32{'x', 303, ' ', 'y'}},
		{"x <r> \ny", true, []int32{'x', ' ', 304, 'y'}},
		{" <l><r> ", true, []int32{303, 304}},
		{"<a", true, []int32{'<', 'a'}},
	} {
		got := tok.Encode(c.text)
		if c.trusted {
			got = tok.EncodeSpecial(c.text)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, d)
		}
	}
	if got := tok.Decode([]int32{'a', 280, -1, 300, 99999}); got != "a\ufffd\ufffd<a>\ufffd" {
		t.Errorf("ids without tokens decoded to %q", got)
	}
	if tok.Bytes(280) != nil || tok.Bytes(-1) != nil || tok.IsSpecial(280) || tok.IsSpecial(302) || string(tok.Bytes(300)) != "<a>" {
		t.Error("Bytes or IsSpecial are wrong about ids without tokens")
	}
}

// TestConcurrentUse: one tokenizer serves many goroutines.
func TestConcurrentUse(t *testing.T) {
	tok := fixtures(t)["cl100k"]
	text := goldenTexts(t)
	var want [][]int32
	for _, s := range text {
		want = append(want, tok.Encode(s))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i, s := range text {
				if got := tok.Encode(s); !slices.Equal(got, want[i]) {
					t.Errorf("%q: got %v, want %v", s, got, want[i])
				}
			}
		})
	}
	wg.Wait()
}

// TestMarkers: which tokens begin and end a text.
func TestMarkers(t *testing.T) {
	for _, c := range []struct {
		special  []string
		bos, eos string
	}{
		{nil, "", ""},
		{[]string{"<|endoftext|>"}, "", "<|endoftext|>"},
		{[]string{"<|end|>", "<|bos|>"}, "<|bos|>", "<|end|>"},
		{[]string{"<|im_end|>", "</s>", "<s>"}, "<s>", "</s>"},
	} {
		tok := mustTrain(t, TrainOptions{VocabSize: 256 + len(c.special), Special: c.special})
		name := func(id int32, ok bool) string {
			if !ok {
				return ""
			}
			return tok.Decode([]int32{id})
		}
		if bos, eos := name(tok.BOS()), name(tok.EOS()); bos != c.bos || eos != c.eos {
			t.Errorf("%q: got BOS %q and EOS %q, want %q and %q", c.special, bos, eos, c.bos, c.eos)
		}
	}
}
