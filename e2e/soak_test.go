package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/infer/engine"
	"weft/llm/local"
	"weft/server"
)

// soak is a server under load and what its clients saw.
type soak struct {
	url     string
	client  *http.Client
	answers sync.Map // request body -> the text it got first

	done, cancelled, tokens atomic.Int64
	failures                chan string
}

// TestSoak lets 32 clients stream, leave at random and come back, against a
// real engine whose cache is too small for all of them. Then no page may be
// missing, and equal requests must have had equal answers. WEFT_SOAK=60s makes
// it as long as wanted.
func TestSoak(t *testing.T) {
	length := 3 * time.Second
	if s := os.Getenv("WEFT_SOAK"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal("WEFT_SOAK: ", err)
		}
	} else if testing.Short() {
		length = time.Second
	}
	tmpl := weftTemplate(t)
	tok := byteTokenizer{tmpl.Specials()}
	m := tinyLlama(256 + len(tok.marks))
	eng := engine.New(m, engine.Options{Pages: 96, MaxBatch: 16, Chunk: 64, Queue: 64})
	defer eng.Close()
	s := serveSoak(t, local.New(tok, tmpl, eng, m.Info()))

	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 32 {
		clients.Go(func() { s.run(ctx, rand.New(rand.NewPCG(1, uint64(i)))) })
	}
	var early uint64
	select {
	case <-time.After(length / 4):
		early = heap()
	case <-ctx.Done():
	}
	clients.Wait()
	s.client.CloseIdleConnections()
	close(s.failures)
	for f := range s.failures {
		t.Error(f)
	}
	late := heap()
	st := settle(eng)
	t.Logf("%v: %d answers, %d left half-way, %d tokens (%.0f tok/s), %d preemptions, heap %.1f MB after a quarter, %.1f MB at the end, pages %d free + %d used = %d",
		length, s.done.Load(), s.cancelled.Load(), s.tokens.Load(), float64(s.tokens.Load())/length.Seconds(), st.Preemptions,
		float64(early)/1e6, float64(late)/1e6, st.PagesFree, st.PagesUsed, st.PagesTotal)
	if st.PagesUsed != 0 || st.PagesFree+st.PagesCached != st.PagesTotal || st.Running != 0 || st.Queued != 0 {
		t.Errorf("after the last client: %d pages used, %d of %d free, %d running, %d queued, want all free and idle",
			st.PagesUsed, st.PagesFree, st.PagesTotal, st.Running, st.Queued)
	}
	if s.done.Load() == 0 || s.cancelled.Load() == 0 {
		t.Errorf("%d answers and %d cancelled: the load did not do its work", s.done.Load(), s.cancelled.Load())
	}
	if late > early+16e6 {
		t.Errorf("the heap grew from %d to %d bytes", early, late)
	}
}

func serveSoak(t *testing.T, m *local.Model) *soak {
	t.Helper()
	h, err := server.New(server.Options{Models: []server.Model{{ID: "tiny", Model: m}}, Shutdown: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &soak{
		url: "http://" + ln.Addr().String(), failures: make(chan string, 1000),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}},
	}
}

// heap is the live heap in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// settle waits until the engine has noticed that its clients are gone.
func settle(e *engine.Engine) engine.Stats {
	st := e.Stats()
	for range 200 {
		if st.PagesUsed == 0 && st.Running == 0 && st.Queued == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
		st = e.Stats()
	}
	return st
}

// run sends requests until the time is over.
func (s *soak) run(ctx context.Context, r *rand.Rand) {
	for ctx.Err() == nil {
		path, body := question(r)
		leaveAfter := -1
		if r.IntN(3) == 0 {
			leaveAfter = r.IntN(20)
		}
		text, err := s.ask(ctx, path, body, leaveAfter)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errLeft):
			s.cancelled.Add(1)
		case err != nil:
			s.failures <- fmt.Sprintf("%s %s: %v", path, body, err)
			return
		default:
			s.done.Add(1)
			if first, seen := s.answers.LoadOrStore(body, text); seen && first != text {
				s.failures <- fmt.Sprintf("%s: got %q, and earlier %q", body, text, first)
				return
			}
		}
	}
}

// question is one of a few hundred streaming requests of many lengths.
func question(r *rand.Rand) (path, body string) {
	words := strings.Repeat("warp and weft ", 1+r.IntN(8))
	rest := fmt.Sprintf(`"stream":true,"stream_options":{"include_usage":true},"max_tokens":%d,"seed":%d,"temperature":%d}`,
		1+r.IntN(4)*20, r.IntN(4), r.IntN(2))
	if r.IntN(2) == 0 {
		return "/v1/completions", fmt.Sprintf(`{"prompt":%q,"stop":["zq"],"echo":%v,%s`, words, r.IntN(2) == 0, rest)
	}
	return "/v1/chat/completions", fmt.Sprintf(`{"messages":[{"role":"user","content":%q}],"n":%d,%s`, words, 1+r.IntN(2), rest)
}

var errLeft = errors.New("the client left")

// ask streams one answer; choices are joined in the order of their index. It
// leaves after that many events, unless negative.
func (s *soak) ask(ctx context.Context, path, body string, leaveAfter int) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", s.url+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		msg, _ := io.ReadAll(resp.Body)
		return "", fmt.Errorf("status %d: %s", resp.StatusCode, msg)
	}
	var texts [2]strings.Builder
	lines := bufio.NewScanner(resp.Body)
	for events := 0; lines.Scan(); {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok {
			continue
		}
		if data == "[DONE]" {
			return texts[0].String() + "\x00" + texts[1].String(), nil
		}
		if events++; leaveAfter >= 0 && events > leaveAfter {
			return "", errLeft
		}
		if err := s.event(data, &texts); err != nil {
			return "", err
		}
	}
	return "", fmt.Errorf("the stream ended without its end mark: %w", lines.Err())
}

func (s *soak) event(data string, texts *[2]strings.Builder) error {
	var e struct {
		Error   *struct{ Message string }
		Choices []struct {
			Index int
			Text  string
			Delta struct{ Content string }
		}
		Usage *struct {
			Made int `json:"completion_tokens"`
		}
	}
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return err
	}
	if e.Error != nil {
		return errors.New(e.Error.Message)
	}
	for _, c := range e.Choices {
		texts[c.Index].WriteString(c.Text + c.Delta.Content)
	}
	if e.Usage != nil {
		s.tokens.Add(int64(e.Usage.Made))
	}
	return nil
}
