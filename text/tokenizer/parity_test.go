package tokenizer_test

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"weft/internal/testkit"
	"weft/text/tokenizer"
)

// reference is testdata/tokenizers/expected.json: what tiktoken, sentencepiece
// and the tokenizers library make of our texts. See README.md beside it.
type reference struct {
	Versions   map[string]string     `json:"versions"`
	Pool       [][2]rune             `json:"pool"`  // ranges of code points for random text
	Texts      map[string]textSum    `json:"texts"` // what the texts themselves must be
	Tokenizers map[string]wantedJSON `json:"tokenizers"`
}

type wantedJSON struct {
	Names   []string          `json:"names"`   // special tokens to try
	Pattern string            `json:"pattern"` // tiktoken's
	Sets    map[string]result `json:"sets"`
}

// textSum is a number of texts and the beginning of their hash.
type textSum struct {
	Count int
	Hash  string
}

func (s *textSum) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&s.Count, &s.Hash})
}

// result is what encoding and decoding a set of texts gives.
type result struct {
	IDs  int    // how many
	Hash string // of them
	Same int    // texts that decode to themselves
	Back string // hash of the decoded texts, where not all do
}

func (r *result) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&r.IDs, &r.Hash, &r.Same, &r.Back})
}

// TestParity encodes and decodes all texts with every tokenizer.
func TestParity(t *testing.T) {
	ref := readReference(t)
	sets := map[string][]string{}
	readUDHR(t, sets)
	readUD(t, sets)
	for _, part := range []string{"valid", "test"} {
		sets["wikitext2/"+part] = []string{readText(t, testkit.Data(t, "text/wikitext2_"+part+".txt"))}
	}
	readCode(t, sets)
	randomTexts(ref.Pool, sets)
	names := sample(t, ref, sets)
	for _, name := range slices.Sorted(maps.Keys(ref.Tokenizers)) {
		t.Run(name, func(t *testing.T) {
			want := ref.Tokenizers[name]
			tok := open(t, name)
			bad := 0
			for _, set := range names {
				if !check(t, tok, set, sets[set], want.Sets[set], tok.Encode) {
					bad++
				}
				if bad == 8 {
					t.Fatal("and so on")
				}
			}
			if len(want.Names) > 0 {
				texts := specialTexts(want.Names)
				check(t, tok, "special", texts, want.Sets["special"], tok.EncodeSpecial)
				check(t, tok, "ordinary", texts, want.Sets["ordinary"], tok.Encode)
			}
		})
	}
}

// open reads a tokenizer by the name that make.py gives it.
func open(t testing.TB, name string) *tokenizer.Tokenizer {
	t.Helper()
	file, ok := map[string]string{
		"r50k_base": "tiktoken/r50k_base.tiktoken", "p50k_base": "tiktoken/p50k_base.tiktoken",
		"cl100k_base": "tiktoken/cl100k_base.tiktoken", "o200k_base": "tiktoken/o200k_base.tiktoken",
		"llama3": "llama3/tokenizer.model", "qwen1": "qwen1/qwen.tiktoken", "kimi-k2": "hf-json/kimi-k2-instruct/tiktoken.model",
		"smollm": "smollm/tokenizer.json", "cohere": "hf-json/cohere-tokenizer.json",
		"all-minilm-l6-v2": "hf-json/all-minilm-l6-v2.json", "bert-base-uncased": "hf-json/bert-base-uncased.json",
		"gpt2": "gpt2/encoder.json", "bert-vocab": "bert/bert-base-uncased-vocab.txt",
		"llama2": "llama2/tokenizer.model", "mistral-v1": "mistral/tokenizer.model.v1",
		"mistral-v3":       "mistral/mistral_instruct_tokenizer_240323.model.v3",
		"sentencepiece-en": "sentencepiece/test_model.model", "sentencepiece-ja": "sentencepiece/test_ja_model.model",
	}[name]
	if !ok {
		t.Fatalf("no file is known for %s", name)
	}
	tok, err := tokenizer.Open(testkit.Data(t, "tokenizers/"+file))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// check compares one set of texts.
func check(t *testing.T, tok *tokenizer.Tokenizer, set string, texts []string, want result, encode func(string) []int32) bool {
	t.Helper()
	ids, back := sha256.New(), sha256.New()
	var got result
	var buf []byte
	for _, text := range texts {
		list := encode(text)
		got.IDs += len(list)
		buf = binary.LittleEndian.AppendUint32(buf[:0], uint32(len(list)))
		for _, id := range list {
			buf = binary.LittleEndian.AppendUint32(buf, uint32(id))
		}
		ids.Write(buf)
		decoded := tok.Decode(list)
		if decoded == text {
			got.Same++
		}
		back.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(decoded))))
		io.WriteString(back, decoded)
	}
	got.Hash = hex.EncodeToString(ids.Sum(nil))[:12]
	if got.Same < len(texts) {
		got.Back = hex.EncodeToString(back.Sum(nil))[:12]
	}
	if got != want {
		t.Errorf("%s: %d texts: got %+v, want %+v", set, len(texts), got, want)
	}
	return got == want
}

