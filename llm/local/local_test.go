package local

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"weft/chat"
	"weft/model"
	"weft/text/template"
)

func textOf(lps []chat.TokenLogprob) string {
	var s string
	for _, lp := range lps {
		s += string(lp.Bytes)
	}
	return s
}

// splits yields every way to cut s into tokens of 1 to 3 bytes, up to a limit.
func splits(s string, yield func([]string) bool) bool {
	if s == "" {
		return yield(nil)
	}
	for n := 1; n <= min(3, len(s)); n++ {
		if !splits(s[n:], func(rest []string) bool { return yield(append([]string{s[:n]}, rest...)) }) {
			return false
		}
	}
	return true
}

func TestStopAtEverySplit(t *testing.T) {
	tests := []struct {
		all   string
		stops []string
		want  string
		stop  bool
	}{
		{"one END two", []string{"END"}, "one ", true},
		{"one EN two", []string{"END"}, "one EN two", false},
		{"one EN", []string{"END"}, "one EN", false}, // held back, then flushed
		{"EEND", []string{"END"}, "E", true},
		{"ababac", []string{"abac"}, "ab", true}, // a false start inside
		{"xyz", []string{"z", "yz"}, "x", true},  // ends together: the longer
		{"abcd", []string{"abcd", "bc"}, "a", true},
		{"ü—ö", []string{"—"}, "ü", true},
		{"ü\xe2\x80\x93ö", []string{"—"}, "ü–ö", false}, // shares two bytes with the stop
		{"a\n\nb", []string{"\n\n"}, "a", true},
		{"STOP", []string{"STOP"}, "", true},
		{"no stops", nil, "no stops", false},
	}
	for _, test := range tests {
		splits(test.all, func(parts []string) bool {
			tok := &fakeTok{words: parts}
			var script []int32
			for i := range parts {
				script = append(script, int32(256+i))
			}
			m, e := fake(tok, script...)
			got := say(t, m, chat.Request{Prompt: "p", Stop: test.stops, Logprobs: 0})
			finish := chat.FinishLength
			if test.stop {
				finish = chat.FinishStop
			}
			if got.text != test.want || got.finish != finish {
				t.Errorf("%q as %q: got %q, %s, want %q, %s", test.all, parts, got.text, got.finish, test.want, finish)
			}
			if lp := textOf(got.logprobs); !strings.HasPrefix(lp, test.want) {
				t.Errorf("%q as %q: log-probabilities cover %q, want %q", test.all, parts, lp, test.want)
			}
			if !e.ended {
				t.Errorf("%q: the engine's range was not left", test.all)
			}
			return !t.Failed()
		})
	}
}

// TestStopMatchesOracle compares with searching the whole text at once.
func TestStopMatchesOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		letters := rapid.StringOfN(rapid.SampledFrom([]rune("ab—é")), 0, 20, -1)
		all := letters.Draw(t, "text")
		stops := rapid.SliceOfN(rapid.StringOfN(rapid.SampledFrom([]rune("ab—é")), 1, 4, -1), 0, 3).Draw(t, "stops")
		w := writer{stops: stops}
		w.begin()
		var got string
		stopped := false
		for rest := all; rest != "" && !stopped; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			w.add([]byte(rest[:n]), nil)
			rest = rest[n:]
			var text string
			text, _, stopped = w.take()
			if !utf8.ValidString(text) {
				t.Fatalf("sent %q", text)
			}
			got += text
		}
		if !stopped {
			text, _ := w.flush()
			got += text
		}
		want := all
		for end := 0; end <= len(all) && want == all; end++ {
			for _, s := range stops {
				if cut, ok := strings.CutSuffix(all[:end], s); ok && (want == all || len(cut) < len(want)) {
					want = cut
				}
			}
		}
		if got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	})
}

func TestCharactersComeWhole(t *testing.T) {
	const text = "aé世🙂"
	var script []int32
	for _, b := range []byte(text) {
		script = append(script, int32(b))
	}
	m, _ := fake(&fakeTok{}, script...)
	got := say(t, m, chat.Request{Prompt: "p", Logprobs: 2})
	if got.text != text || got.deltas != 4 {
		t.Errorf("got %q in %d deltas, want %q in 4", got.text, got.deltas, text)
	}
	if textOf(got.logprobs) != text || len(got.logprobs) != len(text) || len(got.logprobs[0].Top) != 2 {
		t.Errorf("got %d log-probabilities for %q, want one per byte with 2 alternatives", len(got.logprobs), textOf(got.logprobs))
	}
	// Cut off in the middle of a character, and bytes that are none.
	m, _ = fake(&fakeTok{}, 'a', 0xe4, 0xb8)
	if got := say(t, m, chat.Request{Prompt: "p", Logprobs: -1}); got.text != "a\ufffd\ufffd" {
		t.Errorf("got %q, want the broken bytes as U+FFFD", got.text)
	}
	m, _ = fake(&fakeTok{}, 0xff, 'a', 0xc3, 'b')
	if got := say(t, m, chat.Request{Prompt: "p", Logprobs: -1}); got.text != "\ufffda\ufffdb" {
		t.Errorf("got %q, want the broken bytes as U+FFFD", got.text)
	}
}

