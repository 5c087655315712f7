package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
)

// stepsJSON is testdata/tokenizers/steps.json: what the tokenizers library makes
// of each step around a model, as a hash. See README.md beside it.
type stepsJSON struct {
	Version string     `json:"version"`
	Texts   int        `json:"texts"`
	Tokens  []string   `json:"tokens"`
	Steps   []stepJSON `json:"steps"`
}

type stepJSON struct {
	section, hash string
	data          json.RawMessage
}

func (s *stepJSON) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&s.section, &s.data, &s.hash})
}

// TestSteps runs every kind of normalizer, pre-tokenizer and decoder over nearly
// every character of Unicode.
func TestSteps(t *testing.T) {
	var want stepsJSON
	readFixture(t, "steps.json", &want)
	texts, lists := stepTexts(t), tokenLists(want.Tokens)
	if len(texts) != want.Texts || len(want.Steps) < 100 {
		t.Fatalf("%d texts, want %d; %d steps", len(texts), want.Texts, len(want.Steps))
	}
	for _, step := range want.Steps {
		h := sha256.New()
		num := func(n int) { h.Write(binary.LittleEndian.AppendUint32(nil, uint32(n))) }
		add := func(s string) { num(len(s)); io.WriteString(h, s) }
		var err error
		switch at := (node{step.section, step.data}); step.section {
		case "normalizer":
			err = eachNormalized(at, texts, add)
		case "pre_tokenizer":
			err = eachCut(at, texts, num, add)
		default:
			err = eachDecoded(at, lists, add)
		}
		if err != nil {
			t.Errorf("%s: %v", step.data, err)
		} else if got := hex.EncodeToString(h.Sum(nil)[:8]); got != step.hash {
			t.Errorf("%s %s: not what tokenizers %s makes of it", step.section, step.data, want.Version)
		}
	}
}

func eachNormalized(at node, texts []string, add func(string)) error {
	list, err := readNormalizers(at)
	for _, text := range texts {
		s := strand{text: text}
		for _, f := range list {
			s = f(s)
		}
		add(s.text)
	}
	return err
}

func eachCut(at node, texts []string, num func(int), add func(string)) error {
	list, err := readPreTokenizers(at, false)
	p := pipeline{preTokenizers: list}
	for _, text := range texts {
		var pieces []strand
		for _, s := range p.cut(strand{text: text}) {
			if s.text != "" {
				pieces = append(pieces, s)
			}
		}
		num(len(pieces))
		for _, s := range pieces {
			add(s.text)
		}
	}
	return err
}

func eachDecoded(at node, lists [][]string, add func(string)) error {
	d, err := readDecoding(at, &overrun{})
	if err != nil {
		return err
	}
	for _, list := range lists {
		var all collected
		chain := d.chain(&all)
		chain.flush()
		all.Reset()
		for _, token := range list {
			chain.push(token)
		}
		chain.flush()
		add(lossy(all.String()))
	}
	return nil
}

// collected is the end of a decoder.
type collected struct{ strings.Builder }

func (c *collected) push(text string) { c.WriteString(text) }
func (c *collected) pause()           {}
func (c *collected) flush()           {}
func (c *collected) resume()          {}

func readFixture(t *testing.T, name string, v any) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/tokenizers/" + name)
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// stepMix is splitmix64, as in steps.py.
type stepMix uint64

func (s *stepMix) below(n int) int {
	*s += 0x9E3779B97F4A7C15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return int((z ^ z>>31) % uint64(n))
}

// stepTexts makes the texts of steps.py: some by hand, nearly every character in
// the middle of a text, and random ones.
func stepTexts(t *testing.T) []string {
	t.Helper()
	var ref struct {
		Pool [][2]rune `json:"pool"`
	}
	readFixture(t, "expected.json", &ref)
	out := []string{"", " ", "  ", "a", " a", "a ", " a  b ", "\n", "a\tb\r\nc", "Hello, World! It's 12,345.67 -- don't", "HELLO world_foo", "a--b---c", "-a-", "--",
		"▁a▁▁b ", "日本語 テスト 한국어", "e\u0301é İI\u0307ıß ﬁ Å \u212b", "\u1100\u1161\u11a8", "x\x00y\ufffdz\u200b\ufeff", "1a2b 34 ½ ²", "ａｂｃ１２ ｶﾞ"}
	for _, e := range ref.Pool {
		step := rune(16)
		if e[1] < 0x3000 || e[1] >= 0x10000 && e[0] < 0x1f800 {
			step = 1
		}
		for r := e[0]; r <= e[1]; r += step {
			out = append(out, "a"+string(r)+"\u0345B")
		}
	}
	r := stepMix(7)
	from := func(e [2]rune) rune { return e[0] + rune(r.below(int(e[1]-e[0]+1))) }
	for range 4000 {
		script := ref.Pool[r.below(len(ref.Pool))]
		var b strings.Builder
		for range 1 + r.below(12) {
			switch r.below(4) {
			case 0:
				b.WriteByte(byte(0x20 + r.below(0x5f)))
			case 1:
				b.WriteRune(from(ref.Pool[r.below(len(ref.Pool))]))
			default:
				b.WriteRune(from(script))
			}
		}
		out = append(out, b.String())
	}
	return out
}

// tokenLists makes the lists of steps.py.
func tokenLists(tokens []string) [][]string {
	var out [][]string
	add := func(list []string) {
		var flat []string
		for _, token := range list {
			if strings.Contains(token, "<0x") { // the bytes of one character
				flat = append(flat, strings.Split(token, " ")...)
			} else {
				flat = append(flat, token)
			}
		}
		out = append(out, flat)
	}
	add(nil)
	for _, name := range tokens {
		add([]string{name})
	}
	r := stepMix(11)
	for range 4000 {
		var list []string
		for range 1 + r.below(10) {
			list = append(list, tokens[r.below(len(tokens))])
		}
		add(list)
	}
	return out
}