// sample holds the texts against the ones that the reference saw, and chooses
// among them with -short.
func sample(t *testing.T, ref reference, sets map[string][]string) []string {
	t.Helper()
	names := slices.Sorted(maps.Keys(ref.Texts))
	if len(sets) < len(names) {
		t.Errorf("%d sets of texts, want %d", len(sets), len(names))
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		h := sha256.New()
		for _, text := range sets[name] {
			h.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(text))))
			io.WriteString(h, text)
		}
		got := textSum{len(sets[name]), hex.EncodeToString(h.Sum(nil))[:16]}
		if got == ref.Texts[name] {
			return false
		}
		if !strings.HasPrefix(name, "code/") {
			t.Errorf("%s: the texts are not those that the reference saw: got %v, want %v", name, got, ref.Texts[name])
		} else {
			t.Logf("%s left out: the tree of another Go than %s", name, ref.Versions["go"])
		}
		return true
	})
	if !testing.Short() {
		return names
	}
	var some []string
	for i, name := range names {
		if !strings.HasPrefix(name, "wikitext2/") && name != "code/go" && i%20 == 0 {
			some = append(some, name)
		}
	}
	return some
}

func readReference(t testing.TB) (ref reference) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tokenizers/expected.json")
	if err == nil {
		err = json.Unmarshal(data, &ref)
	}
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func readText(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// readUDHR reads one text per language: what stands in <para>, without tags,
// joined by newline.
func readUDHR(t testing.TB, sets map[string][]string) {
	t.Helper()
	file, para, tag := regexp.MustCompile(`/udhr_(\w+)\.xml$`), regexp.MustCompile(`(?s)<para>(.*?)</para>`), regexp.MustCompile(`(?s)<.*?>`)
	for path, text := range testkit.Archive(t, "text/udhr_xml.tar.gz") {
		name := file.FindStringSubmatch(path)
		if name == nil {
			continue
		}
		var list []string
		for _, p := range para.FindAllStringSubmatch(text, -1) {
			list = append(list, p[1])
		}
		sets["udhr/"+name[1]] = []string{html.UnescapeString(tag.ReplaceAllString(strings.Join(list, "\n"), ""))}
	}
}

// readUD reads the sentences of the treebanks.
func readUD(t *testing.T, sets map[string][]string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testkit.Data(t, "text/ud"), "*.gz"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		z, err := gzip.NewReader(strings.NewReader(readText(t, path)))
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(strings.TrimSuffix(filepath.Base(path), ".conllu.gz"), "-")
		name := "ud/" + parts[0] + "-" + parts[len(parts)-1]
		lines := bufio.NewScanner(z)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "# text = "); ok {
				sets[name] = append(sets[name], text)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// readCode reads Go's own tree: by extension, the files in order of path until
// the budget in bytes is spent.
func readCode(t *testing.T, sets map[string][]string) {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(out)), "src")
	budget := map[string]int{".go": 1 << 20, ".s": 192 << 10, ".c": 192 << 10, ".h": 64 << 10, ".js": 96 << 10, ".sh": 96 << 10, ".pl": 96 << 10,
		".html": 96 << 10, ".css": 64 << 10, ".json": 96 << 10, ".yaml": 96 << 10, ".md": 96 << 10, ".py": 64 << 10}
	var paths []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && budget[filepath.Ext(path)] > 0 {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	for _, path := range paths {
		ext := filepath.Ext(path)
		info, err := os.Stat(path)
		if err != nil || info.Size() == 0 || info.Size() > int64(min(budget[ext], 48<<10)) {
			continue
		}
		text := readText(t, path)
		if !utf8.ValidString(text) {
			continue
		}
		budget[ext] -= len(text)
		sets["code/"+ext[1:]] = append(sets["code/"+ext[1:]], text)
	}
}

// splitMix is the generator of make.py (Steele, Lea and Flood 2014).
type splitMix uint64

func (s *splitMix) below(n int) int {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

// randomTexts makes ten sets of 10,000 texts: characters of one range of the
// pool, mixed with ASCII, with fragments that patterns care about, and with
// characters from anywhere.
func randomTexts(pool [][2]rune, sets map[string][]string) {
	fragments := []string{"'s", "'T", "'re", "'VE", "'m", "'lL", "'d", "'\u017f", " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "12", "3456",
		"<s>", "▁", " the", "ing", "A", "I\u0307", "e\u0301", "fi", "\u200d", "\ufe0f", "\u3000", "\u00a0", "...", "://", "#!"}
	r := splitMix(20240607)
	from := func(at [2]rune) rune { return at[0] + rune(r.below(int(at[1]-at[0]+1))) }
	for part := range 10 {
		texts := make([]string, 10_000)
		for i := range texts {
			script := pool[r.below(len(pool))]
			var b strings.Builder
			for range 1 + r.below(24) {
				switch k := r.below(8); {
				case k < 2:
					b.WriteByte(byte(0x20 + r.below(0x5f)))
				case k == 2:
					b.WriteString(fragments[r.below(len(fragments))])
				case k < 7:
					b.WriteRune(from(script))
				default:
					b.WriteRune(from(pool[r.below(len(pool))]))
				}
			}
			texts[i] = b.String()
		}
		sets[fmt.Sprintf("random/%d", part)] = texts
	}
}

// specialTexts spells special tokens in the middle of things.
func specialTexts(names []string) (out []string) {
	for _, s := range names {
		out = append(out, s, "a"+s+"b", " "+s+" x", s+s, s+"\n\n "+s, s[:len(s)-1], strings.ToLower(s), s[1:]+"é"+s)
	}
	return out
}
