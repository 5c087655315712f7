package server

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"weft/chat"
)

// manifestHeader is how a client asks for the manifest of a response: a header,
// so that every client can send it, and the body stays the protocol's.
const manifestHeader = "X-Weft-Manifest"

// tally counts the tokens and times of one request and gathers its manifest.
type tally struct {
	server  *Server
	model   *Model
	info    *requestInfo
	n, sent int            // choices per prompt, and how many of them are sent
	jobs    []chat.Request // one per choice, or a search for the n best
	usage   usage
	longest int               // tokens of the longest answer
	last    map[int]time.Time // of each choice, when its last text came
	traces  *chat.Manifest    // nil: not asked for
}

// wantManifest reads the header and makes the jobs bring what it asks for.
func (t *tally) wantManifest(r *http.Request) *apiError {
	v := r.Header.Get(manifestHeader)
	if v == "" {
		return nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return badParam(manifestHeader, "is a header with the value 1 or 0, got %.40q", v)
	}
	if !on {
		return nil
	}
	if t.jobs[0].Beam != nil || t.n != t.sent {
		return badParam(manifestHeader, "is for answers that are drawn one by one: leave it out beside use_beam_search and best_of")
	}
	t.traces = &chat.Manifest{Version: chat.ManifestVersion, Model: t.model.ID, Answers: make([]chat.Trace, len(t.jobs))}
	for i := range t.jobs {
		t.jobs[i].Trace = true
	}
	return nil
}

// choices is the number of answers of all jobs.
func (t *tally) choices() int {
	if t.jobs[0].Beam != nil {
		return len(t.jobs) * t.n
	}
	return len(t.jobs)
}

// manifest is what was asked for, nil if it was not. A model that keeps no
// traces is an error: an answer without its manifest would pass for one with it.
func (t *tally) manifest() (*chat.Manifest, error) {
	if t.traces == nil {
		return nil, nil
	}
	for i, a := range t.traces.Answers {
		if a.Finish == "" {
			return nil, fmt.Errorf("model %s: choice %d has no trace for the manifest", t.model.ID, i)
		}
	}
	return t.traces, nil
}

// count takes in one event. The first text, reasoning or tool call of a choice
// counts towards the time to first token, each later one as a gap; text held back for a stop string or
// a character's end makes a gap longer, as it does for the client.
func (t *tally) count(e event) {
	m, now := t.server.metrics, time.Now()
	if e.delta.Text != "" || e.delta.Reasoning != "" || len(e.delta.ToolCalls) > 0 {
		if t.last == nil {
			t.last = map[int]time.Time{}
			t.info.first = now.Sub(t.info.start)
		}
		if before, ok := t.last[e.index]; ok {
			m.itl.observe(t.model.ID, now.Sub(before).Seconds())
		} else {
			m.ttft.observe(t.model.ID, now.Sub(t.info.start).Seconds())
		}
		t.last[e.index] = now
	}
	if u := e.delta.Usage; u != nil {
		before := t.usage
		t.usage.add(u, e.index%t.n == 0)
		m.promptTokens.add(float64(t.usage.Prompt-before.Prompt), t.model.ID)
		m.completionTokens.add(float64(u.CompletionTokens), t.model.ID)
		m.answered(t.model.ID, u, e.delta.Times, now.Sub(t.info.start))
		t.longest = max(t.longest, u.CompletionTokens)
		t.info.prompt, t.info.completion = t.usage.Prompt, t.usage.Completion
	}
	if e.delta.Finish != "" {
		m.finished.add(1, t.model.ID, string(e.delta.Finish))
	}
	if e.delta.Trace != nil && t.traces != nil {
		t.traces.Answers[e.index] = *e.delta.Trace
		t.traces.Identity = *e.delta.Identity
	}
}

// done counts what is known when the last choice has ended.
func (t *tally) done() {
	t.server.metrics.longest.observe(t.model.ID, float64(t.longest))
}
