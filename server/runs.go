package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Runs is where the training page finds runs, and where it reads them.
type Runs interface {
	// List returns the runs there are, the newest first.
	List() ([]Run, error)
	// Records returns a run's metrics from line from on, counted from 0. An id
	// that List does not show fails with ErrNoRun.
	Records(id string, from int) (RunRecords, error)
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

// RunRecords is GET /api/runs/{id}?from=N.
type RunRecords struct {
	Records []json.RawMessage `json:"records"` // lines of metrics.jsonl
	Next    int               `json:"next"`    // the line to ask for next; below from: the file was cut, begin again
	State   string            `json:"state"`
}

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

// showRun is GET /api/runs/{id}?from=N, which the training page asks once a
// second while a run goes on.
func (s *Server) showRun(w http.ResponseWriter, r *http.Request) {
	from := 0
	if text := r.URL.Query().Get("from"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			refuse(w, r, badParam("from", "must be a line of the metrics counted from 0, got %q", text))
			return
		}
		from = n
	}
	err := fmt.Errorf("this server looks for no runs: %w", ErrNoRun)
	var records RunRecords
	if s.opts.Runs != nil {
		records, err = s.opts.Runs.Records(r.PathValue("id"), from)
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
