package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// server is an OpenAI endpoint of scripted answers. It counts a word as two
// tokens, and three for the rest of a request.
type server struct {
	*httptest.Server
	// answer, if set, takes a request that is no calibration; by default as many
	// pieces are streamed as are asked for.
	answer func(w http.ResponseWriter, q *http.Request, r request, number int)
	// single, if set, is told of a request for one token before it is answered.
	single func(r request)

	mu               sync.Mutex
	number           int // requests, calibration not counted
	flying, together int // in flight now, and at most
	bodies           []request
	headers          []http.Header
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) client() *Client { return &Client{URL: s.URL + "/v1", Model: "m"} }

func (s *server) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if strings.HasSuffix(q.URL.Path, "/models") {
		io.WriteString(w, `{"object":"list","data":[{"id":"m"}]}`)
		return
	}
	var r request
	if err := json.NewDecoder(q.Body).Decode(&r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if r.MaxTokens == 1 { // calibration, or a late prompt: no user asks for one token
		if s.single != nil {
			s.single(r)
		}
		stream(w, r, 1, true)
		return
	}
	s.mu.Lock()
	n := s.number
	s.number, s.flying = s.number+1, s.flying+1
	s.together = max(s.together, s.flying)
	s.bodies, s.headers = append(s.bodies, r), append(s.headers, q.Header)
	s.mu.Unlock()
	if s.answer != nil {
		s.answer(w, q, r, n)
	} else {
		stream(w, r, r.MaxTokens, true)
	}
	s.mu.Lock()
	s.flying--
	s.mu.Unlock()
}

func (r request) text() string {
	if len(r.Messages) > 0 {
		return r.Messages[0].Content
	}
	return r.Prompt
}

// stream sends n pieces; whole: with usage and the end mark.
func stream(w http.ResponseWriter, r request, n int, whole bool) {
	io.WriteString(w, ": a comment\n\n"+`data: {"choices":[{"delta":{"role":"assistant","content":""}}]}`+"\n\n")
	for range n {
		if r.Prompt != "" {
			io.WriteString(w, `data: {"choices":[{"text":"x"}]}`+"\n\n")
		} else {
			io.WriteString(w, `data: {"choices":[{"delta":{"content":"x"}}]}`+"\n\n")
		}
		w.(http.Flusher).Flush()
	}
	if whole {
		fmt.Fprintf(w, `data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d,"prompt_tokens_details":{"cached_tokens":1}}}`+"\n\ndata: [DONE]\n\n",
			3+2*len(strings.Fields(r.text())), n)
	}
}

