package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"weft/chat"
)

const hello = `{"messages":[{"role":"user","content":"hi"}]}`
const helloStream = `{"messages":[{"role":"user","content":"hi"}],"stream":true}`

func TestModels(t *testing.T) {
	s := testServer(t, &fakeModel{}, func(o *Options) {
		o.Models = append(o.Models, Model{ID: "org/second", Model: &fakeModel{}, Created: time.Unix(5, 0)})
	})
	const tiny = `{"id":"tiny","object":"model","created":1700000000,"owned_by":"weft","max_model_len":64}`
	const second = `{"id":"org/second","object":"model","created":5,"owned_by":"weft"}`
	if got, want := call(s, "GET", "/v1/models", "").Body.String(), `{"object":"list","data":[`+tiny+`,`+second+`]}`+"\n"; got != want {
		t.Errorf("got %s want %s", got, want)
	}
	if got := call(s, "GET", "/v1/models/org/second", "").Body.String(); got != second+"\n" {
		t.Errorf("got %s want %s", got, second)
	}
	wantError(t, call(s, "GET", "/v1/models/none", ""), 404, "model_not_found", "model")
}

func TestChoices(t *testing.T) {
	f := &fakeModel{words: words("a b c")}
	s := testServer(t, f, nil)
	w := call(s, "POST", "/v1/completions", `{"prompt":["x","yy"],"n":2,"seed":9}`)
	var got struct {
		Choices []struct {
			Index int
			Text  string
		}
		Usage struct {
			Prompt int `json:"prompt_tokens"`
			Made   int `json:"completion_tokens"`
			Total  int `json:"total_tokens"`
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	// A prompt counts once, however many answers it gets.
	if len(got.Choices) != 4 || got.Usage.Prompt != 3 || got.Usage.Made != 12 || got.Usage.Total != 15 {
		t.Errorf("got %+v, want 4 choices, 3 + 12 tokens", got)
	}
	for i, c := range got.Choices {
		if c.Index != i || c.Text != "a b c" {
			t.Errorf("choice %d is %+v", i, c)
		}
	}
	if reqs := repeat(chat.Request{Sampling: chat.Sampling{Seed: ptr(uint64(math.MaxUint64))}}, 2); *reqs[1].Sampling.Seed != 0 {
		t.Errorf("got seed %d, want the next one", *reqs[1].Sampling.Seed)
	}
}

// TestStreamOfMany checks that interleaved choices each are whole.
func TestStreamOfMany(t *testing.T) {
	s := testServer(t, &fakeModel{words: words("a b c")}, nil)
	w := call(s, "POST", "/v1/completions", `{"prompt":["`+strings.Repeat(`x","`, 19)+`x"],"stream":true}`)
	texts := map[int]string{}
	for line := range strings.Lines(w.Body.String()) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Index int
				Text  string
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			t.Fatal(err)
		}
		texts[chunk.Choices[0].Index] += chunk.Choices[0].Text
	}
	if len(texts) != 20 || !strings.HasSuffix(w.Body.String(), "data: [DONE]\n\n") {
		t.Errorf("got %d choices, want 20, and the end mark", len(texts))
	}
	for i, text := range texts {
		if text != "a b c" {
			t.Errorf("choice %d is %q", i, text)
		}
	}
}

func TestModelErrors(t *testing.T) {
	for _, stream := range []string{hello, helloStream} {
		s := testServer(t, &fakeModel{context: 1}, nil)
		msg := wantError(t, call(s, "POST", "/v1/chat/completions", stream), 400, "context_length_exceeded", "")
		if !strings.Contains(msg, "maximum context length is 1 tokens") || !strings.Contains(msg, "has 2 tokens") {
			t.Errorf("message %q lacks the counts", msg)
		}
		s = testServer(t, &fakeModel{busy: true}, nil)
		w := call(s, "POST", "/v1/chat/completions", stream)
		wantError(t, w, 429, "queue_full", "")
		if w.Header().Get("Retry-After") != "1" {
			t.Error("429 without Retry-After")
		}
		s = testServer(t, &fakeModel{words: words("a b"), panicAt: 1}, nil)
		if w = call(s, "POST", "/v1/chat/completions", stream); stream == hello {
			msg := wantError(t, w, 500, "internal_error", "")
			if id := w.Header().Get("X-Request-Id"); id == "" || !strings.Contains(msg, id) {
				t.Errorf("message %q does not name request id %q", msg, id)
			}
		}
	}
	asked := contextError(&chat.ContextError{Prompt: 600, Max: 16, Context: 512})
	if want := "you requested 616 tokens (600 in the prompt, 16 in the completion)"; !strings.Contains(asked.Message, want) {
		t.Errorf("message %q, want %q in it", asked.Message, want)
	}
}

