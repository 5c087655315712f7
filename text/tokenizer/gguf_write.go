package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Entry is one key of a GGUF file's metadata.
type Entry struct {
	Key   string
	Value any // string, bool, uint32, or a slice of string, float32 or int32
}

// JSON is the tokenizer.json that Save writes.
func (t *Tokenizer) JSON() ([]byte, error) { return t.marshal() }

// GGUF is the tokenizer as the metadata of a model of size tokens, at least its
// own: the keys tokenizer.ggml.* that FromGGUF and llama.cpp read, and the whole
// of it under tokenizer.huggingface.json, which is exact. Tokens that only the
// model has are named [PADn].
//
// The ggml keys know byte-level BPE whose pattern has a name (see prePatterns)
// and the BPE of SentencePiece. Of another tokenizer they hold the tokens under a
// model or pattern called "weft", so that a program that reads only them refuses
// the file instead of cutting text its own way; odd says which and why, "" that
// there is nothing to say.
func (t *Tokenizer) GGUF(size int) (all []Entry, odd string, err error) {
	if size < len(t.tokens) {
		return nil, "", fmt.Errorf("tokenizer: GGUF: a model of %d tokens, but the tokenizer has %d", size, len(t.tokens))
	}
	text, err := t.marshal()
	if err != nil {
		return nil, "", fmt.Errorf("tokenizer: GGUF: %w", err)
	}
	add := func(key string, v any) { all = append(all, Entry{ggufPrefix + key, v}) }
	model, pre := "weft", ""
	switch {
	case t.level:
		model, pre = "gpt2", t.preName(t.whole)
		if pre == "" {
			pre = t.preName(!t.whole)
			odd = fmt.Sprintf("llama.cpp knows its pattern, but not with ignore_merges %v", t.whole)
		}
		switch {
		case pre == "":
			pre, odd = "weft", "llama.cpp has no name for the pattern that cuts its text into words"
		case len(t.normalizer) > 0:
			odd = "llama.cpp does not normalise text as its tokenizer asks: " + canonical(t.normalizer)
		}
	case t.sentencePieceBPE():
		model = "llama"
	default:
		odd = "the keys of llama.cpp do not know a tokenizer of this kind"
	}
	add("model", model)
	if pre != "" {
		add("pre", pre)
	}
	names, kinds := t.ggufTokens(size)
	add("tokens", names)
	add("token_type", kinds)
	if t.kind == bpeModel && model != "llama" {
		add("merges", t.mergeLines())
	}
	if model == "llama" {
		add("scores", t.mergeScores(size))
		add("add_space_prefix", strings.Contains(string(t.normalizer), "Prepend"))
	}
	for key, id := range map[string]int32{"bos": t.bos, "eos": t.eos, "unknown": t.unkID} {
		if id >= 0 {
			add(key+"_token_id", uint32(id))
		}
	}
	add("add_bos_token", t.bos >= 0 && slices.Equal(t.frame.before, []int32{t.bos}))
	add("add_eos_token", t.eos >= 0 && slices.Equal(t.frame.after, []int32{t.eos}))
	slices.SortStableFunc(all, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
	return append(all, Entry{"tokenizer.huggingface.json", string(text)}), odd, nil
}

// sentencePieceBPE says whether ggml's "llama" does the same.
func (t *Tokenizer) sentencePieceBPE() bool {
	if t.kind != bpeModel || !t.byteful || t.level || t.whole || t.exact != nil && len(t.exact.ids) > 0 || len(t.preTokenizer) > 0 {
		return false
	}
	return same(t.normalizer, []byte(spmNormalizer)) || same(t.normalizer, []byte(spmReplace))
}

// ggufTokens spells every token, and says of what type it is.
func (t *Tokenizer) ggufTokens(size int) (names []string, kinds []int32) {
	for id := range size {
		name, kind := fmt.Sprintf("[PAD%d]", id), int32(spmUnused)
		if t.known(int32(id)) {
			tok := t.tokens[id]
			name, kind = t.name(tok), spmNormal
			switch tok.kind {
			case literal:
				kind = spmUnused
			case fallback:
				kind = spmByte
			}
		}
		names, kinds = append(names, name), append(kinds, kind)
	}
	for _, a := range t.added {
		if kinds[a.id] = spmUserDefined; a.special {
			kinds[a.id] = spmControl
		}
		names[a.id] = a.content
	}
	if t.unkID >= 0 && kinds[t.unkID] == spmControl {
		kinds[t.unkID] = spmUnknown
	}
	return names, kinds
}

// mergeScores ranks tokens as merges do: the first to be merged scores best.
func (t *Tokenizer) mergeScores(size int) []float32 {
	scores := make([]float32, size)
	last := -float32(len(t.merges) + 1)
	for id := range t.tokens {
		if t.tokens[id].kind == plain {
			scores[id] = last
		}
	}
	for rank, g := range slices.Backward(t.merges) {
		scores[g.into] = -float32(rank)
	}
	return scores
}

// preName finds a name that prePatterns has for how text is cut, the same one
// each time; "" if there is none.
func (t *Tokenizer) preName(whole bool) string {
	var found []string
	for names, p := range preTable() {
		if p.whole == whole && !p.chars && same(withoutOffsets(p.preTokenizer()), withoutOffsets(t.preTokenizer)) {
			found = append(found, strings.Fields(names)[0])
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.Min(found)
}

// withoutOffsets takes out what says nothing about ids.
func withoutOffsets(step json.RawMessage) json.RawMessage {
	var v any
	if json.Unmarshal(step, &v) != nil {
		return step
	}
	var clean func(v any)
	clean = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "trim_offsets")
			for _, key := range []string{"add_prefix_space", "invert"} {
				if v[key] == false { // the default
					delete(v, key)
				}
			}
			for _, x := range v {
				clean(x)
			}
		case []any:
			for _, x := range v {
				clean(x)
			}
		}
	}
	clean(v)
	return mustJSON(v)
}
