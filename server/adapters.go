package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"weft/chat"
)

// Adapters are changes of a model (LoRA) that clients ask for by their own names,
// as if they were models.
type Adapters interface {
	// List returns what is loaded, the oldest first.
	List() []chat.Adapter
	// Load reads an adapter from where the operator allows it. A *chat.InputError
	// says what is wrong with the name (lora_name) or the files (lora_path).
	Load(name, path string) error
	// Unload lets nobody else use an adapter and returns when nobody does, or with
	// ctx. chat.ErrNoAdapter: there is none.
	Unload(ctx context.Context, name string) error
}

// adapter finds an adapter of a model by name.
func (m *Model) adapter(name string) (chat.Adapter, bool) {
	if m.Adapters == nil {
		return chat.Adapter{}, false
	}
	for _, a := range m.Adapters.List() {
		if a.Name == name {
			return a, true
		}
	}
	return chat.Adapter{}, false
}

// adapterCards is what /v1/models says of a model's adapters, in vLLM's words.
func (m *Model) adapterCards() (cards []modelCard) {
	if m.Adapters == nil {
		return nil
	}
	for _, a := range m.Adapters.List() {
		cards = append(cards, m.adapterCard(a))
	}
	return cards
}

func (m *Model) adapterCard(a chat.Adapter) modelCard {
	return modelCard{ID: a.Name, Object: "model", Created: a.Created.Unix(), OwnedBy: "weft", Context: m.Context, Root: a.Path, Parent: m.ID}
}

// adapterCall reads the body of a request about an adapter, and finds the model
// that takes some.
func (s *Server) adapterCall(w http.ResponseWriter, r *http.Request) (o *object, name string, to Adapters, err *apiError) {
	body, err := s.readBody(w, r)
	if err != nil {
		return nil, "", nil, err
	}
	if o, err = parseObject(body, "the body", ""); err != nil {
		return nil, "", nil, err
	}
	if name = o.str("lora_name"); name == "" {
		o.fail("lora_name", "is missing")
	}
	for i := range s.opts.Models {
		if a := s.opts.Models[i].Adapters; a != nil {
			return o, name, a, o.err
		}
	}
	return nil, "", nil, &apiError{Status: http.StatusForbidden, Type: invalidRequest, Code: "adapters_not_allowed",
		Message: "this server takes no adapters while it runs: start it with a folder to read them from (--lora-dir)"}
}

// loadAdapter is POST /v1/load_lora_adapter, as vLLM has it.
func (s *Server) loadAdapter(w http.ResponseWriter, r *http.Request) {
	o, name, to, err := s.adapterCall(w, r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	path := o.str("lora_path")
	if path == "" {
		o.fail("lora_path", "is missing")
	}
	if o.boolean("load_inplace") {
		o.fail("load_inplace", "is not offered: unload the adapter first")
	}
	if _, _, unknown := s.model(name); unknown == nil && o.err == nil {
		o.fail("lora_name", "the name %q is taken: choose another, or unload the adapter first", name)
	}
	if o.err != nil {
		refuse(w, r, o.err)
		return
	}
	if err := to.Load(name, path); err != nil {
		s.fail(w, r, err)
		return
	}
	s.opts.Log.Info("adapter loaded", "request_id", infoOf(r).id, "adapter", name, "path", path)
	text(w, fmt.Sprintf("Success: LoRA adapter '%s' added successfully.", name))
}

// unloadAdapter is POST /v1/unload_lora_adapter, as vLLM has it. It answers when
// the last request through the adapter has ended.
func (s *Server) unloadAdapter(w http.ResponseWriter, r *http.Request) {
	_, name, to, err := s.adapterCall(w, r)
	if err != nil {
		refuse(w, r, err)
		return
	}
	switch err := to.Unload(r.Context(), name); {
	case errors.Is(err, chat.ErrNoAdapter):
		refuse(w, r, noAdapter(fmt.Sprintf("no adapter %q is loaded", name), "lora_name"))
	case err != nil:
		s.fail(w, r, err)
	default:
		s.opts.Log.Info("adapter unloaded", "request_id", infoOf(r).id, "adapter", name)
		text(w, fmt.Sprintf("Success: LoRA adapter '%s' removed successfully.", name))
	}
}

// noAdapter says that an adapter is not there, or no longer.
func noAdapter(message, param string) *apiError {
	return &apiError{Status: http.StatusNotFound, Type: invalidRequest, Param: param, Code: "model_not_found", Message: message}
}

// text answers with plain text.
func text(w http.ResponseWriter, s string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	io.WriteString(w, s)
}
