package server

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"
)

// Runs is where the training page finds runs, and where it reads them.
type Runs interface {
	// List returns the runs there are, the newest first.
	List() ([]Run, error)
	// Records returns a run's metrics from a place on: 0, or the Next of an earlier
	// answer. Of a run with more than points steps it picks about as many; 0: all.
	// An id that List does not show fails with ErrNoRun.
	Records(id string, from int64, points int) (RunRecords, error)
}

// ErrNoRun is what Runs.Records says of an id that it does not know.
var ErrNoRun = errors.New("no such run")

// Run is one training run of GET /api/runs.
type Run struct {
	ID      string    `json:"id"` // may hold slashes
	Name    string    `json:"name"`
	Kind    string    `json:"kind"`  // "pretrain", "sft"
	State   string    `json:"state"` // "running", "finished", "stopped"
	Step    int       `json:"step"`
	Steps   int       `json:"steps"` // 0: not known yet
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
	Damage  string    `json:"damage,omitempty"` // what of its files could not be read
}

// RunRecords is GET /api/runs/{id}?from=N&points=M.
type RunRecords struct {
	Records []json.RawMessage `json:"records"` // lines of metrics.jsonl
	Next    int64             `json:"next"`    // what to ask from next; below from: the file was cut, begin again
	More    bool              `json:"more"`    // there is more by now
	State   string            `json:"state"`
}

// maxPoints is the most steps that a client may ask a run to be thinned to.
const maxPoints = 100_000

// listRuns is GET /api/runs. A server that looks nowhere has none.
func (s *Server) listRuns(w http.ResponseWriter, r *http.Request) {
	runs := []Run{}
	if s.opts.Runs != nil {
		found, err := s.opts.Runs.List()
		if err != nil {
			s.failRun(w, r, err)
			return
		}
		runs = append(runs, found...)
	}
	writeJSON(w, http.StatusOK, map[string]any{"runs": runs})
}

// showRun is GET /api/runs/{id}?from=N&points=M, which the training page asks
// once a second while a run goes on.
func (s *Server) showRun(w http.ResponseWriter, r *http.Request) {
	number := func(name string, most int64) (n int64, bad *apiError) {
		text := r.URL.Query().Get(name)
		if text == "" {
			return 0, nil
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > most {
			return 0, badParam(name, "must be a number from 0 to %d, got %q", most, text)
		}
		return n, nil
	}
	from, bad := number("from", math.MaxInt64)
	points, bad2 := number("points", maxPoints)
	if bad = cmp.Or(bad, bad2); bad != nil {
		refuse(w, r, bad)
		return
	}
	err := fmt.Errorf("this server looks for no runs: %w", ErrNoRun)
	var records RunRecords
	if s.opts.Runs != nil {
		records, err = s.opts.Runs.Records(r.PathValue("id"), from, int(points))
	}
	if err != nil {
		s.failRun(w, r, err)
		return
	}
	if records.Records == nil {
		records.Records = []json.RawMessage{}
	}
	writeJSON(w, http.StatusOK, records)
}

// failRun tells the client what is wrong with the files of a run: whoever may
// see the runs may see that, and nobody else can mend them.
func (s *Server) failRun(w http.ResponseWriter, r *http.Request, err error) {
	e := &apiError{Status: http.StatusInternalServerError, Type: serverError, Code: "unreadable_run", Message: err.Error()}
	if errors.Is(err, ErrNoRun) {
		e.Status, e.Type, e.Code, e.Param = http.StatusNotFound, invalidRequest, "run_not_found", "id"
		e.Message = fmt.Sprintf("the run %q does not exist; GET /api/runs lists those there are", r.PathValue("id"))
	}
	refuse(w, r, e)
}
