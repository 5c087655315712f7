// Package e2e holds tests of the whole house: the server over a real engine
// and model under load, and the built program spoken to by the official
// OpenAI clients.
package e2e

import (
	"testing"

	"go.uber.org/goleak"

	"weft/compute/tensor"
	"weft/model"
	"weft/model/llama"
	"weft/text/template"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tinyLlama is a model of random weights: it speaks nonsense at full honesty.
func tinyLlama(vocab int) model.Model {
	return llama.New(llama.Config{
		HiddenSize: 32, IntermediateSize: 64, NumHiddenLayers: 2, NumAttentionHeads: 4, NumKeyValueHeads: 2,
		VocabSize: vocab, MaxPositionEmbeddings: 256, TieWordEmbeddings: true, InitializerRange: 0.5,
	}, tensor.NewRNG(1))
}

// byteTokenizer has one token per byte and the marks of a template.
type byteTokenizer struct{ marks []string }

func (b byteTokenizer) Encode(text string) []int32 {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	return ids
}

func (b byteTokenizer) Err() error { return nil }

func (b byteTokenizer) Special(name string) (int32, bool) {
	for i, m := range b.marks {
		if m == name {
			return int32(256 + i), true
		}
	}
	return 0, false
}

func (b byteTokenizer) Decode(ids []int32) string {
	var s []byte
	for _, id := range ids {
		s = append(s, b.Bytes(id)...)
	}
	return string(s)
}

func (b byteTokenizer) Bytes(id int32) []byte {
	if id >= 256 {
		return []byte(b.marks[id-256])
	}
	return []byte{byte(id)}
}

func (b byteTokenizer) IsSpecial(id int32) bool { return id >= 256 }
func (b byteTokenizer) BOS() (int32, bool)      { return b.Special("<|bos|>") }
func (b byteTokenizer) EOS() (int32, bool)      { return b.Special("<|end|>") }

func weftTemplate(t *testing.T) *template.Template {
	t.Helper()
	tmpl, err := template.Named("weft")
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}
