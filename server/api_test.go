package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"weft/chat"
)

// fakeRuns has one run of three records, and one whose files are damaged.
type fakeRuns struct {
	from   int64
	points int
}

var runTime = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func (f *fakeRuns) List() ([]Run, error) {
	return []Run{
		{ID: "deep/base", Name: "deep/base", Kind: "pretrain", State: "running", Step: 3, Steps: 40, Started: runTime, Updated: runTime.Add(time.Minute)},
		{ID: "bad", Name: "bad", State: "stopped", Started: runTime, Updated: runTime, Damage: "bad/train/state.json: version is 99, want 1"},
	}, nil
}

func (f *fakeRuns) Records(id string, from int64, points int) (RunRecords, error) {
	f.from, f.points = from, points
	switch id {
	case "deep/base":
		r := RunRecords{Next: 3, State: "running"}
		for step := from; step < 3; step++ {
			r.Records = append(r.Records, json.RawMessage(fmt.Sprintf(`{"kind":"step","step":%d,"loss":%d.5,"seconds":1}`, step, 6-step)))
			r.More = points == 1
		}
		return r, nil
	case "bad":
		return RunRecords{}, errors.New("bad/train/metrics.jsonl: line 4: unexpected end of JSON input")
	}
	return RunRecords{}, fmt.Errorf("%q: %w", id, ErrNoRun)
}

// apiServer has everything that the page asks for.
func apiServer(t *testing.T, o *Options) {
	m := &o.Models[0]
	m.About = About{
		Family: "llama", Parameters: 5_000_000, Bytes: 20_000_000, Vocab: 2048, Template: "weft", Tiny: true,
		Card: "# tiny\n\nIt knows <one> town.", Examples: []string{"Who sells bread?"},
	}
	m.Stats = func() Stats {
		return Stats{Running: 2, Waiting: 3, PagesFree: 5, PagesUsed: 2, PagesCached: 1, PagesTotal: 8, Preemptions: 1}
	}
	m.Status = func() Status {
		return Status{State: "loaded", Bytes: 30_000_000, Unload: time.Unix(1800000090, 0), Loads: 2, Unloads: 1}
	}
	o.Models = append(o.Models, Model{ID: "bare", Model: &fakeModel{}}, Model{ID: "away", Model: &fakeModel{}, Status: func() Status {
		return Status{State: "unloaded", Bytes: 40_000_000, Failed: "the file is cut", Failures: 1}
	}})
	o.Memory = 64_000_000
	o.Runs = &fakeRuns{}
}

func TestRunsAPI(t *testing.T) {
	runs := &fakeRuns{}
	s := testServer(t, &fakeModel{}, func(o *Options) { o.Runs = runs })
	if w := call(s, "GET", "/api/runs/deep%2Fbase?from=1&points=50", ""); w.Code != 200 || runs.from != 1 || runs.points != 50 {
		t.Errorf("an escaped id: got %d %s", w.Code, w.Body)
	}
	for _, from := range []string{"-1", "x", "1.5", "99999999999999999999"} {
		wantError(t, call(s, "GET", "/api/runs/deep/base?from="+from, ""), 400, "invalid_value", "from")
		wantError(t, call(s, "GET", "/api/runs/deep/base?points="+from, ""), 400, "invalid_value", "points")
	}
	wantError(t, call(s, "GET", "/api/runs/deep/base?points=100001", ""), 400, "invalid_value", "points")
	wantError(t, call(s, "GET", "/api/runs/none", ""), 404, "run_not_found", "id")
	wantError(t, call(s, "GET", "/api/runs/..%2f..%2fetc", ""), 404, "run_not_found", "id")
	if msg := wantError(t, call(s, "GET", "/api/runs/bad", ""), 500, "unreadable_run", ""); !strings.Contains(msg, "metrics.jsonl: line 4") {
		t.Errorf("message %q does not say what is wrong", msg)
	}
	wantError(t, call(s, "POST", "/api/runs/deep/base", ""), 405, "method_not_allowed", "")

	blind := testServer(t, &fakeModel{}, nil)
	if w := call(blind, "GET", "/api/runs", ""); w.Code != 200 || w.Body.String() != "{\"runs\":[]}\n" {
		t.Errorf("a server without runs: got %d %s, want an empty list", w.Code, w.Body)
	}
	wantError(t, call(blind, "GET", "/api/runs/x", ""), 404, "run_not_found", "id")
}

// TestModelStates: where a model is stands in OpenAI's list too, and a model that
// cannot be loaded is a 503 that says why.
func TestModelStates(t *testing.T) {
	away := &fakeModel{err: &chat.UnavailableError{Msg: "the model away could not be loaded: the file is cut"}}
	s := testServer(t, &fakeModel{}, func(o *Options) {
		apiServer(t, o)
		o.Models[2].Model = away
	})
	got := call(s, "GET", "/v1/models", "").Body.String()
	for _, want := range []string{`"id":"tiny","object":"model","created":1700000000,"owned_by":"weft","max_model_len":64,"state":"loaded"}`, `"owned_by":"weft"},`, `"state":"unloaded"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("the list lacks %s: %s", want, got)
		}
	}
	w := call(s, "POST", "/v1/chat/completions", `{"model":"away","messages":[{"role":"user","content":"hi"}]}`)
	if msg := wantError(t, w, 503, "model_unavailable", "model"); !strings.Contains(msg, "the file is cut") || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %q, Retry-After %q", msg, w.Header().Get("Retry-After"))
	}
	msg := wantError(t, call(s, "POST", "/v1/chat/completions", `{"model":"none","messages":[{"role":"user","content":"hi"}]}`), 404, "model_not_found", "model")
	if !strings.Contains(msg, "tiny, bare, away") {
		t.Errorf("message %q does not list what there is", msg)
	}
}

func TestAPIWantsTheKey(t *testing.T) {
	s := testServer(t, &fakeModel{}, func(o *Options) {
		apiServer(t, o)
		o.Key = "secret"
	})
	for _, path := range []string{"/api/models", "/api/runs", "/api/runs/deep/base"} {
		wantError(t, call(s, "GET", path, ""), 401, "invalid_api_key", "")
		if w := call(s, "GET", path, "", "Authorization", "Bearer secret"); w.Code != 200 {
			t.Errorf("%s with the key: got %d %s", path, w.Code, w.Body)
		}
	}
	if got := route(httptest.NewRequest(http.MethodGet, "/api/runs/a/b", nil)); got != "/api/runs/{id}" {
		t.Errorf("the metric label is %q", got)
	}
}
