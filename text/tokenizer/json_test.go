package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/internal/testkit"
)

// edit returns a fixture with one field replaced, by its path in dots.
func edit(tb testing.TB, fixture, path, value string) []byte {
	tb.Helper()
	var root any
	if err := json.Unmarshal(readTestdata(tb, fixture), &root); err != nil {
		tb.Fatal(err)
	}
	keys := strings.Split(path, ".")
	at := root
	for _, k := range keys[:len(keys)-1] {
		at = at.(map[string]any)[k]
	}
	at.(map[string]any)[keys[len(keys)-1]] = json.RawMessage(value)
	data, err := json.Marshal(root)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// TestRefused: every construct that is not understood, and every damaged file,
// is an error that names it.
func TestRefused(t *testing.T) {
	const file = "trained-gpt2.json"
	token := func(s string) string {
		return fmt.Sprintf(`[{"id":5,"content":"<x>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true%s}]`, s)
	}
	split := func(regex, rest string) string {
		return fmt.Sprintf(`{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":%q},%s},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`, regex, rest)
	}
	for _, c := range []struct {
		path, value string
		kind        error
		want        string
	}{
		{"surprise", `1`, ErrUnsupported, `field "surprise"`},
		{"version", `"2.0"`, ErrUnsupported, `version: "2.0"`},
		{"model", `null`, ErrFormat, "model: malformed"},
		{"model.type", `"CharPiece"`, ErrUnsupported, `model.type: "CharPiece"`},
		{"model.type", `"Unigram"`, ErrUnsupported, `model: field "continuing_subword_prefix"`},
		{"model.surprise", `1`, ErrUnsupported, `model: field "surprise"`},
		{"model.dropout", `1.5`, ErrFormat, "model.dropout: got 1.5"},
		{"model.vocab", `{"a":-1}`, ErrFormat, `"a" with id -1`},
		{"model.vocab", `{"a":16000000}`, ErrFormat, "id 16000000 with 8 tokens"},
		{"model.vocab", `{"a":9223372036854775807}`, ErrFormat, "model.vocab: id 9223372036854775807"},
		{"model.vocab", `{"a":1e30}`, ErrFormat, "model.vocab: malformed"},
		{"model.vocab", `{"a":0,"b":0}`, ErrFormat, "id 0 is both"},
		{"model.merges", `["a b c"]`, ErrFormat, `merges[0]: got "a b c"`},
		{"model.merges", `[["a","b","c"]]`, ErrFormat, "merges[0]: got 3 tokens"},
		{"model.merges", `["a ?!"]`, ErrFormat, `model.merges[0]: "a" and "?!"`},
		{"normalizer", `{"type":"Surprise"}`, ErrUnsupported, `normalizer.type: "Surprise": unsupported tokenizer construct; want one of NFC`},
		{"normalizer", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Sequence","normalizers":[{}]}]}`, ErrFormat, "normalizer.normalizers[1].normalizers[0]: malformed tokenizer file: no type"},
		{"normalizer", strings.Repeat(`{"type":"Sequence","normalizers":[`, 20) + strings.Repeat(`]}`, 20), ErrFormat, "sequences inside each other"},
		{"normalizer", `{"type":"Replace","pattern":{"String":""},"content":"x"}`, ErrUnsupported, "normalizer.pattern: an empty String"},
		{"normalizer", `{"type":"Replace","pattern":{},"content":"x"}`, ErrFormat, "normalizer.pattern: malformed tokenizer file: want either String or Regex"},
		{"normalizer", `{"type":"Replace","pattern":{"Regex":"(a"},"content":"x"}`, ErrUnsupported, "normalizer.pattern: pattern"},
		{"normalizer", `{"type":"Precompiled","precompiled_charsmap":"?"}`, ErrFormat, "normalizer.precompiled_charsmap"},
		{"normalizer", `{"type":"Precompiled","precompiled_charsmap":"AAAA"}`, ErrFormat, "normalizer.precompiled_charsmap"},
		{"normalizer", `{"type":"Strip","strip_left":"yes"}`, ErrFormat, "normalizer.strip_left: malformed tokenizer file: got a JSON string, want bool"},
		{"pre_tokenizer", `{"type":"Metaspace"}`, ErrFormat, "pre_tokenizer: malformed tokenizer file: no replacement"},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"__"}`, ErrFormat, `got "__", want one character`},
		{"pre_tokenizer", `{"type":"Metaspace","replacement":"_","prepend_scheme":"often"}`, ErrUnsupported, `pre_tokenizer.prepend_scheme: "often"`},
		{"pre_tokenizer", `{"type":"ByteLevel","surprise":1}`, ErrUnsupported, `pre_tokenizer: field "surprise"`},
		{"pre_tokenizer", `{"type":"FixedLength","length":0}`, ErrFormat, "pre_tokenizer.length: got 0"},
		{"pre_tokenizer", split(gpt2Regex, `"behavior":"Often","invert":false`), ErrUnsupported, `pre_tokenizer.pretokenizers[0].behavior: "Often"`},
		{"pre_tokenizer", split(gpt2Regex, `"behavior":"Isolated","surprise":1`), ErrUnsupported, `pre_tokenizer.pretokenizers[0]: field "surprise"`},
		{"pre_tokenizer", `{"type":"Sequence","surprise":1}`, ErrUnsupported, `field "surprise"`},
		{"pre_tokenizer", `7`, ErrFormat, "pre_tokenizer"},
		{"decoder", `{"type":"Surprise"}`, ErrUnsupported, `decoder.type: "Surprise"`},
		{"decoder", `{"type":"Strip","content":"_","start":-1,"stop":0}`, ErrFormat, "decoder: malformed"},
		{"decoder", `{"type":"CTC"}`, ErrFormat, "decoder: malformed"},
		{"decoder", `{"type":"BPEDecoder","suffix":""}`, ErrUnsupported, "decoder.suffix"},
		{"post_processor", `{"type":"Surprise"}`, ErrUnsupported, `post_processor.type: "Surprise"`},
		{"post_processor", `{"type":"RobertaProcessing"}`, ErrFormat, "post_processor.cls: malformed"},
		{"post_processor", `{"type":"BertProcessing","sep":["a",97],"cls":["b",-1]}`, ErrFormat, "post_processor.cls: malformed tokenizer file: no token has the id -1"},
		{"post_processor", `{"type":"TemplateProcessing","single":[]}`, ErrFormat, "post_processor.single: malformed tokenizer file: no place for the text"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{}]}`, ErrFormat, "post_processor.single[0]"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"Sequence":{"id":"A"}},{"Sequence":{"id":"A"}}]}`, ErrUnsupported, "post_processor.single[1]"},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}]}`, ErrFormat, `"<s>" is not in special_tokens`},
		{"post_processor", `{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"id":"<s>","ids":[99999],"tokens":["<s>"]}}}`, ErrFormat, "post_processor.single[0]: malformed tokenizer file: no token has the id 99999"},
		{"added_tokens", token(`,"surprise":1`), ErrUnsupported, `field "surprise"`},
		{"added_tokens", token(""), ErrFormat, `id 5 is both "<x>" and`},
		{"added_tokens", strings.Replace(token(""), "<x>", "", 1), ErrFormat, `added_tokens[0]: ""`},
		{"added_tokens", strings.Replace(token(""), "<x>", "a", 1), ErrFormat, `"a" with id 5, in the vocabulary with id 97`},
		{"added_tokens", strings.Replace(strings.Replace(token(""), "<x>", "a", 1), "5", "97", 1), ErrUnsupported, `"a" is special and a byte`},
		{"added_tokens", strings.Replace(token(""), `"id":5`, `"id":123456789`, 1), ErrFormat, "id 123456789"},
	} {
		tok, err := parse(edit(t, file, c.path, c.value))
		if tok != nil || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s: got %v, want %v with %q", c.path, c.value, err, c.kind, c.want)
		}
	}
	data := readTestdata(t, file)
	for n := 0; n < len(data)-2; n += 97 {
		if _, err := parse(data[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut after %d bytes: got %v", n, err)
		}
	}
	if _, err := parse(append(data, '{')); !errors.Is(err, ErrFormat) {
		t.Errorf("two values: got %v", err)
	}
}

