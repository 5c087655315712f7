package local

import (
	"math/rand/v2"
	"os"
	"testing"

	"weft/chat"
	"weft/internal/testkit"
	"weft/model"
	"weft/text/corpus/world"
	"weft/text/tokenizer"
)

// TestTextIsTheTokenizers streams random ids of real tokenizers and wants what
// Decode makes of all of them at once.
func TestTextIsTheTokenizers(t *testing.T) {
	text := func(yield func(string, error) bool) { yield(world.New(1).Text(20_000)+" é世🙂", nil) }
	trained, err := tokenizer.Train(t.Context(), text, tokenizer.TrainOptions{VocabSize: 400})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("trained", func(t *testing.T) { streamRandom(t, trained) })
	t.Run("llama2.c", func(t *testing.T) {
		f, err := os.Open(testkit.Data(t, "models/stories260k/tok512.bin"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		tok, err := tokenizer.FromLlama2C(f, 512)
		if err != nil {
			t.Fatal(err)
		}
		streamRandom(t, tok)
	})
}

func streamRandom(t *testing.T, tok *tokenizer.Tokenizer) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var ids []int32
		for range 1 + r.IntN(12) {
			if id := int32(r.IntN(tok.VocabSize())); !tok.IsSpecial(id) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			continue
		}
		m := New(tok, nil, &fakeEngine{script: ids}, model.Info{Vocab: tok.VocabSize(), EOS: -1, BOS: -1})
		// The prompt is one that leaves the answer at the beginning of a text
		// where the tokenizer has such a mark, and otherwise does not matter.
		r := chat.Request{Logprobs: -1}
		if _, ok := tok.BOS(); !ok {
			r.Prompt = "x"
		}
		got, want := say(t, m, r).text, valid([]byte(tok.Decode(ids)))
		if got != want {
			t.Fatalf("ids %v: got %q, want %q", ids, got, want)
		}
	}
}