// TestErrorInStream checks that a stream which has begun ends with an error
// event and without the end mark.
func TestErrorInStream(t *testing.T) {
	for _, f := range []*fakeModel{{words: words("a b"), failAt: 1}, {words: words("a b"), panicAt: 1}} {
		w := call(testServer(t, f, nil), "POST", "/v1/chat/completions", helloStream)
		events := strings.Split(strings.TrimSpace(w.Body.String()), "\n\n")
		last := events[len(events)-1]
		if w.Code != 200 || !strings.HasPrefix(last, `data: {"error":{"message":"`) || !strings.Contains(last, `"code":"internal_error"`) {
			t.Errorf("got status %d and last event %s", w.Code, last)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	s := testServer(t, &fakeModel{words: words("a")}, nil)
	wantError(t, call(s, "GET", "/v2/models", ""), 404, "unknown_url", "")
	wantError(t, call(s, "GET", "/", ""), 404, "unknown_url", "") // no page given
	w := call(s, "GET", "/v1/chat/completions", "")
	wantError(t, w, 405, "method_not_allowed", "")
	if w.Header().Get("Allow") != "POST" {
		t.Error("405 without Allow")
	}
	wantError(t, call(s, "DELETE", "/v1/models/tiny", ""), 405, "method_not_allowed", "")
	small := testServer(t, &fakeModel{}, func(o *Options) { o.MaxBody = 10 })
	msg := wantError(t, call(small, "POST", "/v1/completions", hello), 413, "request_too_large", "")
	if !strings.Contains(msg, fmt.Sprintf("has %d bytes", len(hello))) || !strings.Contains(msg, "limit of this server is 10 bytes") {
		t.Errorf("message %q lacks the counts", msg)
	}
	wantError(t, call(s, "POST", "/v1/completions", "{\"prompt\":\"caf\xe9\"}"), 400, "invalid_json", "")
	if w := call(s, "GET", "/health", ""); w.Code != 200 || w.Body.String() != "{\"status\":\"ok\"}\n" {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
}

func TestKey(t *testing.T) {
	page := fstest.MapFS{"index.html": {Data: []byte("<p>page")}, "chat.js": {Data: []byte("1")}}
	s := testServer(t, &fakeModel{words: words("a")}, func(o *Options) { o.Key, o.Page = "secret", page })
	for _, auth := range []string{"", "Bearer", "Bearer wrong", "Bearer secre", "Basic secret", "secret"} {
		for _, path := range []string{"/v1/models", "/v1/chat/completions", "/metrics"} {
			method := "GET"
			if strings.HasSuffix(path, "completions") {
				method = "POST"
			}
			w := call(s, method, path, hello, "Authorization", auth)
			wantError(t, w, 401, "invalid_api_key", "")
			if strings.Contains(w.Body.String(), "secret") {
				t.Error("the answer shows a key")
			}
		}
	}
	for _, auth := range []string{"Bearer secret", "bearer  secret"} {
		if w := call(s, "POST", "/v1/chat/completions", hello, "Authorization", auth, "Host", "api.example"); w.Code != 200 {
			t.Errorf("%q: got %d %s", auth, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/", "/static/chat.js", "/health"} {
		if w := call(s, "GET", path, ""); w.Code != 200 {
			t.Errorf("%s without a key: got %d", path, w.Code)
		}
	}
	if csp := call(s, "GET", "/", "").Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
		t.Errorf("the page has the policy %q", csp)
	}
	if w := call(s, "GET", "/static/none.js", ""); w.Code != 404 {
		t.Errorf("a missing file: got %d, want 404", w.Code)
	}
}

func TestHostAndOrigin(t *testing.T) {
	s := testServer(t, &fakeModel{words: words("a")}, func(o *Options) { o.Hosts, o.Origins = []string{"box.lan"}, []string{"https://ok.example"} })
	tests := []struct {
		host, origin, site string
		status             int
		code               string
	}{
		{"localhost:8080", "", "", 200, ""},
		{"127.0.0.1", "", "", 200, ""},
		{"[::1]:80", "", "", 200, ""},
		{"weft.localhost", "", "", 200, ""},
		{"box.lan:80", "", "", 200, ""},
		{"evil.example", "", "", 403, "forbidden_host"},
		{"evil.example", "http://evil.example", "same-origin", 403, "forbidden_host"}, // rebinding
		{"localhost.evil.example", "", "", 403, "forbidden_host"},
		{"10.0.0.1", "", "", 403, "forbidden_host"},
		{"localhost", "http://localhost", "", 200, ""},
		{"localhost", "", "same-origin", 200, ""},
		{"localhost", "http://evil.example", "", 403, "forbidden_origin"},
		{"localhost", "http://evil.example", "cross-site", 403, "forbidden_origin"},
		{"localhost", "https://ok.example", "cross-site", 200, ""},
		{"localhost", "null", "cross-site", 403, "forbidden_origin"},
	}
	for _, test := range tests {
		w := call(s, "POST", "/v1/chat/completions", hello, "Host", test.host, "Origin", test.origin, "Sec-Fetch-Site", test.site)
		if test.status != 200 {
			wantError(t, w, test.status, test.code, "")
		} else if w.Code != 200 {
			t.Errorf("%+v: got %d %s", test, w.Code, w.Body)
		}
		allowed := w.Header().Get("Access-Control-Allow-Origin")
		if ok := test.origin == "https://ok.example"; ok != (allowed != "") {
			t.Errorf("%+v: Access-Control-Allow-Origin is %q", test, allowed)
		}
	}
	w := call(s, "OPTIONS", "/v1/chat/completions", "", "Origin", "https://ok.example", "Access-Control-Request-Method", "POST")
	if w.Code != 204 || w.Header().Get("Access-Control-Allow-Methods") == "" {
		t.Errorf("preflight: got %d %v", w.Code, w.Header())
	}
	if w := call(s, "OPTIONS", "/v1/chat/completions", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "POST"); w.Code == 204 {
		t.Error("preflight of a foreign origin was let through")
	}
}

func TestCheckListen(t *testing.T) {
	for _, test := range []struct {
		addr, key string
		ok        bool
	}{
		{"127.0.0.1:8080", "", true}, {"localhost:0", "", true}, {"[::1]:1", "", true}, {"127.8.8.8:1", "", true},
		{":8080", "", false}, {"0.0.0.0:8080", "", false}, {"192.168.1.2:80", "", false}, {"[::]:80", "", false}, {"box:80", "", false},
		{":8080", "k", true}, {"0.0.0.0:8080", "k", true},
		{"8080", "k", false}, {"", "", false},
	} {
		if err := CheckListen(test.addr, test.key); (err == nil) != test.ok {
			t.Errorf("CheckListen(%q, %q) = %v, want ok %v", test.addr, test.key, err, test.ok)
		}
	}
}

func TestNew(t *testing.T) {
	for name, o := range map[string]Options{
		"no model": {},
		"no name":  {Models: []Model{{Model: &fakeModel{}}}},
		"twice":    {Models: []Model{{ID: "a", Model: &fakeModel{}}, {ID: "a", Model: &fakeModel{}}}},
		"origin":   {Models: []Model{{ID: "a", Model: &fakeModel{}}}, Origins: []string{"example"}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// live runs the server on a real listener until the test ends.
func live(t *testing.T, s *Server) (url string, stop func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := stop(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return "http://" + ln.Addr().String(), stop
}

// TestClientLeaves checks that a closed connection ends the generation.
func TestClientLeaves(t *testing.T) {
	for _, body := range []string{helloStream, hello} {
		f := &fakeModel{words: words("a b c"), block: make(chan struct{})}
		url, _ := live(t, testServer(t, f, nil))
		ctx, cancel := context.WithCancel(t.Context())
		req, _ := http.NewRequestWithContext(ctx, "POST", url+"/v1/chat/completions", strings.NewReader(body))
		if body == helloStream {
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := resp.Body.Read(make([]byte, 10)); err != nil { // the first event came before the second word
				t.Fatal(err)
			}
			defer resp.Body.Close()
		} else {
			go http.DefaultClient.Do(req)
			wait(t, func() bool { return f.running.Load() == 1 })
		}
		cancel()
		wait(t, func() bool { return f.running.Load() == 0 })
	}
}

// wait polls for a condition that another goroutine brings about.
func wait(t *testing.T, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 5*time.Second {
			t.Fatal("waited 5 s for nothing")
		}
	}
}

// TestShutdown checks that running streams may finish, that new requests are
// sent away meanwhile, and that what outlasts the grace ends with an error.
func TestShutdown(t *testing.T) {
	for _, finish := range []bool{true, false} {
		t.Run(fmt.Sprint("finishes ", finish), func(t *testing.T) {
			f := &fakeModel{words: words("a b"), block: make(chan struct{})}
			s := testServer(t, f, func(o *Options) {
				if o.Shutdown = 50 * time.Millisecond; finish {
					o.Shutdown = time.Minute
				}
			})
			url, stop := live(t, s)
			resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(helloStream))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			wait(t, s.stopping)
			wantError(t, call(s, "POST", "/v1/completions", `{"prompt":"a"}`), 503, "shutting_down", "")
			wantError(t, call(s, "GET", "/health", ""), 503, "shutting_down", "")
			if finish {
				close(f.block)
			}
			var body bytes.Buffer
			if _, err := body.ReadFrom(resp.Body); err != nil {
				t.Fatal(err)
			}
			if done := strings.HasSuffix(body.String(), "data: [DONE]\n\n"); done != finish {
				t.Errorf("stream ended with %q", body.String())
			}
			if !finish && !strings.Contains(body.String(), `"code":"shutting_down"`) {
				t.Errorf("stream ended with %q, want an error event", body.String())
			}
			if err := <-stopped; err != nil {
				t.Errorf("serve: %v", err)
			}
		})
	}
}

func TestRequestIDAndLog(t *testing.T) {
	var out bytes.Buffer
	s := testServer(t, &fakeModel{words: words("a b")}, func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&out, nil)) })
	w := call(s, "POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"private words"}],"zest":1}`, "X-Request-Id", "mine-1")
	if w.Header().Get("X-Request-Id") != "mine-1" || w.Header().Get("X-Weft-Ignored-Fields") != "zest" {
		t.Errorf("got headers %v", w.Header())
	}
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"request_id": "mine-1", "status": 200., "model": "tiny", "prompt_tokens": 13., "completion_tokens": 2., "ignored_fields": "zest"} {
		if line[key] != want {
			t.Errorf("log line has %s %v, want %v", key, line[key], want)
		}
	}
	if strings.Contains(out.String(), "private") {
		t.Error("the log holds the prompt")
	}
	for _, id := range []string{"", "with space", strings.Repeat("x", 129), "é"} {
		if got := call(s, "GET", "/health", "", "X-Request-Id", id).Header().Get("X-Request-Id"); got == id || got == "" {
			t.Errorf("client id %q: got %q, want a fresh one", id, got)
		}
	}
}

func TestHandlerPanic(t *testing.T) {
	s := testServer(t, &fakeModel{}, nil)
	h, err := s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic("boom") }))
	if err != nil {
		t.Fatal(err)
	}
	s.handler = h
	msg := wantError(t, call(s, "GET", "/v1/models", ""), 500, "internal_error", "")
	if strings.Contains(msg, "boom") {
		t.Errorf("message %q tells the operator's detail", msg)
	}
}

// TestDeadline: a request that takes too long ends with 504, or with an error
// event when it has begun to stream.
func TestDeadline(t *testing.T) {
	s := testServer(t, &fakeModel{words: words("a b c"), block: make(chan struct{})}, func(o *Options) { o.Deadline = time.Millisecond })
	wantError(t, call(s, "POST", "/v1/chat/completions", hello), 504, "deadline_exceeded", "")
	if got := call(s, "POST", "/v1/chat/completions", helloStream).Body.String(); !strings.Contains(got, "deadline_exceeded") || strings.Contains(got, "[DONE]") {
		t.Errorf("the stream ended so: %s", got)
	}
}

// BenchmarkStream measures the server's own cost per streamed token.
func BenchmarkStream(b *testing.B) {
	f := &fakeModel{words: words(strings.Repeat("word ", 1000))}
	s, err := New(Options{Models: []Model{{ID: "tiny", Model: f}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("POST", "http://localhost/v1/chat/completions", strings.NewReader(helloStream))
		s.ServeHTTP(httptest.NewRecorder(), r)
	}
	b.ReportMetric(float64(b.N)*1001/b.Elapsed().Seconds(), "tok/s")
}
