package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
)

// Hash identifies everything that ids depend on: vocabulary, merges or scores,
// added tokens and the steps around the model; SHA-256, in hex. Saving and
// loading keeps it. The post_processor is not in it: it adds tokens, but changes
// none.
func (t *Tokenizer) Hash() string { return t.hash }

// digest writes values one after the other, texts with their length in front, so
// that no two tokenizers are written down alike.
type digest struct{ buf []byte }

func (d *digest) num(v int)    { d.buf = binary.LittleEndian.AppendUint32(d.buf, uint32(v)) }
func (d *digest) str(v string) { d.num(len(v)); d.buf = append(d.buf, v...) }
func (d *digest) flag(v bool) {
	if v {
		d.buf = append(d.buf, 1)
	} else {
		d.buf = append(d.buf, 0)
	}
}

// sum is the hash. Byte-level vocabularies with a known pattern, and nothing
// before it but NFC, keep the form that they have had from the beginning: models
// and shards name it.
func (t *Tokenizer) sum() string {
	var d digest
	nfc := canonical(t.normalizer) == `{"type":"NFC"}`
	if t.pattern != nil && !t.leading && (nfc || len(t.normalizers) == 0) && t.unk == "" {
		d.str("weft tokenizer 1")
		d.str(t.pattern.name)
		d.flag(false)
		d.flag(nfc)
		d.flag(t.whole)
	} else {
		t.sumSteps(&d)
	}
	d.num(len(t.tokens))
	marked := make(map[int32]bool, len(t.added))
	for _, a := range t.added {
		marked[a.id] = true
	}
	for id, tok := range t.tokens {
		if marked[int32(id)] {
			tok = token{t.contentOf(int32(id)), special}
		}
		d.buf = append(d.buf, byte(tok.kind))
		d.str(tok.text)
	}
	d.num(len(t.merges))
	for _, g := range t.merges {
		d.num(int(g.left))
		d.num(int(g.right))
		d.num(int(g.into))
	}
	d.num(len(t.added))
	for _, a := range t.added {
		d.num(int(a.id))
		d.str(a.content)
		d.flag(a.special)
		d.flag(a.lstrip)
		d.flag(a.rstrip)
		d.flag(a.normalized)
		if a.single {
			d.str("single")
		}
	}
	h := sha256.Sum256(d.buf)
	return hex.EncodeToString(h[:])
}

// sumSteps writes down all but the tokens.
func (t *Tokenizer) sumSteps(d *digest) {
	d.str("weft tokenizer 2")
	for _, section := range [][]byte{t.normalizer, t.preTokenizer, t.decoder} {
		d.str(canonical(section))
	}
	d.str(string(t.kind))
	d.str(t.unk)
	d.str(t.modelSpec.prefix)
	d.str(t.suffix)
	d.flag(t.whole)
	d.flag(t.byteful)
	d.flag(t.fuse)
	d.num(t.longest)
	d.num(len(t.scores))
	for _, s := range t.scores {
		d.buf = binary.LittleEndian.AppendUint64(d.buf, math.Float64bits(s))
	}
}
