package tokenizer_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"weft/internal/testkit"
	"weft/text/tokenizer"
)

// TestPlans runs the plans of gpt-tokenizer (data/TestPlans.txt of
// github.com/niieani/gpt-tokenizer): a text and its ids in each encoding.
func TestPlans(t *testing.T) {
	data, err := os.ReadFile(testkit.Data(t, "tokenizers/tiktoken/TestPlans.txt"))
	if err != nil {
		t.Fatal(err)
	}
	toks := map[string]*tokenizer.Tokenizer{}
	for plan := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n\nEncodingName: ") {
		name, rest, _ := strings.Cut(strings.TrimPrefix(plan, "EncodingName: "), "\nSample: ")
		text, ids, ok := strings.Cut(rest, "\nEncoded: ")
		var want []int32
		if err := json.Unmarshal([]byte(ids), &want); err != nil || !ok {
			t.Fatalf("plan %q: %v", plan, err)
		}
		if toks[name] == nil {
			toks[name] = ranks(t, "tiktoken/"+strings.Replace(name, "_edit", "_base", 1)+".tiktoken")
		}
		if got := toks[name].Encode(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q: got %v, want %v", name, text, got, want)
		}
	}
	if len(toks) < 4 {
		t.Errorf("plans for %d encodings, want r50k, p50k, cl100k and o200k", len(toks))
	}
}

// TestOpen opens every published tokenizer by what its file holds.
func TestOpen(t *testing.T) {
	for name, want := range map[string]struct {
		vocab int
		bos   string
		eos   string
	}{
		"bert/bert-base-uncased-vocab.txt": {30522, "[CLS]", "[SEP]"},
		"gpt2":                             {50257, "", "<|endoftext|>"},
		"gpt2/vocab.bpe":                   {50257, "", "<|endoftext|>"},
		"hf-json/cohere-tokenizer.json":    {75500, "<BOS_TOKEN>", "<EOS_TOKEN>"},
		"hf-json/kimi-k2-instruct":         {163840, "[BOS]", "[EOS]"},
		"llama2/tokenizer.model":           {32000, "<s>", "</s>"},
		"llama2/tokenizer.bin":             {32000, "<s>", "</s>"},
		"llama3":                           {128256, "<|begin_of_text|>", "<|end_of_text|>"},
		"mistral/tokenizer.model.v1":       {32000, "<s>", "</s>"},
		"mistral/mistral_instruct_tokenizer_240323.model.v3": {32768, "<s>", "</s>"},
		"qwen1":                             {151851, "", "<|endoftext|>"},
		"sentencepiece/test_model.model":    {1000, "<s>", "</s>"},
		"sentencepiece/test_ja_model.model": {8000, "<s>", "</s>"},
		"smollm":                            {49152, "", "<|endoftext|>"},
		"tiktoken/cl100k_base.tiktoken":     {100277, "", "<|endoftext|>"},
		"tiktoken/o200k_base.tiktoken":      {200019, "", "<|endoftext|>"},
		"tiktoken/p50k_base.tiktoken":       {50281, "", "<|endoftext|>"},
		"tiktoken/r50k_base.tiktoken":       {50257, "", "<|endoftext|>"},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.Open(testkit.Data(t, "tokenizers/"+name))
			if err != nil {
				t.Fatal(err)
			}
			if tok.VocabSize() != want.vocab {
				t.Errorf("%d tokens, want %d", tok.VocabSize(), want.vocab)
			}
			bos, ok := tok.BOS()
			if id, known := tok.Special(want.bos); ok != known || ok && bos != id {
				t.Errorf("BOS is %q, want %q", tok.Bytes(bos), want.bos)
			}
			eos, _ := tok.EOS()
			if id, known := tok.Special(want.eos); !known || eos != id {
				t.Errorf("EOS is %q, want %q", tok.Bytes(eos), want.eos)
			}
			if tok.VocabSize() < 60000 {
				checkSaves(t, tok)
			}
		})
	}
}

