package local

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/infer/engine"
	"weft/infer/sample"
	"weft/model"
	"weft/text/tokenizer"
)

// fakeTok has a token per byte (ids 0..255), then words, then specials. With
// prefix, it behaves like SentencePiece: a text begins with a space that
// Decode takes away.
type fakeTok struct {
	words    []string
	specials []string // the first is BOS, the second EOS
	prefix   bool
	err      error // of Err
}

func (f *fakeTok) Err() error { return f.err }

func (f *fakeTok) Encode(text string) []int32 {
	if f.prefix && text != "" {
		text = " " + text
	}
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids
}

// EncodeSpecial finds specials in trusted text.
func (f *fakeTok) EncodeSpecial(text string) []int32 {
	var ids []int32
	for text != "" {
		i := slices.IndexFunc(f.specials, func(s string) bool { return strings.HasPrefix(text, s) })
		if i < 0 {
			ids, text = append(ids, int32(text[0])), text[1:]
			continue
		}
		ids, text = append(ids, f.special(i)), text[len(f.specials[i]):]
	}
	return ids
}

func (f *fakeTok) special(i int) int32 { return int32(256 + len(f.words) + i) }

func (f *fakeTok) Special(name string) (int32, bool) {
	i := slices.Index(f.specials, name)
	return f.special(i), i >= 0
}

func (f *fakeTok) Bytes(id int32) []byte {
	switch w := int(id) - 256; {
	case w < 0:
		return []byte{byte(id)}
	case w < len(f.words):
		return []byte(f.words[w])
	default:
		return []byte(f.specials[w-len(f.words)])
	}
}

func (f *fakeTok) Decode(ids []int32) string {
	var s string
	for _, id := range ids {
		s += string(f.Bytes(id))
	}
	if f.prefix {
		s = strings.TrimPrefix(s, " ")
	}
	return s
}

func (f *fakeTok) IsSpecial(id int32) bool { return int(id) >= 256+len(f.words) }

func (f *fakeTok) BOS() (int32, bool) { return f.special(0), len(f.specials) > 0 }
func (f *fakeTok) EOS() (int32, bool) { return f.special(1), len(f.specials) > 1 }

func (f *fakeTok) vocab() int { return 256 + len(f.words) + len(f.specials) }

// fakeEngine says a fixed script of ids.
type fakeEngine struct {
	script []int32
	cached int // prompt tokens it says it had
	seen   engine.Request
	ended  bool // the range was left or finished
}

func (f *fakeEngine) Generate(ctx context.Context, r engine.Request) iter.Seq2[engine.Token, error] {
	f.seen = r
	return func(yield func(engine.Token, error) bool) {
		defer func() { f.ended = true }()
		usage := &chat.Usage{PromptTokens: len(r.Prompt), CachedTokens: f.cached}
		if r.PromptLogprobs {
			for i, id := range r.Prompt {
				t := engine.Token{ID: id, Logprob: -2, Prompt: true}
				if r.MaxTokens < 0 && i == len(r.Prompt)-1 {
					t.Finish, t.Usage = engine.Length, usage
				}
				if !yield(t, nil) {
					return
				}
			}
		}
		for i, id := range f.script {
			t := engine.Token{ID: id, Logprob: -0.5, Cached: f.cached, Top: alts(r.Logprobs)}
			usage.CompletionTokens = i + 1
			if slices.Contains(r.Stop, id) {
				t.Finish, t.Usage = engine.Stop, usage
			} else if i == len(f.script)-1 || i == r.MaxTokens-1 {
				t.Finish, t.Usage = engine.Length, usage
			}
			if r.MaxTokens < 0 || !yield(t, nil) || t.Finish != "" {
				return
			}
		}
	}
}

func alts(n int) []sample.Alt {
	var out []sample.Alt
	for i := range n {
		out = append(out, sample.Alt{ID: int32('a' + i), Logprob: -1})
	}
	return out
}

// said is a whole answer.
type said struct {
	text      string
	reasoning string
	logprobs  []chat.TokenLogprob
	calls     []chat.ToolCall
	finish    chat.FinishReason
	usage     chat.Usage
	deltas    int
}

func say(t *testing.T, m *Model, r chat.Request) said {
	t.Helper()
	var s said
	for d, err := range m.Generate(t.Context(), r) {
		if err != nil {
			t.Fatal(err)
		}
		if s.finish != "" {
			t.Fatalf("a delta came after the last one: %+v", d)
		}
		if strings.ToValidUTF8(d.Text, "") != d.Text {
			t.Fatalf("delta %q is not valid UTF-8", d.Text)
		}
		s.deltas++
		if strings.ToValidUTF8(d.Reasoning, "") != d.Reasoning {
			t.Fatalf("reasoning %q is not valid UTF-8", d.Reasoning)
		}
		s.text += d.Text
		s.reasoning += d.Reasoning
		s.logprobs = append(s.logprobs, d.Logprobs...)
		s.calls = append(s.calls, d.ToolCalls...)
		s.finish = d.Finish
		if d.Finish != "" {
			s.usage = *d.Usage
		}
	}
	if s.finish == "" {
		t.Fatal("no delta had a finish reason")
	}
	return s
}

func fake(tok *fakeTok, script ...int32) (*Model, *fakeEngine) {
	e := &fakeEngine{script: script}
	return New(tok, nil, e, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1}), e
}

// What the real parts must go on being.
var (
	_ Tokenizer  = (*tokenizer.Tokenizer)(nil)
	_ Tokenizer  = (*fakeTok)(nil)
	_ Engine     = (*engine.Engine)(nil)
	_ chat.Model = (*Model)(nil)
)
