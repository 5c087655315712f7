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
	list := []modelAbout{}
	for i := range s.opts.Models {
		m := &s.opts.Models[i]
		a := modelAbout{
			ID: m.ID, Family: m.About.Family, Parameters: m.About.Parameters, Bytes: m.About.Bytes, Context: m.Context, Vocab: m.About.Vocab,
			Template: m.About.Template, Card: m.About.Card, Tiny: m.About.Tiny, Examples: append([]string{}, m.About.Examples...),
		}
		if m.Stats != nil {
			st := m.Stats()
			a.Stats = &modelStats{st.Running, st.Waiting, st.PagesFree, st.PagesUsed, st.PagesCached, st.PagesTotal, st.Preemptions}
		}
		list = append(list, a)
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": list})
}