// saved is a tokenizer, written as tokenizer.json and read again.
func saved(t *testing.T, tok *tokenizer.Tokenizer) *tokenizer.Tokenizer {
	t.Helper()
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	back, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// checkSaves: what Save writes reads the same texts as the same ids.
func checkSaves(t *testing.T, tok *tokenizer.Tokenizer) {
	t.Helper()
	back := saved(t, tok)
	for _, text := range []string{"", "Hello, world!  It's 1234 o'clock.\n\n\tfür 🙂 ﬁne ①²", "  two ", "今日は。吾輩は猫である", "</s> [INST] <|im_end|>[REFERENCE_DOC_7]x"} {
		if got, want := back.Encode(text), tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q: saved and opened %v, before %v", text, got, want)
		}
		if got, want := back.EncodeSpecial(text), tok.EncodeSpecial(text); !slices.Equal(got, want) {
			t.Errorf("%q as trusted text: saved and opened %v, before %v", text, got, want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for want, data := range map[string]string{
		"no kind of tokenizer": "just a text\n",
		"none of merges.txt":   `{"a": 0}`,
		"none of vocab.json":   "#version: 0.2\na b\n",
		"1 ranks":              "YQ== 0\n",
		"default_vocab_size":   `{"config": {"default_vocab_size": 3}, "vocab": []}`,
		"no piece is the unkn": "\n\x05\n\x03abc",
		"line 3: \"a\"":        "a\n[UNK]\na\n",
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := tokenizer.Open(path)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("want %q and %s, got error %v", want, path, err)
		}
	}
	if _, err := tokenizer.Open(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestConfig reads a vocabulary with a tokenizer_config.json beside it.
func TestConfig(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("vocab.json", `{"a": 0, "b": 1, "ab": 2, "<end>": 3}`)
	write("merges.txt", "#version: 0.2\na b\n")
	write("tokenizer_config.json", `{"eos_token": "<|stop|>", "added_tokens_decoder": {"5": {"content": "<|stop|>", "special": true}, "4": {"content": "bab", "special": false}}}`)
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := tok.EncodeSpecial("abab<end>ba<|stop|>"); !slices.Equal(got, []int32{0, 4, 3, 1, 0, 5}) {
		t.Errorf("ids are %v", got)
	}
	if id, _ := tok.EOS(); id != 5 {
		t.Errorf("EOS is %d, want 5", id)
	}
	write("tokenizer_config.json", `{"added_tokens_decoder": {"0": {"content": "other"}}}`)
	if _, err := tokenizer.Open(dir); err == nil || !strings.Contains(err.Error(), `"a" with that id`) {
		t.Errorf("a second name for an id: %v", err)
	}
}

// tekken makes a tekken.json of the bytes and some tokens.
func tekken(tokens []string, specials string) string {
	var vocab []string
	add := func(text string) {
		vocab = append(vocab, fmt.Sprintf(`{"rank": %d, "token_bytes": %q, "token_str": null}`, len(vocab), base64.StdEncoding.EncodeToString([]byte(text))))
	}
	for b := range 256 {
		add(string([]byte{byte(b)}))
	}
	for _, text := range tokens {
		add(text)
	}
	return fmt.Sprintf(`{"config": {"pattern": "\\p{L}+|[^\\p{L}]+", "num_vocab_tokens": 999, "default_vocab_size": %d, "default_num_special_tokens": 24, "version": "v3"}, "vocab": [%s]%s}`,
		24+len(vocab)-1, strings.Join(vocab, ","), specials)
}

// openText reads a file that has this text, alone in its folder.
func openText(name, text string) (*tokenizer.Tokenizer, error) {
	return tokenizer.OpenFS(fstest.MapFS{name: {Data: []byte(text)}})
}

func TestTekken(t *testing.T) {
	tok, err := openText("tekken.json", tekken([]string{"ab", "cab", "left out"}, ""))
	if err != nil {
		t.Fatal(err)
	}
	got := tok.EncodeSpecial("<s>[INST]cab<SPECIAL_23>  b")
	want := []int32{1, 3, 24 + 257, 23, 24 + ' ', 24 + ' ', 24 + 'b'}
	if !slices.Equal(got, want) {
		t.Errorf("ids are %v, want %v", got, want)
	}
	if bos, ok := tok.BOS(); !ok || bos != 1 || tok.VocabSize() != 24+258 {
		t.Errorf("BOS %d, %d tokens", bos, tok.VocabSize())
	}
	listed := `, "special_tokens": [{"rank": 0, "token_str": "<unk>", "is_control": true}, {"rank": 2, "token_str": "<x>", "is_control": false}]`
	if tok, err = openText("tekken.json", tekken([]string{"ab", "out"}, listed)); err != nil {
		t.Fatal(err)
	}
	if got := tok.Encode("<x>a<unk>"); !slices.Equal(got[:2], []int32{2, 24 + 'a'}) || len(got) != 7 {
		t.Errorf("ids are %v", got)
	}
	for want, text := range map[string]string{
		"special_tokens[0]": tekken([]string{"a b"}, `, "special_tokens": [{"rank": 24, "token_str": "<x>"}]`),
		"vocab[256]":        strings.Replace(tekken([]string{"ab", "x"}, ""), `{"rank": 256,`, `{"rank": 3,`, 1),
		"config: default":   `{"config": {}, "vocab": []}`,
	} {
		if _, err := openText("tekken.json", text); !errors.Is(err, tokenizer.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got error %v", want, err)
		}
	}
}

func TestVocabRefuses(t *testing.T) {
	for want, c := range map[string][2]string{
		"line 2":         {`{"a": 0}`, "#version: 0.2\na b c\n"},
		"merges[0]":      {`{"a": 0, "b": 1}`, "a b\n"},
		"id 0 is both":   {`{"a": 0, "b": 0}`, ""},
		"vocabulary":     {`{"a": "b"}`, ""},
		"want ids below": {`{"a": 99999999}`, ""},
	} {
		_, err := tokenizer.OpenFS(fstest.MapFS{"vocab.json": {Data: []byte(c[0])}, "merges.txt": {Data: []byte(c[1])}})
		if !errors.Is(err, tokenizer.ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got error %v", want, err)
		}
	}
}

// FuzzOpen opens any bytes, as what they look like.
func FuzzOpen(f *testing.F) {
	f.Add([]byte("YQ== 0\nYg== 1\nYWI= 2\n"))
	f.Add([]byte("\n\t\n\x05<unk>\x18\x02\n\x08\n\x01a\x15\x00\x00\x80\xbf\n\x05\n\x03\xe2\x96\x81"))
	f.Add([]byte(tekken([]string{"ab", "cab"}, "")))
	f.Add([]byte("[UNK]\n[CLS]\na\n##b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := openText("r50k_base.tiktoken", string(data)) // a name that says what ranks lack
		if err == nil {
			tok.Decode(tok.Encode("a b é\xff ﬁ <|endoftext|>"))
		}
	})
}

func FuzzGGUFVocab(f *testing.F) {
	f.Add("gpt2", "gpt-2", "a b ab <e>", "a b", []byte{1, 1, 1, 3})
	f.Add("llama", "", "<unk> <s> ▁ a ▁a", "", []byte{2, 3, 1, 4, 5})
	f.Add("bert", "", "[UNK] ▁a b", "", []byte{3, 1, 1})
	rwkv := []string{"<s>", "ab"}
	for b := range 256 {
		rwkv = append(rwkv, fmt.Sprintf(`\x%02x`, b))
	}
	f.Add("rwkv", "", strings.Join(rwkv, " "), "", append([]byte{3}, bytes.Repeat([]byte{1}, len(rwkv)-1)...))
	f.Fuzz(func(t *testing.T, model, pre, tokens, merges string, kinds []byte) {
		m := metadata{"tokenizer.ggml.model": model, "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": strings.Fields(tokens),
			"tokenizer.ggml.merges": strings.Split(merges, ","), "tokenizer.ggml.unknown_token_id": uint32(0)}
		var list []int32
		var scores []float32
		for i, k := range kinds {
			list, scores = append(list, int32(k)), append(scores, -float32(i))
		}
		m["tokenizer.ggml.token_type"], m["tokenizer.ggml.scores"] = list, scores
		tok, err := tokenizer.FromGGUF(m)
		if err == nil {
			tok.Decode(tok.Encode("a b<e>\xff"))
		}
	})
}