// TestAccepted: other spellings of what is understood.
func TestAccepted(t *testing.T) {
	const file = "trained-cl100k.json"
	want, err := parse(readTestdata(t, file))
	if err != nil {
		t.Fatal(err)
	}
	var pairs [][2]string
	for _, l := range want.mergeLines() {
		left, right, _ := strings.Cut(l, " ")
		pairs = append(pairs, [2]string{left, right})
	}
	merges, err := json.Marshal(pairs)
	if err != nil {
		t.Fatal(err)
	}
	regex, err := json.Marshal(want.pattern.regex[0])
	if err != nil {
		t.Fatal(err)
	}
	for path, value := range map[string]string{
		"model.merges":   string(merges),
		"truncation":     `{"direction":"Right","max_length":5,"strategy":"LongestFirst","stride":0}`,
		"post_processor": `{"type":"Sequence","processors":[{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true}]}`,
		"pre_tokenizer": `{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":` + string(regex) +
			`},"behavior":"Removed","invert":true},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`,
	} {
		got, err := parse(edit(t, file, path, value))
		if err != nil || got.Hash() != want.Hash() {
			t.Errorf("%s = %.80s: error %v, or another hash", path, value, err)
		}
	}
}

// TestSidecar: tokenizer_config.json says which tokens end and begin a text.
func TestSidecar(t *testing.T) {
	for _, c := range []struct{ config, bos, eos, err string }{
		{`{}`, "<|bos|>", "<|endoftext|>", ""},
		{`{"eos_token":"<|im_end|>","bos_token":"<|im_start|>","surprise":1}`, "<|bos|>", "<|im_end|>", ""},
		{`{"eos_token":null,"bos_token":{"content":"<|im_start|>","lstrip":false},"add_bos_token":true}`, "<|im_start|>", "<|endoftext|>", ""},
		{`{"eos_token":"<|none|>"}`, "", "", `eos_token "<|none|>" is not among`},
		{`{`, "", "", "malformed"},
	} {
		dir := t.TempDir()
		write := func(name string, data []byte) {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write("tokenizer.json", readTestdata(t, "trained-gpt2.json"))
		write("tokenizer_config.json", []byte(c.config))
		tok, err := Load(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "tokenizer_config.json") {
				t.Errorf("%s: got %v, want an error with %q", c.config, err, c.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		bos, _ := tok.BOS()
		eos, _ := tok.EOS()
		if got := tok.Decode([]int32{bos, eos}); got != c.bos+c.eos {
			t.Errorf("%s: got %q, want %q and %q", c.config, got, c.bos, c.eos)
		}
	}
}

func TestSaveKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := spec{preTokenizer: preTokenizerOf(patterns()[0]), decoder: json.RawMessage(byteLevelDecoder), tokens: []token{{text: "\xff", kind: literal}}}
	tok, err := build(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(path); err == nil || !strings.Contains(err.Error(), "not valid UTF-8") {
		t.Errorf("got %v, want an error about UTF-8", err)
	}
	if data, err := os.ReadFile(path); string(data) != "old" {
		t.Errorf("the old file is %q now, error %v", data, err)
	}
}

// TestByteNames: the printable spelling of all bytes is reversible, and as in
// GPT-2 where the public vocabulary is at hand.
func TestByteNames(t *testing.T) {
	for b := range 256 {
		text := string([]byte{byte(b)})
		if back, ok := bytesOf(nameOf(text)); !ok || back != text {
			t.Errorf("byte 0x%02X: spelled %q, read as %q", b, nameOf(text), back)
		}
	}
	for _, name := range []string{"日", "ń\u0144", " "} {
		if text, ok := bytesOf(name); ok && nameOf(text) != name {
			t.Errorf("%q is read as %q", name, text)
		}
	}
	var vocab map[string]int32
	if err := json.Unmarshal([]byte(readData(t, "tokenizers/gpt2/encoder.json")), &vocab); err != nil {
		t.Fatal(err)
	}
	tok := openTiktoken(t, "r50k_base") // r50k is the vocabulary of GPT-2
	for name, id := range vocab {
		text, ok := bytesOf(name)
		if string(tok.Bytes(id)) != text || !ok {
			t.Fatalf("id %d: encoder.json has %q (bytes %q), r50k %q", id, name, text, tok.Bytes(id))
		}
	}
}

// TestUnapplied: what a file asks for in vain is told.
func TestUnapplied(t *testing.T) {
	tok, err := Load(testkit.Data(t, "tokenizers/hf-json/all-minilm-l6-v2.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := tok.Unapplied()
	if len(got) != 2 || !strings.HasPrefix(got[0], "truncation: texts are not cut: {") || !strings.HasPrefix(got[1], "padding: ") {
		t.Errorf("got %q, want truncation and padding", got)
	}
}

func TestMissingBytes(t *testing.T) {
	tok, err := Load(testkit.Data(t, "tokenizers/smollm/tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(tok.Missing()); n != 21 {
		t.Errorf("SmolLM lacks %d bytes, want 21", n)
	}
	if got := tok.Decode(tok.Encode("a\x04b\xffc")); got != "abc" {
		t.Errorf("bytes without tokens: got %q, want them left out", got)
	}
	if n := len(mustBytes().Missing()); n != 0 {
		t.Errorf("a trained vocabulary lacks %d bytes", n)
	}
}

// ranksFile spells a file of ranks: the bytes, then tokens.
func ranksFile(tokens ...string) string {
	var b strings.Builder
	line := func(text string, id int) {
		fmt.Fprintf(&b, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(text)), id)
	}
	for i := range 256 {
		line(string([]byte{byte(i)}), i)
	}
	for i, t := range tokens {
		line(t, 256+i)
	}
	return b.String()
}

// fromRanks makes a tokenizer of a file of ranks.
func fromRanks(data []byte, pattern string, specials map[string]int32) (*Tokenizer, error) {
	s, err := tiktokenSpec(data, pattern, specials)
	if err != nil {
		return nil, err
	}
	return build(*s)
}

func TestTiktokenRules(t *testing.T) {
	// "abcd" has no merge that leads to it, so it is taken as a whole chunk only.
	tok, err := fromRanks([]byte(ranksFile("ab", "cd", "bc", "abcd", "xyz")), "gpt2", map[string]int32{"<|end|>": 300})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"ab": {256}, "abc": {256, 'c'}, "abcd": {259}, "abcde": {259, 'e'}, "xyz": {260}, "xyzz": {'x', 'y', 'z', 'z'},
	} {
		if d := cmp.Diff(want, tok.Encode(text)); d != "" {
			t.Errorf("%q (-want +got):\n%s", text, d)
		}
	}
	checkReload(t, tok)
	for _, c := range []struct {
		name, data string
		specials   map[string]int32
		want       string
	}{
		{"empty", "", nil, "line 1: malformed"},
		{"no rank", "YQ==\n", nil, "line 1: malformed"},
		{"not base64", "?? 1\n", nil, "illegal base64"},
		{"not a number", "YQ== x\n", nil, "rank"},
		{"negative", "YQ== -1\n", nil, "id -1"},
		{"huge", "YQ== 999999999999\n", nil, "id 999999999999"},
		{"an empty token", " 1\n", nil, `token ""`},
		{"bytes are missing", "YQ== 0\n", nil, "no token for byte 0x00"},
		{"an id twice", ranksFile() + "YWI= 5\n", nil, "line 257: id 5 is both"},
		{"a token twice", ranksFile("ab", "ab"), nil, `ids 256 and 257 are both "ab"`},
		{"special on an id", ranksFile("ab"), map[string]int32{"<|end|>": 256}, "special token: id 256 is both"},
		{"special far off", ranksFile("ab"), map[string]int32{"<|end|>": 1 << 30}, "special token"},
		{"a long token", ranksFile(strings.Repeat("a", 513)), nil, "a token of 513 bytes"},
	} {
		tok, err := fromRanks([]byte(c.data), "gpt2", c.specials)
		if tok != nil || !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
		}
	}
	if _, err := fromRanks([]byte(ranksFile()), "cl50k", nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("an unknown pattern: got %v", err)
	}
}

func TestEncodings(t *testing.T) {
	for _, e := range rankEncodings() {
		ids := map[int32]string{}
		for name, id := range e.specials {
			if ids[id] != "" || id < 50256 {
				t.Errorf("%s: %q and %q have id %d", e.name, ids[id], name, id)
			}
			ids[id] = name
		}
	}
	for _, c := range []struct {
		name  string
		ranks int
		want  string
	}{{"cl100k_base.tiktoken", 7, "cl100k_base"}, {"tokenizer.model", 128000, "llama3"}, {"x", 199998, "o200k_base"}, {"o200k_harmony", 0, "o200k_harmony"}} {
		if e, err := encodingOf(c.name, c.ranks); err != nil || e.name != c.want {
			t.Errorf("%s: got %s, %v", c.name, e.name, err)
		}
	}
	if _, err := encodingOf("x", 5); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "llama3 (128000)") {
		t.Errorf("5 ranks: %v", err)
	}
}

func FuzzTiktoken(f *testing.F) {
	f.Add([]byte(ranksFile("ab", "abc")), "cl100k")
	f.Add([]byte("YQ== 0\nYg== 1\n"), "gpt2")
	f.Fuzz(func(t *testing.T, data []byte, pattern string) {
		tok, err := fromRanks(data, pattern, map[string]int32{"<|end|>": 400})
		if err != nil {
			return
		}
		for _, text := range []string{"abc abcab", "\x00\xff b", " a  b"} {
			if got := tok.Decode(tok.Encode(text)); got != text {
				t.Fatalf("%q decoded to %q", text, got)
			}
		}
		checkReload(t, tok)
	})
}

// FuzzJSON: any file is refused or works; no text of users leads to a special
// token, but for what is unknown, and what is saved is read as the same.
func FuzzJSON(f *testing.F) {
	for _, name := range []string{"trained-gpt2.json", "trained-spm.json", "trained-nfc.json"} {
		f.Add(edit(f, name, "version", `"1.0"`))
	}
	f.Add([]byte(`{"version":"1.0","added_tokens":[{"id":2,"content":"<x>","special":true}],"pre_tokenizer":{"type":"ByteLevel"},` +
		`"decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":3,"日":4},"merges":["a b"]}}`))
	f.Add([]byte(`{"added_tokens":[{"id":100,"content":"0","special":true}],"pre_tokenizer":{"type":"ByteLevel"},"model":{"merges":[]}}`)) // no file can say it
	_, cases := components(f)
	for _, c := range cases {
		f.Add([]byte(c.File))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parse(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("an error of neither kind: %v", err)
			}
			return
		}
		for _, text := range []string{"ab the <x> 日本", "\x00\xff b", " a  b\n"} {
			ids, spans := tok.EncodeOffsets(text)
			for i, id := range ids {
				if tok.IsSpecial(id) && !tok.isUnknown(id) {
					t.Fatalf("%q led to special token %d", text, id)
				}
				if s := spans[i]; s.Start < 0 || s.Start > s.End || s.End > len(text) {
					t.Fatalf("%q: token %d has the offsets %v", text, i, s)
				}
			}
			if !slices.Equal(ids, tok.Encode(text)) {
				t.Fatalf("%q: other ids with offsets", text)
			}
			tok.Decode(tok.EncodeSpecial(text))
			tok.EncodeWith(text, Options{Dropout: 0.3, Sample: true, NBest: 3, Seed: 1})
		}
		checkReload(t, tok)
	})
}
