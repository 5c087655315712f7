package tokenizer

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

const budgetText = "The naïve cafe\u0301 costs 12345\r\n 👩\u200d👩\u200d👧 and 🇫🇷🇩🇪 flags, 한국어 각 नमस्ते <|end|> 猫が好き\n"

func TestTruncate(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 400, Special: []string{"<|end|>", "<|end|>x"}}, strings.Repeat(budgetText+"the cafe and flags ", 5))
	text := strings.Repeat(budgetText, 3)
	for _, trusted := range []bool{false, true} {
		whole := tok.cuts(text, trusted)
		for n := range 300 {
			for _, keep := range []Keep{KeepHead, KeepTail, KeepEnds} {
				o := TruncateOptions{Keep: keep, Trusted: trusted, Mark: "…"}
				if n < 3 {
					o.Mark = ""
				}
				got, err := tok.Truncate(text, n, o)
				if err != nil {
					t.Fatal(err)
				}
				ids := tok.Encode(got)
				if trusted {
					ids = tok.EncodeSpecial(got)
				}
				if len(ids) > n || !utf8.ValidString(got) {
					t.Fatalf("%d tokens, keep %d: got %d: %q", n, keep, len(ids), got)
				}
				if got == text {
					continue
				}
				if len(ids) < n-12 {
					t.Errorf("%d tokens, keep %d: only %d are used", n, keep, len(ids))
				}
				for _, part := range strings.Split(got, o.Mark) {
					ends := []int{len(part), len(text) - len(part)}
					if o.Mark != "" && strings.HasPrefix(text, part) && !slices.Contains(whole, ends[0]) &&
						!(strings.HasSuffix(text, part) && slices.Contains(whole, ends[1])) {
						t.Errorf("%d tokens, keep %d: cut inside a character or marker: %q", n, keep, part)
					}
				}
			}
		}
	}
	if _, err := tok.Truncate(text, 1, TruncateOptions{Mark: "……"}); err == nil || !strings.Contains(err.Error(), "the mark") {
		t.Errorf("a mark that does not fit: got %v", err)
	}
	if _, err := tok.Truncate(text, -1, TruncateOptions{}); err == nil {
		t.Error("-1 tokens: got no error")
	}
}

func TestTruncateCuts(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 260, Special: []string{"<|end|>"}}, "a")
	var parts []string
	const text = "e\u0301\r\n👩\u200d👩👍🏽🇫🇷🇩🇪각\u1112\u1161\u11ab<|end|>z"
	cuts := tok.cuts(text, true)
	for i := range len(cuts) - 1 {
		parts = append(parts, text[cuts[i]:cuts[i+1]])
	}
	want := []string{"e\u0301", "\r\n", "👩\u200d👩", "👍🏽", "🇫🇷", "🇩🇪", "각", "\u1112\u1161\u11ab", "<|end|>", "z"}
	if d := cmp.Diff(want, parts); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestTruncateAll(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 256 + 1, Special: []string{"<|end|>"}}, "a") // a token per byte
	long := strings.Repeat("x", 100)
	got, err := tok.TruncateAll([]string{long, "short", long + long, ""}, 45, TruncateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{long[:20], "short", long[:20], ""}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestFIM(t *testing.T) {
	tok := mustTrain(t, TrainOptions{VocabSize: 300, Special: []string{"<fim_prefix>", "<fim_middle>", "<fim_suffix>"}}, strings.Repeat("func add(a, b int) ", 9))
	f, err := tok.FIM()
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.Decode(f.PSM("a(", "b", ")c")); got != "<fim_prefix>a(<fim_suffix>)c<fim_middle>b" {
		t.Errorf("PSM: got %q", got)
	}
	if got := tok.Decode(f.SPM("a(", "b", ")c")); got != "<fim_prefix><fim_suffix>)c<fim_middle>a(b" {
		t.Errorf("SPM: got %q", got)
	}
	const doc = "func naïve(猫 int) {}\n<fim_middle>"
	gaps, spm := 0, 0
	const docs = 2000
	for n := range uint64(docs) {
		ids := f.Document(doc, n, FIMOptions{Rate: 0.25, SPM: 0.5, Seed: 7})
		if !slices.Equal(ids, f.Document(doc, n, FIMOptions{Rate: 0.25, SPM: 0.5, Seed: 7})) {
			t.Fatal("the same seed gives other cuts")
		}
		text := tok.Decode(ids)
		if !slices.Contains(ids, f.Middle) {
			if text != doc {
				t.Fatalf("document %d: got %q", n, text)
			}
			continue
		}
		gaps++
		if !utf8.ValidString(text) || len(text) != len(doc)+len("<fim_prefix><fim_middle><fim_suffix>") {
			t.Fatalf("document %d: got %q", n, text)
		}
		if ids[1] == f.Suffix {
			spm++
		}
	}
	if gaps < docs/5 || gaps > docs*3/10 || spm < gaps/3 || spm > gaps*2/3 {
		t.Errorf("%d of %d documents have a gap, %d of them with the suffix first; want a quarter, and half of those", gaps, docs, spm)
	}
	if _, err := mustTrain(t, TrainOptions{VocabSize: 260}, "a b").FIM(); err == nil || !strings.Contains(err.Error(), "<fim_prefix>") {
		t.Errorf("no markers: got %v", err)
	}
}

func TestByT5(t *testing.T) {
	tok, err := ByT5("<extra_id_0>")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int32{'A' + 3, 0xc3 + 3, 0xa9 + 3, 3}, tok.Encode("Aé\x00")); d != "" {
		t.Errorf("ids (-want +got):\n%s", d)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 100 {
		b := make([]byte, r.IntN(50))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if got := tok.Decode(tok.Encode(string(b))); got != string(b) {
			t.Fatalf("%q came back as %q", b, got)
		}
	}
	if id, ok := tok.Special("<extra_id_0>"); !ok || id != 259 || tok.VocabSize() != 260 {
		t.Errorf("<extra_id_0>: got %d, %v of %d tokens, want 259 of 260", id, ok, tok.VocabSize())
	}
	if id, ok := tok.EOS(); !ok || id != 1 {
		t.Errorf("end: got %d, %v, want 1", id, ok)
	}
}

func TestPatches(t *testing.T) {
	for _, c := range []struct {
		text string
		o    PatchOptions
		want []string
	}{
		{"", PatchOptions{}, nil},
		{"abcdefghij", PatchOptions{}, []string{"abcdefgh", "ij"}},
		{"abcdef", PatchOptions{Size: 3}, []string{"abc", "def"}},
		{"the  cat sat.", PatchOptions{Words: true}, []string{"the ", " cat ", "sat."}},
		{"aé b", PatchOptions{Words: true}, []string{"a\xc3", "\xa9 ", "b"}},
		{"longword x", PatchOptions{Words: true, Size: 4}, []string{"long", "word", " ", "x"}},
	} {
		if d := cmp.Diff(c.want, slices.Collect(Patches(c.text, c.o))); d != "" {
			t.Errorf("%q %+v (-want +got):\n%s", c.text, c.o, d)
		}
	}
}
