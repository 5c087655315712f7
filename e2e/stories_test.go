package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"weft/infer/engine"
	"weft/internal/testkit"
	"weft/llm/local"
	"weft/model/weights/llama2c"
	"weft/server"
	"weft/text/tokenizer"
)

// TestStories serves a real trained model, llama2.c's stories260K, and wants
// its known greedy text from /v1/completions, character for character.
func TestStories(t *testing.T) {
	golden, err := os.ReadFile(testkit.Data(t, "models/stories260k/greedy_golden.txt"))
	if err != nil {
		t.Fatal(err)
	}
	// The file shows tokens as they stand in the vocabulary: a line feed is
	// <0x0A>, and the text begins with SentencePiece's space.
	story := strings.TrimSpace(strings.ReplaceAll(string(golden), "<0x0A>", "\n"))

	m, err := llama2c.Load(testkit.Data(t, "models/stories260k/stories260K.bin"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(testkit.Data(t, "models/stories260k/tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := tokenizer.FromLlama2C(f, m.Info().Vocab)
	if err != nil {
		t.Fatal(err)
	}
	eng := engine.New(m, engine.Options{})
	defer eng.Close()
	h, err := server.New(server.Options{Models: []server.Model{{ID: "stories", Model: local.New(tok, nil, eng, m.Info())}}})
	if err != nil {
		t.Fatal(err)
	}
	complete := func(t *testing.T, ask map[string]any) completion {
		t.Helper()
		ask["temperature"] = 0
		body, err := json.Marshal(ask)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "http://localhost/v1/completions", strings.NewReader(string(body))))
		if w.Code != 200 {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		return readCompletion(t, w.Body)
	}

	whole := complete(t, map[string]any{"prompt": "", "max_tokens": 250})
	if !strings.HasPrefix(whole.text, story) {
		t.Fatalf("got %q, want it to begin with %q", whole.text, story)
	}
	streamed := complete(t, map[string]any{"prompt": "", "max_tokens": 250, "stream": true})
	if streamed.text != whole.text {
		t.Errorf("streamed %q, whole %q", streamed.text, whole.text)
	}
	const opening = "Once upon a time"
	rest := complete(t, map[string]any{"prompt": opening, "max_tokens": 100})
	if !strings.HasPrefix(story, opening+rest.text) {
		t.Errorf("after %q: got %q, want %q", opening, rest.text, story)
	}
	stopped := complete(t, map[string]any{"prompt": opening, "max_tokens": 100, "stop": []string{"d ball"}})
	if before, _, _ := strings.Cut(story, "d ball"); opening+stopped.text != before || stopped.finish != "stop" {
		t.Errorf("got %q (%s), want %q", stopped.text, stopped.finish, before)
	}
	scored := complete(t, map[string]any{"prompt": story, "echo": true, "logprobs": 1, "max_tokens": 0})
	if scored.text != story || strings.Join(scored.tokens, "") != story {
		t.Errorf("the echo is %q, in tokens %q", scored.text, scored.tokens)
	}
	// Every token of a greedy text was the best one, except where two are
	// spelled differently by the tokenizer than by the model: none here.
	for i, best := range scored.best {
		if !best {
			t.Errorf("token %d (%q) of the greedy text scores below another", i, scored.tokens[i])
		}
	}
}

// completion is what a test wants of an answer, streamed or not.
type completion struct {
	text, finish string
	tokens       []string
	best         []bool // the token is the likeliest in its place
}

func readCompletion(t *testing.T, r io.Reader) (c completion) {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "data: "))
		if line == "" || line == "[DONE]" {
			continue
		}
		var part struct {
			Choices []struct {
				Text     string
				Finish   string `json:"finish_reason"`
				Logprobs *struct {
					Tokens []string
					Chosen []*float64           `json:"token_logprobs"`
					Top    []map[string]float64 `json:"top_logprobs"`
				}
			}
		}
		if err := json.Unmarshal([]byte(line), &part); err != nil {
			t.Fatal(err)
		}
		for _, choice := range part.Choices {
			c.text += choice.Text
			c.finish += choice.Finish
			if lp := choice.Logprobs; lp != nil {
				c.tokens = lp.Tokens
				for i, chosen := range lp.Chosen {
					best := true
					for _, other := range lp.Top[i] {
						best = best && (chosen == nil || *chosen >= other)
					}
					c.best = append(c.best, best)
				}
			}
		}
	}
	return c
}
