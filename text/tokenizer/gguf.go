package tokenizer

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Metadata is what a model file says of itself, key by key. Numbers are Go's
// int8 to uint64, float32 or float64, arrays are slices of one type.
type Metadata interface {
	Value(key string) (any, bool)
}

// FromGGUF reads the vocabulary of a GGUF file: the keys tokenizer.ggml.* as
// llama.cpp writes and reads them (src/llama-vocab.cpp), of the models llama
// (SentencePiece BPE), gpt2 (byte-level BPE), gemma4, bert (WordPiece), t5
// (Unigram) and rwkv (the longest token first). The pattern of gpt2 is stored by
// name only: see prePatterns.
//
// Ids are llama.cpp's, with two differences: text that a user wrote never
// becomes a control token, and tokens that the file calls bos, eos or the like
// are control tokens even if it forgot to say so.
//
// Errors wrap ErrFormat or ErrUnsupported and name the key.
func FromGGUF(m Metadata) (*Tokenizer, error) {
	t, err := fromGGUF(m)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: GGUF: %w", err)
	}
	return t, nil
}

const ggufPrefix = "tokenizer.ggml."

// ggufVocab collects what the keys say.
type ggufVocab struct {
	meta   Metadata
	err    error // the first thing wrong with a key
	tokens []string
	scores []float32
	kinds  []int32 // spmNormal...
	bos    int32   // -1: none
	eos    int32
	unk    int32
	addBOS bool
	addEOS bool
}

func fromGGUF(m Metadata) (*Tokenizer, error) {
	v := &ggufVocab{meta: m}
	model := valueOf(v, "model", "")
	var (
		s   *spec
		err error
	)
	switch model {
	case "llama", "t5":
		s, err = v.sentencePiece(model)
	case "gpt2", "gemma4":
		s, err = v.bytePair(model)
	case "bert":
		s, err = v.wordPiece()
	case "rwkv":
		s, err = v.greedy()
	case "":
		return nil, fmt.Errorf("%smodel: %w: the file holds no vocabulary", ggufPrefix, ErrFormat)
	default:
		return nil, fmt.Errorf("%smodel %q: %w; want llama, gpt2, gemma4, bert, t5 or rwkv", ggufPrefix, model, ErrUnsupported)
	}
	if v.err != nil {
		err = v.err
	}
	if err != nil {
		return nil, err
	}
	before, after := int32(-1), int32(-1)
	if v.addBOS {
		before = v.bos
	}
	if v.addEOS {
		after = v.eos
	}
	s.postProcessor = s.templateOf(before, after)
	t, err := build(*s)
	if err != nil {
		return nil, err
	}
	if v.bos >= 0 {
		t.bos = v.bos
	}
	if v.eos >= 0 {
		t.eos = v.eos
	}
	return t, nil
}

// read takes the list of tokens and what comes with it. The defaults of ids are
// those of the model's kind; -1 means none.
func (v *ggufVocab) read(bos, eos, unk int32, addBOS, addEOS bool) error {
	v.tokens, _ = listOf[string](v, "tokens")
	if v.err != nil {
		return v.err
	}
	n := len(v.tokens)
	if n == 0 || n > maxVocab {
		return fmt.Errorf("%stokens: %d of them: %w; want 1 to %d", ggufPrefix, n, ErrFormat, maxVocab)
	}
	var ok bool
	if v.scores, ok = listOf[float32](v, "scores"); !ok {
		v.scores = make([]float32, n)
	}
	if v.kinds, ok = listOf[int32](v, "token_type"); !ok {
		v.kinds = slices.Repeat([]int32{spmNormal}, n)
	}
	if v.err == nil && (len(v.scores) < n || len(v.kinds) < n) {
		v.err = fmt.Errorf("%stokens: %d of them with %d scores and %d types: %w", ggufPrefix, n, len(v.scores), len(v.kinds), ErrFormat)
	}
	v.bos, v.eos, v.unk = v.id("bos_token_id", bos), v.id("eos_token_id", eos), v.id("unknown_token_id", unk)
	v.addBOS, v.addEOS = valueOf(v, "add_bos_token", addBOS) && v.bos >= 0, valueOf(v, "add_eos_token", addEOS) && v.eos >= 0
	// A token that ends a turn must not come from text that a user wrote.
	for _, key := range []string{"bos", "eos", "eot", "eom", "unknown", "seperator", "padding", "mask", "cls"} {
		id := v.id(key+"_token_id", -1)
		if id >= 0 && marker(v.tokens[id]) && v.err == nil {
			if k := &v.kinds[id]; *k == spmNormal || *k == spmUserDefined {
				*k = spmControl
			}
		}
	}
	return v.err
}

