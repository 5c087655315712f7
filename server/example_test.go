package server_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"

	"weft/chat"
	"weft/server"
)

// parrot repeats the last message.
type parrot struct{}

func (parrot) Generate(_ context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		text := r.Messages[len(r.Messages)-1].Content
		yield(chat.Delta{Text: text, Finish: chat.FinishStop, Usage: &chat.Usage{PromptTokens: 1, CompletionTokens: 1}}, nil)
	}
}

// Any chat.Model can be served; clients see OpenAI's API.
func Example() {
	s, err := server.New(server.Options{Models: []server.Model{{ID: "parrot", Model: parrot{}}}})
	if err != nil {
		panic(err)
	}
	ts := httptest.NewServer(s)
	defer ts.Close()
	resp, err := http.Post(ts.URL+"/v1/chat/completions", "application/json",
		strings.NewReader(`{"messages":[{"role":"user","content":"hello"}]}`))
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	_, content, _ := strings.Cut(string(body), `"content":`)
	fmt.Println(resp.StatusCode, content[:7])
	// Output: 200 "hello"
}
