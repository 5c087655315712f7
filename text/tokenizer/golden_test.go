package tokenizer

import (
	"encoding/binary"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/internal/testkit"
)

var update = flag.Bool("update", false, "write testdata/trained-*.json anew; then run testdata/make_golden.py")

func readTestdata(tb testing.TB, name string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func goldenTexts(tb testing.TB) []string {
	tb.Helper()
	var list []string
	if err := json.Unmarshal(readTestdata(tb, "texts.json"), &list); err != nil {
		tb.Fatal(err)
	}
	return list
}

// fixtures makes a small vocabulary of each kind.
func fixtures(tb testing.TB) map[string]*Tokenizer {
	tb.Helper()
	text := string(readTestdata(tb, "train.txt"))
	all := map[string]*Tokenizer{}
	for _, p := range patterns() {
		all[p.name] = mustTrain(tb, TrainOptions{VocabSize: 420, Pattern: p.name,
			Special: []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|bos|>", "<|end|>"}, Reserved: 2}, text)
	}
	all["spm"] = rescored(tb, all["cl100k"])
	nfc := all["gpt2"].spec
	nfc.normalizer = json.RawMessage(`{"type":"NFC"}`)
	nfc.postProcessor = nfc.templateOf(nfc.added[3].id, nfc.added[4].id)
	nfc.added = slices.Clone(nfc.added)
	nfc.added[0].lstrip, nfc.added[0].rstrip = true, true
	nfc.added[1].special, nfc.added[1].normalized = false, true
	t, err := build(nfc)
	if err != nil {
		tb.Fatal(err)
	}
	all["nfc"] = t
	return all
}

// rescored writes the whole characters and merges of a vocabulary as a llama2.c
// file, as SentencePiece would have learned it, and reads that.
func rescored(tb testing.TB, from *Tokenizer) *Tokenizer {
	tb.Helper()
	data, n := llama2CFile(pieces(from))
	tok, err := FromLlama2C(strings.NewReader(data), n)
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// pieces lists the merged tokens of a vocabulary that are whole characters, best
// first, then the characters they are made of.
func pieces(from *Tokenizer) []string {
	var list, chars []string
	for _, g := range from.merges {
		text := from.tokens[g.into].text
		if strings.ToValidUTF8(text, "") == text && len([]rune(text)) > 1 {
			list = append(list, text)
			for _, r := range text {
				if !slices.Contains(chars, string(r)) {
					chars = append(chars, string(r))
				}
			}
		}
	}
	if !slices.Contains(chars, " ") {
		chars = append(chars, " ")
	}
	return append(list, chars...)
}

// llama2CFile spells a tokenizer.bin whose pieces score 0, -1, -2, …
func llama2CFile(pieces []string) (data string, vocab int) {
	names := []string{"<unk>", "\n<s>\n", "\n</s>\n"}
	for b := range 256 {
		names = append(names, fallbackName(byte(b)))
	}
	names = append(names, pieces...)
	out := binary.LittleEndian.AppendUint32(nil, 64)
	for i, n := range names {
		score := float32(0)
		if i >= firstPiece {
			score = float32(firstPiece - i)
		}
		out, _ = binary.Append(out, binary.LittleEndian, score)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(n)))
		out = append(out, n...)
	}
	return string(out), len(names)
}

// TestFixtures: training and writing give the committed files byte for byte, and
// those give themselves when they are read and written.
func TestFixtures(t *testing.T) {
	for name, tok := range fixtures(t) {
		file := "trained-" + name + ".json"
		data, err := tok.marshal()
		if err != nil {
			t.Fatal(err)
		}
		if *update {
			if err := tok.Save(filepath.Join("testdata", file)); err != nil {
				t.Fatal(err)
			}
		}
		want := readTestdata(t, file)
		if string(data) != string(want) {
			t.Errorf("%s: what is trained now differs from the committed file", file)
		}
		back, err := parse(want)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again, err := back.marshal(); err != nil || string(again) != string(want) || back.Hash() != tok.Hash() {
			t.Errorf("%s: reading and writing changes it (error %v)", file, err)
		}
	}
}

type goldenIDs struct{ User, Trusted [][]int32 }

func golden(tb testing.TB) map[string]goldenIDs {
	tb.Helper()
	var g map[string]goldenIDs
	if err := json.Unmarshal(readTestdata(tb, "golden.json"), &g); err != nil {
		tb.Fatal(err)
	}
	return g
}

// checkGolden compares with the ids of the reference implementation, and decodes
// them.
func checkGolden(t *testing.T, tok *Tokenizer, want goldenIDs, exact bool) {
	t.Helper()
	for i, text := range goldenTexts(t) {
		user, trusted := tok.Encode(text), tok.EncodeSpecial(text)
		if d := cmp.Diff(want.User[i], user); d != "" && len(want.User[i])+len(user) > 0 {
			t.Errorf("text of users %q (-want +got):\n%s", text, d)
		}
		if d := cmp.Diff(want.Trusted[i], trusted); d != "" && len(want.Trusted[i])+len(trusted) > 0 {
			t.Errorf("trusted text %q (-want +got):\n%s", text, d)
		}
		if got := tok.Decode(user); exact && got != text {
			t.Errorf("%q: decoded to %q", text, got)
		}
	}
}

// TestHuggingFaceReadsOurs: the tokenizers library gives the files that this
// package writes the same ids.
func TestHuggingFaceReadsOurs(t *testing.T) {
	g := golden(t)
	for name := range fixtures(t) {
		t.Run(name, func(t *testing.T) {
			file := "trained-" + name + ".json"
			tok, err := Load(filepath.Join("testdata", file))
			if err != nil {
				t.Fatal(err)
			}
			if len(g[file].User) == 0 {
				t.Fatalf("golden.json knows nothing of %s", file)
			}
			checkGolden(t, tok, g[file], name != "nfc")
		})
	}
}

// TestPublicVocabularies compares with the tokenizers library and with tiktoken
// on their own files.
func TestPublicVocabularies(t *testing.T) {
	g := golden(t)
	for name, file := range map[string]string{"smollm": "smollm/tokenizer.json", "cohere": "hf-json/cohere-tokenizer.json"} {
		t.Run(name, func(t *testing.T) {
			tok, err := Load(testkit.Data(t, "tokenizers/"+file))
			if err != nil {
				t.Fatal(err)
			}
			checkGolden(t, tok, g[name], false)
			checkSaved(t, tok)
		})
	}
	for _, name := range tiktokens() {
		t.Run(name, func(t *testing.T) {
			tok := openTiktoken(t, name)
			checkGolden(t, tok, g[name], true)
			if name == "p50k_base" || name == "cl100k_base" { // both have ids without tokens
				checkSaved(t, tok)
			}
		})
	}
}

// tiktokens names OpenAI's encodings.
func tiktokens() []string { return []string{"r50k_base", "p50k_base", "cl100k_base", "o200k_base"} }

func openTiktoken(tb testing.TB, name string) *Tokenizer {
	tb.Helper()
	tok, err := Open(testkit.Data(tb, "tokenizers/tiktoken/"+name+".tiktoken"))
	if err != nil {
		tb.Fatal(err)
	}
	return tok
}

// checkSaved: a saved tokenizer is the same when it is loaded.
func checkSaved(t *testing.T, tok *Tokenizer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokenizer.json")
	if err := tok.Save(path); err != nil {
		t.Fatal(err)
	}
	back, err := Load(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if back.Hash() != tok.Hash() {
		t.Error("saving and loading changes the hash")
	}
	for _, text := range goldenTexts(t) {
		if !slices.Equal(tok.EncodeSpecial(text), back.EncodeSpecial(text)) {
			t.Errorf("saving and loading changes the ids of %q", text)
		}
	}
}