// marker says whether a token is spelled like one that no text holds.
func marker(name string) bool {
	for _, pair := range []string{"<>", "[]"} {
		if len(name) > 2 && name[:1] == pair[:1] && name[len(name)-1:] == pair[1:] {
			return true
		}
	}
	return false
}

// name is a token's text; llama.cpp gives empty ones a name.
func (v *ggufVocab) name(id int) string {
	if v.tokens[id] == "" {
		return fmt.Sprintf("[EMPTY_%d]", id)
	}
	return v.tokens[id]
}

// sentencePiece reads the models of SentencePiece: BPE by score, and Unigram.
// User-defined tokens are cut out of text before it is prepared.
func (v *ggufVocab) sentencePiece(model string) (*spec, error) {
	f := &spmFile{model: spmBPE, apart: true, escape: true}
	var err error
	if model == "t5" {
		f.model = spmUnigram
		err = v.read(-1, 1, 2, false, true)
	} else {
		err = v.read(1, 2, 0, true, false)
	}
	if err != nil {
		return nil, err
	}
	f.prefix = valueOf(v, "add_space_prefix", true)
	f.collapse = valueOf(v, "remove_extra_whitespaces", false)
	f.charsmap = v.table()
	bytes := 0
	for id := range v.tokens {
		p := spmPiece{v.name(id), v.scores[id], uint64(v.kinds[id])}
		if p.kind == spmByte {
			bytes++
		}
		if int32(id) == v.unk {
			p.kind = spmUnknown
		} else if p.kind == spmUnknown {
			p.kind = spmControl
		}
		f.pieces = append(f.pieces, p)
	}
	f.byteful = bytes > 0
	if v.err != nil {
		return nil, v.err
	}
	s, err := f.spec()
	if err != nil {
		return nil, err
	}
	v.strip(s)
	return s, nil
}

// strip tells what the file does not, and llama.cpp knows by the model's name:
// which tokens swallow the white space behind them.
func (v *ggufVocab) strip(s *spec) {
	name, _ := v.meta.Value("general.name")
	text, _ := name.(string)
	if text = strings.ToLower(text); !strings.Contains(text, "phi-3") && !strings.Contains(text, "phi3") {
		return
	}
	for i := range s.added {
		a := &s.added[i]
		a.rstrip = a.content != unkName && a.content != "<s>" && a.content != "<|endoftext|>"
	}
}

// table is the charsmap, which writers store as either kind of byte.
func (v *ggufVocab) table() []byte {
	x, ok := v.meta.Value(ggufPrefix + "precompiled_charsmap")
	if !ok {
		return nil
	}
	switch list := x.(type) {
	case []uint8:
		return list
	case []int8:
		out := make([]byte, len(list))
		for i, b := range list {
			out[i] = byte(b)
		}
		return out
	}
	v.wrong("precompiled_charsmap", x, "bytes")
	return nil
}

// special enters a control or user-defined token.
func (s *spec) special(id int, name string, control bool) token {
	s.added = append(s.added, added{id: int32(id), content: name, special: control})
	return token{text: name, kind: special}
}

