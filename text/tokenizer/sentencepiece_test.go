package tokenizer

import (
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// spmExpected is what sentencepiece makes of texts; see make.py beside it.
type spmExpected struct {
	Texts  []string
	Models map[string]struct {
		Vocab      int
		Normalized []string
		IDs        [][]int32
		Text       []string // ids decoded
		NBest      map[string][][]int32
	}
}

const spmData = "testdata/sentencepiece"

func readSpmExpected(tb testing.TB) (e spmExpected) {
	data, err := os.ReadFile(filepath.Join(spmData, "expected.json"))
	if err == nil {
		err = json.Unmarshal(data, &e)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func openSpm(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	tok, err := Open(filepath.Join(spmData, name+".model"))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// TestSentencePiece holds small models of every kind and setting against
// sentencepiece: prepared text, ids, decoded text and the best segmentations.
func TestSentencePiece(t *testing.T) {
	e := readSpmExpected(t)
	if len(e.Models) < 8 {
		t.Fatalf("%d models", len(e.Models))
	}
	for name, want := range e.Models {
		t.Run(name, func(t *testing.T) {
			tok := openSpm(t, name)
			if tok.VocabSize() != want.Vocab {
				t.Errorf("%d tokens, want %d", tok.VocabSize(), want.Vocab)
			}
			for i, text := range e.Texts {
				if tok.exact != nil {
					if got := tok.exact.normalize(tracked(text)); got.text != want.Normalized[i] || len(got.from) != len(got.text) {
						t.Errorf("%q is prepared as %q with %d spans, want %q", text, got.text, len(got.from), want.Normalized[i])
					}
				}
				ids := tok.Encode(text)
				if !slices.Equal(ids, want.IDs[i]) {
					t.Errorf("%q: got %v, want %v", text, ids, want.IDs[i])
				}
				same, spans := tok.EncodeOffsets(text)
				last := 0
				for _, s := range spans {
					if s.Start < last || s.End < s.Start || s.End > len(text) {
						t.Errorf("%q: spans %v", text, spans)
						break
					}
					last = s.Start
				}
				if !slices.Equal(same, ids) || len(spans) != len(ids) {
					t.Errorf("%q: with offsets %v and %d spans, without %v", text, same, len(spans), ids)
				}
				if got := tok.Decode(ids); got != want.Text[i] {
					t.Errorf("%q comes back as %q, want %q", text, got, want.Text[i])
				}
			}
			for text, best := range want.NBest {
				checkNBest(t, tok, text, best)
			}
		})
	}
}

// modelOf makes the Unigram model of a file.
func modelOf(tb testing.TB, tok *Tokenizer) *unigram {
	var list []scored
	for id, x := range tok.tokens {
		list = append(list, scored{x.text, tok.scores[id], x.kind})
	}
	u, err := newUnigram(list, unigramOptions{unk: tok.specials[unkName], byteful: tok.byteful, single: true, symbols: tok.exact.ids})
	if err != nil {
		tb.Fatal(err)
	}
	return u
}

// checkNBest compares the best segmentations of a text. Those of one score may
// come in any order.
func checkNBest(t *testing.T, tok *Tokenizer, text string, want [][]int32) {
	u := modelOf(t, tok)
	l := u.newLattice(tok.exact.normalize(strand{text: text}).text)
	paths, scores := l.nbest(len(want) + 4)
	if len(paths) < len(want) {
		t.Errorf("%q: %d segmentations, want %d", text, len(paths), len(want))
	}
	for i, ids := range want {
		at := slices.IndexFunc(paths, func(p []int32) bool { return slices.Equal(u.ids(nil, l, p), ids) })
		if at < 0 || math.Abs(scores[at]-scores[i]) > 1e-3 {
			t.Errorf("%q: segmentation %d is not %v", text, i, ids)
		}
	}
}

// TestUnigramSample draws segmentations and counts them: their frequencies must
// be their probabilities to the power of alpha.
func TestUnigramSample(t *testing.T) {
	vocab := []scored{{"<unk>", 0, special}}
	for i, text := range []string{"a", "b", "ab", "ba", "aba"} {
		vocab = append(vocab, scored{text, -1 - 0.5*float64(i), plain})
	}
	u, err := newUnigram(vocab, unigramOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const text, alpha, draws = "ababa", 0.7, 20000
	all, scores := u.newLattice(text).nbest(100)
	if len(all) != 12 {
		t.Fatalf("%d segmentations of %s, want 12", len(all), text)
	}
	for _, nbest := range []int{0, 4} {
		drop := &dropout{nbest: nbest, alpha: alpha, rng: rand.New(rand.NewPCG(1, 2))}
		counts := map[string]float64{}
		key := func(ids []int32) string { return fmtIDs(ids) }
		for range draws {
			counts[key(u.encode(nil, text, drop))]++
		}
		total := 0.0
		limit := len(all)
		if nbest > 0 {
			limit = nbest
		}
		for i := range limit {
			total += math.Exp(alpha * scores[i])
		}
		l := u.newLattice(text)
		chi := 0.0
		for i := range limit {
			expect := draws * math.Exp(alpha*scores[i]) / total
			diff := counts[key(u.ids(nil, l, all[i]))] - expect
			chi += diff * diff / expect
		}
		// 31.3 and 16.3 are the 0.1 % points for 11 and 3 degrees of freedom.
		if bound := map[int]float64{12: 31.3, 4: 16.3}[limit]; chi > bound {
			t.Errorf("nbest %d: chi-square %.1f, want at most %.1f", nbest, chi, bound)
		}
	}
}

func fmtIDs(ids []int32) string {
	data, _ := json.Marshal(ids)
	return string(data)
}

// TestUnigramLong has the same best path by either way through a long text, and
// takes one unknown for a row of characters that have no token.
func TestUnigramLong(t *testing.T) {
	tok := openSpm(t, "unigram")
	u := modelOf(t, tok)
	text := strings.Repeat("▁the▁cat▁sees▁猫猫猫▁the", 200)
	l := u.newLattice(text)
	paths, _ := l.nbest(1)
	best := u.encode(nil, text, nil)
	if got := u.ids(nil, l, paths[0]); !slices.Equal(got, best) {
		t.Errorf("%d tokens by A*, %d by Viterbi", len(got), len(best))
	}
	if n := len(slices.DeleteFunc(best, func(id int32) bool { return id != u.unk })); n != 200 {
		t.Errorf("%d unknown tokens, want 200", n)
	}
}

func TestSentencePieceRefuses(t *testing.T) {
	piece := func(text string, kind byte) string {
		body := "\x0a" + string(rune(len(text))) + text + "\x18" + string(rune(kind))
		return "\x0a" + string(rune(len(body))) + body
	}
	unk := piece("<unk>", spmUnknown)
	for want, data := range map[string]string{
		"no pieces":                "",
		"field 1 at byte 1":        "\x0a\x7f",
		"piece 0":                  "\x0a\x02\x0a\x7f",
		"pieces 1 and 2 are both":  unk + piece("a", 1) + piece("a", 1),
		"no piece is the unknown":  piece("a", 1),
		"are both the unknown one": unk + piece("?", spmUnknown),
		"is of kind 9":             unk + piece("a", 9),
		"byte_fallback false":      unk + piece("<0x41>", spmByte),
		"model_type 3":             unk + "\x12\x02\x18\x03",
		"denormalizer_spec":        unk + "\x2a\x05\x12\x03abc",
		"precompiled_charsmap":     unk + piece("a", 1) + "\x1a\x04\x12\x02ab",
		"a trie of 65535 bytes":    unk + piece("a", 1) + "\x1a\x08\x12\x06\xff\xff\x00\x00ab",
	} {
		d, err := sentencePieceDraft([]byte(data))
		if err == nil {
			_, err = build(*d.spec)
		}
		if err == nil || !strings.Contains(err.Error(), want) || !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
}

// TestCharsmapHostile walks tries whose units point anywhere.
func TestCharsmapHostile(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		data := []byte{64, 0, 0, 0}
		for range 64 {
			data = append(data, byte(rng.Uint32()>>rng.UintN(32)))
		}
		c, err := newCharsmap(append(data, "ab\x00c\x00"...))
		if err != nil {
			continue
		}
		for range 20 {
			text := string([]byte{byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32()), 'a'})
			if n, _ := c.longest(text); n < 0 || n > len(text) {
				t.Fatalf("%q: a match of %d bytes", text, n)
			}
			put := 0
			c.each(text, func(part, _ string) { put += len(part) })
			if put != len(text) {
				t.Fatalf("%q: parts of %d bytes", text, put)
			}
		}
	}
}
