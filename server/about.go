package server

import "net/http"

// About is what the models page shows of a model beside its name and context.
// Nothing of it is required.
type About struct {
	Family     string   // architecture, such as "llama"
	Parameters int64    // weights
	Bytes      int64    // memory of the weights
	Vocab      int      // tokens the tokenizer knows
	Template   string   // name of the chat template; empty: it continues text only
	Card       string   // model card, Markdown
	Tiny       bool     // made for the small world: the page says so
	Examples   []string // questions that it answers well
}

// modelAbout is one entry of GET /api/models.
type modelAbout struct {
	ID         string      `json:"id"`
	Family     string      `json:"family"`
	Parameters int64       `json:"parameters"`
	Bytes      int64       `json:"bytes"`
	Context    int         `json:"context"`
	Vocab      int         `json:"vocab"`
	Template   string      `json:"template"`
	Card       string      `json:"card"`
	Tiny       bool        `json:"tiny"`
	Examples   []string    `json:"examples"`
	Stats      *modelStats `json:"stats"` // null: the model has no engine here
	Place      *modelPlace `json:"place"` // null: it is always loaded
}

// modelPlace is Status at the moment of the request.
type modelPlace struct {
	State    string   `json:"state"`
	Bytes    int64    `json:"bytes"`
	UnloadIn *float64 `json:"unload_in_seconds"` // null: it stays
	Failed   string   `json:"failed,omitempty"`
}

// place is what the page shows of a Status.
func (s *Server) place(st Status) *modelPlace {
	p := &modelPlace{State: st.State, Bytes: st.Bytes, Failed: st.Failed}
	if !st.Unload.IsZero() {
		left := max(0, st.Unload.Sub(s.now()).Seconds())
		p.UnloadIn = &left
	}
	return p
}

// memory is what all models take, and may take, in bytes.
type memory struct {
	Used   int64 `json:"used_bytes"`
	Budget int64 `json:"budget_bytes"` // 0: no bound
}

// modelStats is Stats at the moment of the request.
type modelStats struct {
	Running     int    `json:"running"`
	Waiting     int    `json:"waiting"`
	PagesFree   int    `json:"pages_free"`
	PagesUsed   int    `json:"pages_used"`
	PagesCached int    `json:"pages_cached"`
	PagesTotal  int    `json:"pages_total"`
	Preemptions uint64 `json:"preemptions"`
}

// aboutModels is GET /api/models: what the models page shows.
func (s *Server) aboutModels(w http.ResponseWriter, _ *http.Request) {
	list, all := []modelAbout{}, memory{Budget: s.opts.Memory}
	for i := range s.opts.Models {
		m := &s.opts.Models[i]
		a := modelAbout{
			ID: m.ID, Family: m.About.Family, Parameters: m.About.Parameters, Bytes: m.About.Bytes, Context: m.Context, Vocab: m.About.Vocab,
			Template: m.About.Template, Card: m.About.Card, Tiny: m.About.Tiny, Examples: append([]string{}, m.About.Examples...),
		}
		if m.Stats != nil {
			st := m.Stats()
			all.Used += st.LoRABytes
			a.Stats = &modelStats{st.Running, st.Waiting, st.PagesFree, st.PagesUsed, st.PagesCached, st.PagesTotal, st.Preemptions}
		}
		if m.Status != nil {
			st := m.Status()
			all.Used += st.taken()
			a.Place = s.place(st)
		}
		list = append(list, a)
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": list, "memory": all})
}