func lengths(t *testing.T, s string) Lengths {
	t.Helper()
	l, err := ParseLengths(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestClosedLoop(t *testing.T) {
	s := newServer(t)
	const users = 4
	var gate sync.WaitGroup // nobody is answered before all four are there
	gate.Add(users)
	s.answer = func(w http.ResponseWriter, _ *http.Request, r request, n int) {
		if n < users {
			gate.Done()
			gate.Wait()
		}
		stream(w, r, r.MaxTokens, true)
	}
	c := s.client()
	c.Key, c.IgnoreEOS = "secret", true
	var seen []Progress
	r, err := Run(t.Context(), c, Options{Concurrency: []int{users, 1}, Requests: 10, Prompt: lengths(t, "43"), Output: lengths(t, "5"), Seed: 1,
		Progress: func(p Progress) { seen = append(seen, p) }})
	if err != nil {
		t.Fatal(err)
	}
	if s.number != 20 || s.together != users {
		t.Errorf("%d requests, %d at once, want 20 and %d", s.number, s.together, users)
	}
	if r.Words != (Words{3, 2}) {
		t.Errorf("tokens of words: %+v, want 3 and 2 per word", r.Words)
	}
	for i, st := range r.Steps {
		if st.Requests != 10 || len(st.Errors) > 0 || st.InTokens != 430 || st.OutTokens != 50 || st.CachedTokens != 10 || st.Good != 10 {
			t.Errorf("step %d: %+v", i, st)
		}
		if st.TTFT.N != 10 || st.ITL.N != 40 || st.TPOT.N != 10 || st.E2E.N != 10 || st.E2E.Max < st.TTFT.P50 || st.Queue.Max != 0 {
			t.Errorf("step %d: times %+v", i, st)
		}
	}
	b := s.bodies[0]
	if !b.Stream || !b.Options.IncludeUsage || !b.IgnoreEOS || b.Model != "m" || s.headers[0].Get("Authorization") != "Bearer secret" {
		t.Errorf("asked with %+v and %v", b, s.headers[0])
	}
	if last := seen[len(seen)-1]; len(seen) != 20 || last != (Progress{2, 2, "1 in flight", 10, 10}) {
		t.Errorf("told %d times, last %+v", len(seen), last)
	}
}

func TestSharedPrefixes(t *testing.T) {
	s := newServer(t)
	c := s.client()
	c.API = Completions
	_, err := Run(t.Context(), c, Options{Concurrency: []int{1}, Requests: 12, Prompt: lengths(t, "20"), Output: lengths(t, "2"), PrefixTokens: 103, Prefixes: 2})
	if err != nil {
		t.Fatal(err)
	}
	begins, whole := map[string]int{}, map[string]int{}
	for _, b := range s.bodies {
		words := strings.Fields(b.Prompt)
		if len(words) != 50+10 {
			t.Fatalf("a prompt of %d words, want 50 shared ones, (103-3)/2, and 10 more", len(words))
		}
		begins[strings.Join(words[:50], " ")]++
		whole[b.Prompt]++
	}
	if len(begins) != 2 || len(whole) != 12 {
		t.Errorf("%d beginnings in %d prompts, want 2 in 12", len(begins), len(whole))
	}
}

// TestOpenLoop: with one sender and a first answer that waits for the others to
// be due, those are charged for their wait.
func TestOpenLoop(t *testing.T) {
	s := newServer(t)
	o := Options{Rates: []float64{1e5}, InFlight: 1, Prompt: lengths(t, "3"), Output: lengths(t, "2"), Seed: 5}
	jobs := o.step(point{rate: 1e5}, 0)[:8]
	due := o.arrivals(1e5, 0, len(jobs))
	start := time.Now()
	s.answer = func(w http.ResponseWriter, _ *http.Request, r request, n int) {
		for n == 0 && time.Since(start) < 2*due[len(due)-1] {
			time.Sleep(time.Millisecond)
		}
		stream(w, r, 2, true)
	}
	samples, wall, _ := run(t.Context(), s.client(), &o, point{rate: 1e5}, jobs, Words{PerWord: 1}, func(int) {})
	if len(samples) != 8 || s.together != 1 {
		t.Fatalf("%d samples, %d at once, want 8 and 1", len(samples), s.together)
	}
	for i, x := range samples {
		if x.Kind != "" || x.Number != i || x.Due != due[i] {
			t.Errorf("sample %d is request %d, due %v, %s: want %v", i, x.Number, x.Due, x.Kind, due[i])
		}
		if x.TTFT() < x.Queue() || x.E2E() < x.TTFT() || x.End > wall {
			t.Errorf("sample %d: queue %v, first text %v, end %v of %v: want them to rise", i, x.Queue(), x.TTFT(), x.E2E(), wall)
		}
		if i > 0 && (x.Sent < samples[i-1].First || x.Queue() <= 0) {
			t.Errorf("sample %d was sent at %v, the one before answered at %v; queue %v", i, x.Sent, samples[i-1].First, x.Queue())
		}
	}
}

func TestErrors(t *testing.T) {
	s := newServer(t)
	s.answer = func(w http.ResponseWriter, q *http.Request, r request, n int) {
		switch n {
		case 0:
			http.Error(w, `{"error":{"message":"full"}}`, http.StatusTooManyRequests)
		case 1:
			stream(w, r, 2, false)
		case 2:
			io.WriteString(w, "data: {broken\n\n")
		case 3:
			io.WriteString(w, `data: {"error":{"message":"worn out"}}`+"\n\n")
		case 4:
			stream(w, r, 0, true)
		default:
			stream(w, r, r.MaxTokens, true)
		}
	}
	r, err := Run(t.Context(), s.client(), Options{Concurrency: []int{1}, Requests: 5, Prompt: lengths(t, "9"), Output: lengths(t, "4")})
	if err != nil {
		t.Fatal(err)
	}
	st := r.Steps[0]
	want := map[string]int{"http 429": 1, KindCut: 2, KindProtocol: 1, KindEvent: 1}
	if fmt.Sprint(st.Errors) != fmt.Sprint(want) || st.Good != 0 || st.Requests != 5 || st.TTFT.N != 0 {
		t.Errorf("errors %v, good %d, want %v and 0", st.Errors, st.Good, want)
	}
	text := r.Markdown()
	for _, want := range []string{"| 1 | 5 | 5 |", "http 429: {\"error\":{\"message\":\"full\"}}", "worn out", "2 errors at 1 in flight: cut stream"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
}

func TestTimeout(t *testing.T) {
	s := newServer(t)
	s.answer = func(_ http.ResponseWriter, q *http.Request, _ request, _ int) { <-q.Context().Done() }
	c := s.client()
	c.Timeout = time.Millisecond
	x := Sample{Job: Job{Output: 2}}
	c.do(t.Context(), time.Now(), &x, "words")
	if x.Kind != KindTimeout || x.End <= 0 {
		t.Errorf("a server that never answers: %+v", x)
	}
}

func TestNoServer(t *testing.T) {
	s := newServer(t)
	s.Close()
	_, err := Run(t.Context(), s.client(), Options{Concurrency: []int{1}, Prompt: lengths(t, "9"), Output: lengths(t, "4")})
	if !errors.Is(err, ErrServer) || !strings.Contains(err.Error(), "no answer") {
		t.Errorf("error %v", err)
	}
	if _, err := s.client().Models(t.Context()); !errors.Is(err, ErrServer) {
		t.Errorf("error %v", err)
	}
}

func TestModels(t *testing.T) {
	names, err := newServer(t).client().Models(t.Context())
	if err != nil || len(names) != 1 || names[0] != "m" {
		t.Errorf("models %q, %v", names, err)
	}
}

// TestInterrupt: what was measured before is reported, what was cut off is not
// counted as an error.
func TestInterrupt(t *testing.T) {
	s := newServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answer = func(w http.ResponseWriter, q *http.Request, r request, n int) {
		if n == 3 {
			cancel()
			<-q.Context().Done()
			return
		}
		stream(w, r, r.MaxTokens, true)
	}
	r, err := Run(ctx, s.client(), Options{Concurrency: []int{1, 2}, Requests: 10, Prompt: lengths(t, "9"), Output: lengths(t, "4")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that it was cancelled", err)
	}
	if len(r.Steps) != 1 || r.Steps[0].Requests != 3 || len(r.Steps[0].Errors) != 0 {
		t.Errorf("steps %+v, want one of three requests", r.Steps)
	}
}

func TestArrivals(t *testing.T) {
	o := Options{Seed: 7, Prompt: lengths(t, "5-9"), Output: lengths(t, "2:1,100:3")}
	const n = 20000
	at := o.arrivals(50, 3, n)
	long := 0
	for i := range at {
		if i > 0 && at[i] <= at[i-1] {
			t.Fatalf("arrival %d at %v, after one at %v", i, at[i], at[i-1])
		}
		j := o.job(i)
		if j != o.job(i) || j.Prompt < 5 || j.Prompt > 9 || j.Output != 2 && j.Output != 100 || j.Prefix != -1 {
			t.Fatalf("job %d: %+v", i, j)
		}
		if j.Output == 100 {
			long++
		}
	}
	if got := n / at[n-1].Seconds(); math.Abs(got-50) > 1.5 {
		t.Errorf("%.1f arrivals per second, want 50", got)
	}
	if share := float64(long) / n; math.Abs(share-0.75) > 0.02 {
		t.Errorf("%.3f of the answers are long, want 0.75", share)
	}
	if again := o.arrivals(50, 3, 2); again[1] != at[1] {
		t.Error("the same seed gives other arrivals")
	}
}

func TestLengths(t *testing.T) {
	for _, s := range []string{"128", "64-512", "128:3,1024-2048:0.5"} {
		if got := lengths(t, s).String(); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
	for _, s := range []string{"", "0", "9-3", "x", "5:0", "5:x", "5,", "2000000", "5:NaN"} {
		if _, err := ParseLengths(s); !errors.Is(err, ErrOptions) {
			t.Errorf("%q: error %v", s, err)
		}
	}
}

func TestOptions(t *testing.T) {
	ok := Options{Concurrency: []int{1}, Prompt: lengths(t, "1"), Output: lengths(t, "1")}
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Options){
		"neither a concurrency":   func(o *Options) { o.Concurrency = nil },
		"give one of them":        func(o *Options) { o.Rates = []float64{1} },
		"is for open loops":       func(o *Options) { o.InFlight = 1 },
		"concurrency 0":           func(o *Options) { o.Concurrency = []int{0} },
		"a rate of -1":            func(o *Options) { o.Concurrency, o.Rates = nil, []float64{-1} },
		"requests: -1":            func(o *Options) { o.Requests = -1 },
		"a time is negative":      func(o *Options) { o.TTFT = -1 },
		"lengths of prompts":      func(o *Options) { o.Prompt = Lengths{} },
		"shared beginning of -1":  func(o *Options) { o.PrefixTokens = -1 },
		"-1 shared beginnings":    func(o *Options) { o.Prefixes = -1 },
		"a late prompt of -1":     func(o *Options) { o.LateTokens = -1 },
		"a late prompt comes":     func(o *Options) { o.Concurrency, o.Rates, o.LateTokens = nil, []float64{1}, 5 },
		"its tokens are not":      func(o *Options) { o.LateAfter = 1 },
		"requests in flight: -1,": func(o *Options) { o.Concurrency, o.Rates, o.InFlight = nil, []float64{1}, -1 },
	} {
		o := ok
		change(&o)
		if err := o.Validate(); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestTimes(t *testing.T) {
	var d []time.Duration
	for i := 200; i > 0; i-- {
		d = append(d, time.Duration(i)*time.Second)
	}
	if got := timesOf(d); got != (Times{200, 100.5, 100, 180, 190, 198, 200}) {
		t.Errorf("of 1 to 200 seconds: %+v", got)
	}
	if got := timesOf([]time.Duration{time.Second}); got.P50 != 1 || got.P99 != 1 {
		t.Errorf("of one: %+v", got)
	}
}

func TestGood(t *testing.T) {
	sample := func(first, end, out int, kind string) Sample {
		return Sample{Due: time.Second, Sent: time.Second, First: time.Second + time.Duration(first)*time.Millisecond,
			End: time.Second + time.Duration(end)*time.Millisecond, Out: out, Kind: kind}
	}
	s := summarize(point{rate: 2}, []Sample{
		sample(100, 1000, 10, ""),    // 100 ms per token
		sample(101, 1000, 10, ""),    // late
		sample(100, 1001, 10, ""),    // slow
		sample(50, 50, 1, ""),        // one token has no time between
		sample(0, 0, 0, KindTimeout), // failed
	}, 4*time.Second, &Options{TTFT: 100 * time.Millisecond, ITL: 100 * time.Millisecond})
	if s.Good != 2 || s.Goodput != 0.5 || s.Requests != 5 || s.RequestRate != 1 || s.Errors[KindTimeout] != 1 || s.Loop != "open" || s.TPOT.N != 3 {
		t.Errorf("%+v", s)
	}
}

func TestKnee(t *testing.T) {
	for _, c := range []struct {
		x, y []float64
		want int
	}{
		{[]float64{1, 2, 4, 8, 16}, []float64{10, 20, 38, 42, 43}, 2},
		{[]float64{1, 2, 4, 8, 16}, []float64{10, 20, 40, 80, 160}, -1},
		{[]float64{1, 16}, []float64{10, 11}, -1},
		{[]float64{1, 2, 4}, []float64{0, 0, 0}, -1},
	} {
		if got := knee(c.x, c.y); got != c.want {
			t.Errorf("%v over %v: knee %d, want %d", c.y, c.x, got, c.want)
		}
	}
	step := func(load, rate float64, good int) Step {
		return Step{Loop: "closed", Load: load, OutRate: rate, Requests: 100, Good: good}
	}
	r := Report{Steps: []Step{step(16, 43, 10), step(1, 10, 100), step(4, 38, 95), step(8, 42, 94), step(2, 20, 99)}}
	r.conclude()
	if r.Knee != 2 || r.Capacity != 2 {
		t.Errorf("knee at %d, capacity at %d of steps in no order, want 2 and 2", r.Knee, r.Capacity)
	}
}

// TestSweep doubles the load while that brings more.
func TestSweep(t *testing.T) {
	steps := []Step{{Loop: "closed", Load: 1, OutRate: 10, Good: 1}}
	if !worthMore(steps) {
		t.Error("one step is no sweep")
	}
	if steps = append(steps, Step{Loop: "closed", Load: 2, OutRate: 19, Good: 1}); !worthMore(steps) {
		t.Error("ended although twice the load brought 90 % more")
	}
	if steps = append(steps, Step{Loop: "closed", Load: 4, OutRate: 19.5, Good: 1}); worthMore(steps) {
		t.Error("went on although twice the load brought 3 %")
	}
	if worthMore([]Step{{Load: 1, OutRate: 10}}) {
		t.Error("went on although no request was good")
	}
	s := newServer(t)
	r, err := Run(t.Context(), s.client(), Options{Concurrency: []int{1}, Sweep: true, TTFT: time.Nanosecond, Requests: 4, Prompt: lengths(t, "9"), Output: lengths(t, "2")})
	if err != nil || len(r.Steps) != 1 || r.Capacity != -1 {
		t.Errorf("an objective nobody keeps: %d steps, capacity %d, %v", len(r.Steps), r.Capacity, err)
	}
}

func TestPlot(t *testing.T) {
	times := func(ms float64) Times { return Times{N: 9, Mean: ms / 1e3, P50: ms / 1e3, P95: 2 * ms / 1e3} }
	r := Report{Model: "m", Options: Conditions{TTFT: 0.5, ITL: 0.05}, Steps: []Step{
		{Loop: "open", Load: 1, RequestRate: 1, OutRate: 10, TTFT: times(10), ITL: times(1), E2E: times(100), Requests: 9, Good: 9},
		{Loop: "open", Load: 2, RequestRate: 1.5, OutRate: 15, TTFT: times(90), ITL: times(2), E2E: times(900), Requests: 9},
	}}
	r.conclude()
	svg, err := r.Plot()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<svg", "TTFT p95", "ITL p50", "output tokens", "requests per second that came", "m under load"} {
		if !strings.Contains(string(svg), want) {
			t.Errorf("the plot lacks %q", want)
		}
	}
	text := r.Markdown()
	for _, want := range []string{"| 2 | queue here |", "| 1 | TTFT | 10 | 10 |", "TTFT within 500 ms, a token every 50 ms: kept by 95 % of the requests up to 1 requests/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if _, err := (&Report{}).Plot(); err == nil {
		t.Error("nothing was drawn")
	}
	one := Report{Steps: []Step{{Load: 1}}} // where all requests failed there is no latency
	if _, err := one.Plot(); err != nil {
		t.Error(err)
	}
}

func FuzzFollow(f *testing.F) {
	f.Add("data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\ndata: [DONE]\n\n")
	f.Add("data: {\"choices\":[{\"text\":\"x\",\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n")
	f.Add("data: {\"error\":{}}\n\n")
	f.Fuzz(func(t *testing.T, body string) {
		var s Sample
		tick := time.Duration(0)
		s.follow(t.Context(), strings.NewReader(body), func() time.Duration { tick++; return tick })
		if s.Kind == "" && (s.First <= 0 || s.End < s.First) {
			t.Fatalf("a whole answer without text: %+v", s)
		}
	})
}