// TestCachedTokens: what the engine found in its cache is counted, also when a
// stop string ends the answer before the engine does.
func TestCachedTokens(t *testing.T) {
	m, e := fake(&fakeTok{}, 'a', 'b', 'c', 'd')
	e.cached = 5
	for _, stop := range [][]string{nil, {"c"}} {
		r := chat.Request{PromptIDs: []int32{1, 2, 3, 4, 5, 6}, Stop: stop, CacheSalt: "t", User: "u", DraftMax: 3, Logprobs: -1}
		if got := say(t, m, r); got.usage.CachedTokens != 5 || e.seen.Salt != "t" || e.seen.Tenant != "u" || e.seen.DraftLen != 3 {
			t.Errorf("stop %q: usage %+v, salt %q, want 5 cached tokens and \"t\"", stop, got.usage, e.seen.Salt)
		}
	}
}

func TestEnds(t *testing.T) {
	tok := &fakeTok{specials: []string{"<bos>", "<eos>", "<tool>"}}
	bos, eos, tool := tok.special(0), tok.special(1), tok.special(2)
	m, e := fake(tok, 'h', tool, 'i', eos, 'x')
	got := say(t, m, chat.Request{Prompt: "p", Logprobs: 0})
	if got.text != "hi" || got.finish != chat.FinishStop || got.usage != (chat.Usage{PromptTokens: 2, CompletionTokens: 4}) {
		t.Errorf("got %+v, want \"hi\", stopped, 2 + 4 tokens", got)
	}
	if want := []int32{bos, 'p'}; !slices.Equal(e.seen.Prompt, want) {
		t.Errorf("prompt %v, want %v: the beginning mark once", e.seen.Prompt, want)
	}
	got = say(t, m, chat.Request{Prompt: "p", IgnoreEOS: true, StopIDs: []int32{'x'}, Logprobs: -1})
	if got.text != "hi" || got.finish != chat.FinishStop || got.usage.CompletionTokens != 5 {
		t.Errorf("got %+v, want to go on to the stop id", got)
	}
	got = say(t, m, chat.Request{Prompt: "p", MaxTokens: 1, Logprobs: -1})
	if got.text != "h" || got.finish != chat.FinishLength {
		t.Errorf("got %+v, want one token", got)
	}
	if got := say(t, m, chat.Request{PromptIDs: []int32{'q'}, Logprobs: -1}); got.usage.PromptTokens != 1 {
		t.Errorf("got %d prompt tokens, want the ids as they are", got.usage.PromptTokens)
	}
	if say(t, m, chat.Request{Logprobs: -1}); !slices.Equal(e.seen.Prompt, []int32{bos}) {
		t.Errorf("prompt %v, want the beginning mark alone", e.seen.Prompt)
	}
}

func TestEcho(t *testing.T) {
	tok := &fakeTok{specials: []string{"<bos>", "<eos>"}}
	m, e := fake(tok, 'c', 'd')
	tests := []struct {
		name string
		r    chat.Request
		want string
		lps  int
		made int
	}{
		{"plain", chat.Request{Prompt: "ab", Echo: true, Logprobs: -1}, "abcd", 0, 2},
		{"logprobs", chat.Request{Prompt: "ab", Echo: true, Logprobs: 1}, "abcd", 4, 2},
		{"alone", chat.Request{Prompt: "ab", Echo: true, Logprobs: 0, MaxTokens: -1}, "ab", 2, 0},
		{"alone, plain", chat.Request{Prompt: "ab", Echo: true, Logprobs: -1, MaxTokens: -1}, "ab", 0, 0},
		{"nothing", chat.Request{Prompt: "ab", Logprobs: 0, MaxTokens: -1}, "", 0, 0},
		{"ids", chat.Request{PromptIDs: []int32{tok.special(0), 'z'}, Echo: true, Logprobs: 0}, "<bos>zcd", 4, 2},
		{"stop is in the prompt", chat.Request{Prompt: "ab", Stop: []string{"b", "d"}, Echo: true, Logprobs: 0}, "abc", 3, 2},
		{"stop across the seam", chat.Request{Prompt: "ab", Stop: []string{"bc"}, Echo: true, Logprobs: -1}, "abcd", 0, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := say(t, m, test.r)
			if got.text != test.want || len(got.logprobs) != test.lps || got.usage.CompletionTokens != test.made {
				t.Errorf("got %q, %d log-probabilities, %d new tokens, want %q, %d, %d",
					got.text, len(got.logprobs), got.usage.CompletionTokens, test.want, test.lps, test.made)
			}
			if want := got.text; test.lps > 0 && textOf(got.logprobs) != want {
				t.Errorf("log-probabilities cover %q, want %q", textOf(got.logprobs), want)
			}
			if !e.ended {
				t.Error("the engine's range was not left")
			}
		})
	}
}