// bytePair reads byte-level BPE, and gemma4: merges on characters with visible
// spaces.
func (v *ggufVocab) bytePair(model string) (*spec, error) {
	if err := v.read(-1, -1, -1, false, false); err != nil {
		return nil, err
	}
	name := valueOf(v, "pre", "default")
	if model == "gemma4" {
		name = model
	}
	pre, err := prePattern(name)
	if err != nil {
		return nil, err
	}
	if valueOf(v, "add_bos_token", pre.bos) && v.bos >= 0 {
		v.addBOS = true
	}
	s := &spec{modelSpec: modelSpec{whole: pre.whole, byteful: pre.chars}}
	vocab := make(map[string]int64, len(v.tokens))
	for id := range v.tokens {
		name := v.name(id)
		if old, twice := vocab[name]; twice {
			return nil, fmt.Errorf("%stokens: %d and %d are both %q: %w", ggufPrefix, old, id, name, ErrFormat)
		}
		vocab[name] = int64(id)
		s.tokens = append(s.tokens, v.bytePairToken(s, id, name, pre.chars))
	}
	lines, ok := listOf[string](v, "merges")
	if v.err != nil {
		return nil, v.err
	}
	if !ok {
		return nil, fmt.Errorf("%smerges: %w: the file has none", ggufPrefix, ErrFormat)
	}
	merges := make(mergesJSON, len(lines))
	for i, l := range lines {
		at := strings.IndexByte(l[min(1, len(l)):], ' ') + 1 // a token may be a space
		if at < 1 {
			return nil, fmt.Errorf("%smerges: merge %d is %q: %w; want two tokens and a space between", ggufPrefix, i, l, ErrFormat)
		}
		merges[i] = [2]string{l[:at], l[at+1:]}
	}
	if err := s.readMerges(vocab, merges); err != nil {
		return nil, fmt.Errorf("%s%w", ggufPrefix, err)
	}
	s.normalizer, s.preTokenizer, s.decoder = pre.normalizer(), pre.preTokenizer(), pre.decoder()
	return s, nil
}

// bytePairToken is one token of a BPE vocabulary.
func (v *ggufVocab) bytePairToken(s *spec, id int, name string, chars bool) token {
	switch v.kinds[id] {
	case spmControl, spmUnknown:
		return s.special(id, name, true)
	case spmUserDefined:
		return s.special(id, name, false)
	case spmUnused:
		return token{text: name, kind: literal}
	}
	if chars {
		if b, ok := fallbackByte(name); ok {
			return token{text: string([]byte{b}), kind: fallback}
		}
		return token{text: name, kind: plain}
	}
	if text, ok := bytesOf(name); ok {
		return token{text: text, kind: plain}
	}
	return token{text: name, kind: literal}
}

// wordPiece reads BERT's vocabulary. The file marks tokens that begin a word
// with ▁, where vocab.txt marks those that go on with ##.
func (v *ggufVocab) wordPiece() (*spec, error) {
	if err := v.read(101, 102, 100, true, true); err != nil {
		return nil, err
	}
	v.bos, v.eos = v.id("cls_token_id", v.bos), v.id("seperator_token_id", v.eos)
	v.addBOS, v.addEOS = v.bos >= 0, v.eos >= 0
	lower := valueOf(v, "normalizer.lowercase", true)
	bert := bertText{cased: !lower, keepAccents: !valueOf(v, "normalizer.strip_accents", lower)}
	if v.unk < 0 || v.err != nil {
		return nil, fmt.Errorf("%sunknown_token_id: %w: words that the vocabulary lacks need one (%v)", ggufPrefix, ErrFormat, v.err)
	}
	s := bert.spec(v.tokens[v.unk])
	for id := range v.tokens {
		name := v.name(id)
		t := token{kind: plain}
		rest, begins := strings.CutPrefix(name, spmSpace)
		switch kind := v.kinds[id]; {
		case kind == spmControl || kind == spmUnknown || int32(id) == v.unk:
			t = s.special(id, name, true)
		case kind == spmUserDefined:
			t = s.special(id, name, false)
		case begins:
			t.text = rest
		case strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]"): // left as they were
			t.text = name
		default:
			t.text = s.prefix + name
		}
		s.tokens = append(s.tokens, t)
	}
	return s, nil
}

