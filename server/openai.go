package server

import (
	"cmp"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"strings"

	"weft/chat"
)

// head is what every body and chunk of one response repeats.
type head struct {
	id           string
	model        string
	created      int64 // Unix seconds
	includeUsage bool
}

// usage is OpenAI's count of tokens.
type usage struct {
	Prompt     int `json:"prompt_tokens"`
	Completion int `json:"completion_tokens"`
	Total      int `json:"total_tokens"`
	Details    struct {
		Cached int `json:"cached_tokens"`
	} `json:"prompt_tokens_details"`
	CompletionDetails struct {
		Reasoning int `json:"reasoning_tokens"`
	} `json:"completion_tokens_details"`
}

// add counts one choice; its prompt only if it is the prompt's first choice.
func (u *usage) add(c *chat.Usage, first bool) {
	if c == nil {
		return
	}
	if first {
		u.Prompt += c.PromptTokens
		u.Details.Cached += c.CachedTokens
	}
	u.Completion += c.CompletionTokens
	u.CompletionDetails.Reasoning += c.ReasoningTokens
	u.Total = u.Prompt + u.Completion
}

// maybeUsage is the usage field of a chunk: null in all but the last.
type maybeUsage struct{ *usage }

// MarshalJSON writes null for no usage. The embedded pointer alone would write
// the fields of nothing.
func (m maybeUsage) MarshalJSON() ([]byte, error) { return json.Marshal(m.usage) }

// response is a whole answer or a chunk, of either endpoint.
type response[Choice any] struct {
	ID      string      `json:"id"`
	Object  string      `json:"object"`
	Created int64       `json:"created"`
	Model   string      `json:"model"`
	Choices []Choice    `json:"choices"`
	Usage   *maybeUsage `json:"usage,omitempty"`

	Manifest *chat.Manifest `json:"weft_manifest,omitempty"` // ours; only where it was asked for
}

// respond wraps choices. With include_usage, every chunk but the last says
// "usage": null, as OpenAI's do.
func respond[Choice any](h head, object string, choices ...Choice) response[Choice] {
	if choices == nil {
		choices = []Choice{}
	}
	r := response[Choice]{ID: h.id, Object: object, Created: h.created, Model: h.model, Choices: choices}
	if h.includeUsage {
		r.Usage = &maybeUsage{}
	}
	return r
}

// with adds the counts, and the manifest if it was asked for.
func (r response[Choice]) with(u usage, m *chat.Manifest) response[Choice] {
	r.Usage, r.Manifest = &maybeUsage{&u}, m
	return r
}

// endWith is with for the last chunk of a stream, which has the counts only if
// they were asked for.
func (r response[Choice]) endWith(u usage, m *chat.Manifest) response[Choice] {
	if r.Usage != nil {
		return r.with(u, m)
	}
	r.Manifest = m
	return r
}

// byteInts is written as an array of numbers, as OpenAI does, not as base64.
type byteInts []byte

// MarshalJSON implements json.Marshaler.
func (b byteInts) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for i, c := range b {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, int64(c), 10)
	}
	return append(out, ']'), nil
}

// finite replaces what JSON cannot hold; OpenAI sends -9999 for "never".
func finite(f float64) float64 {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return -9999
	}
	return f
}

// modelCard is one entry of GET /v1/models. Context is vLLM's name for what
// OpenAI does not say.
type modelCard struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	Context int    `json:"max_model_len,omitempty"`
	Root    string `json:"root,omitempty"`   // vLLM's: of an adapter, where it was read from,
	Parent  string `json:"parent,omitempty"` // and the model that it changes
	State   string `json:"state,omitempty"`  // ours: loaded, unloaded, loading, unloading
}

// card is what /v1/models says of a model.
func (m *Model) card() modelCard {
	c := modelCard{ID: m.ID, Object: "model", Created: m.Created.Unix(), OwnedBy: "weft", Context: m.Context}
	if m.Status != nil {
		c.State = m.Status().State
	}
	return c
}

