package load_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"weft/load"
)

func ExampleRun() {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `data: {"choices":[{"delta":{"content":"Hello"}}]}`+"\n\ndata: [DONE]\n\n")
	}))
	defer srv.Close()
	words, _ := load.ParseLengths("16-64")
	r, err := load.Run(context.Background(), &load.Client{URL: srv.URL, Model: "m"},
		load.Options{Concurrency: []int{1, 2}, Requests: 8, Prompt: words, Output: words})
	if err != nil {
		panic(err)
	}
	for _, s := range r.Steps {
		fmt.Printf("%g in flight: %d requests, %d first tokens timed\n", s.Load, s.Requests, s.TTFT.N)
	}
	// Output:
	// 1 in flight: 8 requests, 8 first tokens timed
	// 2 in flight: 8 requests, 8 first tokens timed
}