// greedy reads the vocabulary of RWKV World: strings of bytes with escapes, of
// which always the longest that comes next is taken. As the bytes themselves are
// among them, that is a WordPiece model without a prefix, over bytes by name.
func (v *ggufVocab) greedy() (*spec, error) {
	if err := v.read(-1, -1, -1, false, false); err != nil {
		return nil, err
	}
	s := &spec{decoder: json.RawMessage(byteLevelDecoder), modelSpec: modelSpec{kind: wordPieceModel, longest: math.MaxInt32},
		preTokenizer: json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}`)}
	var single [256]bool
	for id := range v.tokens {
		t := token{kind: plain}
		switch name := v.name(id); v.kinds[id] {
		case spmControl, spmUnknown:
			t = s.special(id, name, true)
		case spmUserDefined:
			t = s.special(id, name, false)
		default: // those that fill the table up, too, as in llama.cpp
			text := unescaped(name)
			if len(text) == 1 {
				single[text[0]] = true
			}
			t.text = nameOf(text)
		}
		s.tokens = append(s.tokens, t)
	}
	if b := slices.Index(single[:], false); b >= 0 {
		return nil, fmt.Errorf("%stokens: %w: no token for byte 0x%02X", ggufPrefix, ErrFormat, b)
	}
	return s, nil
}

// unescaped reads \t, \n, \r and \xNN; \ in front of anything else is left out.
func unescaped(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' || i+1 == len(name) {
			b.WriteByte(name[i])
			continue
		}
		i++
		if n, err := strconv.ParseUint(name[min(i+1, len(name)):min(i+3, len(name))], 16, 8); name[i] == 'x' && err == nil && i+2 < len(name) {
			b.WriteByte(byte(n))
			i += 2
			continue
		}
		if at := strings.IndexByte("tnr", name[i]); at >= 0 {
			b.WriteByte("\t\n\r"[at])
			continue
		}
		b.WriteByte(name[i])
	}
	return b.String()
}

// wrong notes a value of another type than wanted.
func (v *ggufVocab) wrong(key string, got any, want string) {
	if v.err == nil {
		v.err = fmt.Errorf("%s%s is a %T: %w; want %s", ggufPrefix, key, got, ErrFormat, want)
	}
}

// valueOf is a value of the wanted type, or other if the key is not there.
func valueOf[T any](v *ggufVocab, key string, other T) T {
	x, ok := v.meta.Value(ggufPrefix + key)
	if !ok {
		return other
	}
	t, ok := x.(T)
	if !ok {
		v.wrong(key, x, fmt.Sprintf("a %T", t))
	}
	return t
}

// id is the id of a token, or other if the key is not there; -1 when there is no
// such token.
func (v *ggufVocab) id(key string, other int32) int32 {
	n := int64(other)
	if x, ok := v.meta.Value(ggufPrefix + key); ok {
		switch i := x.(type) {
		case uint32:
			n = int64(i)
		case int32:
			n = int64(i)
		case uint64:
			n = int64(min(i, math.MaxInt64))
		case int64:
			n = i
		default:
			v.wrong(key, x, "an id")
		}
	}
	if n < 0 || n >= int64(len(v.tokens)) {
		return -1
	}
	return int32(n)
}

// listOf is an array of the wanted type. Scores may be whole numbers.
func listOf[T any](v *ggufVocab, key string) ([]T, bool) {
	x, ok := v.meta.Value(ggufPrefix + key)
	if !ok {
		return nil, false
	}
	if ints, ok := x.([]int32); ok && key == "scores" {
		floats := make([]float32, len(ints))
		for i, n := range ints {
			floats[i] = float32(n)
		}
		x = floats
	}
	list, ok := x.([]T)
	if !ok {
		v.wrong(key, x, fmt.Sprintf("a list of %T", *new(T)))
	}
	return list, ok
}