// listModels is GET /v1/models.
func (s *Server) listModels(w http.ResponseWriter, r *http.Request) {
	list := struct {
		Object string      `json:"object"`
		Data   []modelCard `json:"data"`
	}{Object: "list", Data: []modelCard{}}
	for i := range s.opts.Models {
		m := &s.opts.Models[i]
		list.Data = append(append(list.Data, m.card()), m.adapterCards()...)
	}
	writeJSON(w, http.StatusOK, list)
}

// showModel is GET /v1/models/{id}; ids may hold slashes.
func (s *Server) showModel(w http.ResponseWriter, r *http.Request) {
	m, adapter, err := s.model(r.PathValue("id"))
	if err != nil {
		refuse(w, r, err)
		return
	}
	if a, ok := m.adapter(adapter); ok {
		writeJSON(w, http.StatusOK, m.adapterCard(a))
		return
	}
	writeJSON(w, http.StatusOK, m.card())
}

// model finds a model by its name, or by that of one of its adapters; no name is
// the first model.
func (s *Server) model(id string) (m *Model, adapter string, err *apiError) {
	var names []string
	for i := range s.opts.Models {
		m := &s.opts.Models[i]
		if id == "" || m.ID == id {
			return m, "", nil
		}
		if a, ok := m.adapter(id); ok {
			return m, a.Name, nil
		}
		names = append(names, m.ID)
		for _, c := range m.adapterCards() {
			names = append(names, c.ID)
		}
	}
	return nil, "", &apiError{
		Status: http.StatusNotFound, Type: invalidRequest, Param: "model", Code: "model_not_found",
		Message: "the model " + strconv.Quote(id) + " does not exist; this server has " + strings.Join(names, ", "),
	}
}

// chatCompletions is POST /v1/chat/completions.
func (s *Server) chatCompletions(w http.ResponseWriter, r *http.Request) {
	body, err := s.readBody(w, r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	c, err := decodeChat(body)
	if err != nil {
		refuse(w, r, err)
		return
	}
	m, adapter, err := s.model(c.model)
	if err != nil {
		refuse(w, r, err)
		return
	}
	c.req.Adapter = adapter
	h := s.head("chatcmpl-", cmp.Or(adapter, m.ID), c.common)
	s.answer(w, r, m, c.common, repeat(c.req, c.n), chatCodec{h, c.logprobs, make([]int, c.n)})
}

// completions is POST /v1/completions.
func (s *Server) completions(w http.ResponseWriter, r *http.Request) {
	body, err := s.readBody(w, r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	c, err := decodeText(body)
	if err != nil {
		refuse(w, r, err)
		return
	}
	m, adapter, err := s.model(c.model)
	if err != nil {
		refuse(w, r, err)
		return
	}
	var jobs []chat.Request
	for _, req := range c.reqs {
		req.Adapter = adapter
		jobs = append(jobs, repeat(req, c.bestOf)...)
	}
	h := s.head("cmpl-", cmp.Or(adapter, m.ID), c.common)
	s.answer(w, r, m, c.common, jobs, &textCodec{head: h, top: c.top, offset: make([]int, len(c.reqs)*c.bestOf)})
}

// head begins a response: one id and one time for all of its chunks.
func (s *Server) head(prefix, model string, c common) head {
	return head{id: prefix + s.newID(), model: model, created: s.now().Unix(), includeUsage: c.includeUsage}
}

// repeat makes the n requests behind "n": the same one with the seeds seed,
// seed+1, and so on.
func repeat(r chat.Request, n int) []chat.Request {
	if r.Beam != nil { // one search finds them all
		n = 1
	}
	out := make([]chat.Request, n)
	for i := range out {
		out[i] = r
		if r.Sampling.Seed != nil {
			seed := *r.Sampling.Seed + uint64(i)
			out[i].Sampling.Seed = &seed
		}
	}
	return out
}