// TestLeadingSpace checks what llama2.c does: the space that SentencePiece
// puts in front of a text is not part of it.
func TestLeadingSpace(t *testing.T) {
	tok := &fakeTok{prefix: true, words: []string{" Once", " upon"}, specials: []string{"<bos>"}}
	m, _ := fake(tok, 256, 257)
	for _, test := range []struct {
		r    chat.Request
		want string
	}{
		{chat.Request{}, "Once upon"},
		{chat.Request{Prompt: "x"}, " Once upon"},
		{chat.Request{Prompt: "x", Echo: true}, "x Once upon"},
		{chat.Request{Prompt: "x", Echo: true, Logprobs: -1}, "x Once upon"},
	} {
		if got := say(t, m, test.r); got.text != test.want {
			t.Errorf("prompt %q, echo %v: got %q, want %q", test.r.Prompt, test.r.Echo, got.text, test.want)
		}
	}
}

func TestMessages(t *testing.T) {
	tok := &fakeTok{specials: []string{"<|bos|>", "<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>"}}
	weft, err := template.Named("weft")
	if err != nil {
		t.Fatal(err)
	}
	e := &fakeEngine{script: []int32{'y', tok.special(1)}}
	m := New(tok, weft, e, model.Info{Vocab: tok.vocab(), EOS: -1, BOS: -1})
	ask := chat.Request{Messages: []chat.Message{{Role: chat.User, Content: "<|end|>?"}}, Logprobs: -1}
	got := say(t, m, ask)
	if got.text != "y" || got.finish != chat.FinishStop {
		t.Errorf("got %+v, want \"y\", stopped by the template's end mark", got)
	}
	if n := len(e.seen.Prompt); n != 3+len("<|end|>?")+1 || got.usage.PromptTokens != n {
		t.Errorf("the prompt has %d tokens, want 12: words never become marks", n)
	}

	begun := []chat.Message{{Role: chat.User, Content: "?"}, {Role: chat.Assistant, Content: "he"}}
	say(t, m, chat.Request{Messages: begun, Continue: true, Logprobs: -1})
	if n := len(e.seen.Prompt); n != 6+1 || string(tok.Decode(e.seen.Prompt[n-2:])) != "he" {
		t.Errorf("the prompt to go on from is %q in %d tokens, want 7 that end with the begun answer, open", tok.Decode(e.seen.Prompt), n)
	}

	base, _ := fake(tok, 'y')
	late := *tok
	late.err = errors.New("the pattern gave up")
	tardy := New(&late, weft, e, model.Info{Vocab: tok.vocab()})
	var input *chat.InputError
	for _, test := range []struct {
		name string
		m    *Model
		r    chat.Request
		want func(error) bool
	}{
		{"base model", base, ask, func(err error) bool { return errors.Is(err, chat.ErrNoTemplate) }},
		{"two kinds", m, chat.Request{Messages: ask.Messages, Prompt: "x"}, func(err error) bool { return errors.As(err, &input) && input.Param == "prompt" }},
		{"a pattern that gave up on messages", tardy, ask, func(err error) bool { return errors.As(err, &input) && input.Param == "messages" }},
		{"a pattern that gave up on a prompt", tardy, chat.Request{Prompt: "x"}, func(err error) bool { return errors.As(err, &input) && input.Param == "prompt" }},
		{"echo", m, chat.Request{Messages: ask.Messages, Echo: true}, func(err error) bool { return errors.As(err, &input) && input.Param == "echo" }},
		{"go on with a question", m, chat.Request{Messages: begun[:1], Continue: true}, func(err error) bool { return errors.As(err, &input) && input.Param == "messages" }},
		{"role", m, chat.Request{Messages: []chat.Message{{Role: "judge"}}}, func(err error) bool { return errors.As(err, &input) && input.Param == "messages" }},
		{"empty", New(&fakeTok{}, nil, e, model.Info{Vocab: 256}), chat.Request{}, func(err error) bool { return errors.As(err, &input) && input.Param == "prompt" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, err := range test.m.Generate(t.Context(), test.r) {
				if !test.want(err) {
					t.Errorf("got error %v", err)
				}
				return
			}
			t.Error("got no error")
		})
	}
}

func TestParams(t *testing.T) {
	p := params(chat.Sampling{})
	if p.Temperature != 1 || p.TopP != 1 || p.Seed == params(chat.Sampling{}).Seed {
		t.Errorf("got %+v, want temperature and top_p 1 and a random seed", p)
	}
	zero, half, seed := 0.0, 0.5, uint64(math.MaxUint64)
	p = params(chat.Sampling{Temperature: &zero, TopP: &half, Seed: &seed, TopK: 3, MinP: .1, LogitBias: map[int32]float64{1: 2}})
	if p.Temperature != 0 || p.TopP != half || p.Seed != seed || p.TopK != 3 || p.MinP != .1 || p.LogitBias[1] != 2 {
		t.Errorf("got %+v, want the request's values", p)
	}
}
