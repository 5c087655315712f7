package local

import (
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"

	"weft/chat"
	"weft/infer/engine"
	"weft/infer/sample"
	"weft/model"
	"weft/text/template"
	"weft/text/tokenizer"
)

// Tokenizer is what a Model needs of *tokenizer.Tokenizer; see there.
type Tokenizer interface {
	template.Encoder
	Decode(ids []int32) string
	Bytes(id int32) []byte
	IsSpecial(id int32) bool
	BOS() (int32, bool)
	EOS() (int32, bool)
}

// Engine is what a Model needs of *engine.Engine; see there.
type Engine interface {
	Generate(ctx context.Context, r engine.Request) iter.Seq2[engine.Token, error]
}

// Model is one model with its tokenizer, template and engine. It is safe for
// concurrent use.
type Model struct {
	tok  Tokenizer
	tmpl *template.Template // nil: a base model
	eng  Engine
	info model.Info
	ends []int32 // ids that end a text of this model

	identify func() (chat.Identity, error) // nil: nobody can say
	adapters *Adapters                     // nil: it takes none
}

// New puts a Model together. tmpl is nil for a base model, which continues
// text and takes no messages. The engine stays the caller's to close.
func New(tok Tokenizer, tmpl *template.Template, eng Engine, info model.Info) *Model {
	m := &Model{tok: tok, tmpl: tmpl, eng: eng, info: info}
	add := func(id int32) {
		if id >= 0 && int(id) < info.Vocab && !slices.Contains(m.ends, id) {
			m.ends = append(m.ends, id)
		}
	}
	add(info.EOS)
	if id, ok := tok.EOS(); ok {
		add(id)
	}
	if id, ok := tok.BOS(); ok {
		add(id) // the beginning of the next document ends this one
	}
	if tmpl != nil {
		for _, id := range tmpl.Stop(tok) {
			add(id)
		}
	}
	return m
}

// SetIdentity says how to find out what the model is, for requests with Trace.
// Call it before the first request.
func (m *Model) SetIdentity(find func() (chat.Identity, error)) { m.identify = find }

// Info describes the model in numbers.
func (m *Model) Info() model.Info { return m.info }

// Template is the chat template, nil for a base model.
func (m *Model) Template() *template.Template { return m.tmpl }

// Generate runs one request; see chat.Model. Special tokens that do not end
// the text are left out of it. Stop strings are searched for in the new text
// only, never in an echo or in reasoning; the first one to be complete ends the
// text. In an answer to messages, what the template's family of models marks as
// reasoning comes apart; with tools, what it marks as a call and is one comes as
// a chat.ToolCall, and what is not one stays text. With Trace, the last delta says
// what decided the answer.
func (m *Model) Generate(ctx context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	return func(yield func(chat.Delta, error) bool) {
		req, added, err := m.request(r)
		if err != nil {
			yield(chat.Delta{}, err)
			return
		}
		a := m.newAnswer(r, req, added)
		if a.identity, err = m.identity(r, req.Adapter); err != nil {
			yield(chat.Delta{}, err)
			return
		}
		over := false // the answer a
		for t, err := range m.eng.Generate(ctx, req) {
			if err != nil {
				yield(chat.Delta{}, err)
				return
			}
			if t.Choice > a.choice { // a search sends one answer after the other
				identity := a.identity
				a, over = m.newAnswer(r, req, added), false
				a.choice, a.identity = t.Choice, identity
			}
			if over {
				continue
			}
			d, ended := a.token(t)
			d.Choice, over = a.choice, ended
			if ended || d.Text != "" || d.Reasoning != "" || len(d.Logprobs) > 0 || len(d.ToolCalls) > 0 {
				if !yield(d, nil) || ended && r.Beam == nil {
					return // leaving the range frees what the engine holds
				}
			}
		}
	}
}

// request translates r for the engine. added is the number of ids in front of
// the prompt that the caller did not write.
func (m *Model) request(r chat.Request) (req engine.Request, added int, err error) {
	ids, added, err := m.prompt(r)
	if err != nil {
		return engine.Request{}, 0, err
	}
	var adapter *engine.Adapter
	if r.Adapter != "" {
		if adapter, err = m.adapters.serving(r.Adapter); err != nil {
			return engine.Request{}, 0, err
		}
	}
	stop := r.StopIDs
	if !r.IgnoreEOS {
		stop = slices.Concat(stop, m.ends)
	}
	req = engine.Request{
		Prompt:    ids,
		Params:    params(r.Sampling),
		MaxTokens: r.MaxTokens,
		Stop:      stop,
		Logprobs:  r.Logprobs,
		DraftLen:  r.DraftMax,
		Tenant:    r.User,
		Salt:      r.CacheSalt,
		Adapter:   adapter,
		// Without tokens to generate, the prompt's are all there is to wait for.
		PromptLogprobs: r.Echo && r.Logprobs >= 0 || r.MaxTokens < 0,
	}
	if b := r.Beam; b != nil {
		req.Params = sample.Params{}
		req.Beam = &engine.Beam{Width: b.Width, Best: b.Best, LengthPenalty: b.LengthPenalty, EarlyStopping: b.EarlyStopping}
	}
	return req, added, nil
}

// identity is what the model is, for a request that wants to know; else nil.
func (m *Model) identity(r chat.Request, a *engine.Adapter) (*chat.Identity, error) {
	if !r.Trace {
		return nil, nil
	}
	if m.identify == nil {
		return nil, errors.New("local: a trace of a model without identity")
	}
	id, err := m.identify()
	id.Adapter = a.Hash()
	return &id, err
}

// prompt turns the request's words into ids.
func (m *Model) prompt(r chat.Request) (ids []int32, added int, err error) {
	set := 0
	for _, there := range []bool{len(r.Messages) > 0, r.Prompt != "", len(r.PromptIDs) > 0} {
		if there {
			set++
		}
	}
	switch {
	case len(r.Tools) > 0 && len(r.Messages) == 0:
		return nil, 0, &chat.InputError{Param: "tools", Msg: "are for messages, not for a plain prompt"}
	case set > 1:
		return nil, 0, &chat.InputError{Param: "prompt", Msg: "send messages, a text or token ids, not several of them"}
	case len(r.PromptIDs) > 0:
		return r.PromptIDs, 0, nil
	case len(r.Messages) > 0:
		ids, err = m.render(r)
		return ids, len(ids), err
	}
	tok := m.fork()
	ids = tok.Encode(r.Prompt)
	if err := tok.Err(); err != nil {
		return nil, 0, &chat.InputError{Param: "prompt", Msg: err.Error()}
	}
	if bos, ok := m.tok.BOS(); ok && (len(ids) == 0 || ids[0] != bos) {
		return append([]int32{bos}, ids...), 1, nil
	}
	if len(ids) == 0 {
		return nil, 0, &chat.InputError{Param: "prompt", Msg: "is empty, and this model has no token that begins a text"}
	}
	return ids, 0, nil
}

// fork is the tokenizer for one request, whose Err is not that of others.
func (m *Model) fork() Tokenizer {
	if t, ok := m.tok.(*tokenizer.Tokenizer); ok {
		return t.Fork()
	}
	return m.tok
}

// render writes the conversation down and opens the assistant's turn.
func (m *Model) render(r chat.Request) ([]int32, error) {
	if m.tmpl == nil {
		return nil, chat.ErrNoTemplate
	}
	if r.Echo {
		return nil, &chat.InputError{Param: "echo", Msg: "is for plain prompts, not for messages"}
	}
	for _, t := range r.Tools {
		if err := t.Check(); err != nil {
			return nil, &chat.InputError{Param: "tools", Msg: err.Error()}
		}
	}
	o := template.Options{GenerationPrompt: !r.Continue, Continue: r.Continue, Tools: r.Tools, NoMask: true}
	for k, v := range r.TemplateArgs {
		if o.Extra == nil {
			o.Extra = map[string]any{}
		}
		o.Extra[k] = v
	}
	out, err := m.tmpl.RenderWith(m.fork(), r.Messages, o)
	switch {
	case errors.Is(err, template.ErrVariables):
		return nil, &chat.InputError{Param: "chat_template_kwargs", Msg: err.Error()}
	case errors.Is(err, template.ErrMarker):
		return nil, err // the model folder is at fault, not the request
	case errors.Is(err, template.ErrTools):
		return nil, &chat.InputError{Param: "tools", Msg: err.Error()}
	case err != nil:
		return nil, &chat.InputError{Param: "messages", Msg: err.Error()}
	}
	return out.IDs, nil
}

// params fills in the defaults of chat.Sampling.
func params(s chat.Sampling) sample.Params {
	p := sample.Params{
		Temperature: 1, TopP: 1, TopK: s.TopK, MinP: s.MinP,
		RepetitionPenalty: s.RepetitionPenalty, PresencePenalty: s.PresencePenalty, FrequencyPenalty: s.FrequencyPenalty,
		Seed: rand.Uint64() >> 11, LogitBias: s.LogitBias, // 53 bits: every language's JSON can hold them
	}
	if s.Temperature != nil {
		p.Temperature = *s.Temperature
	}
	if s.TopP != nil {
		p.TopP = *s.TopP
	}
	if s.Seed != nil {
		p.Seed = *s.Seed
	}
	return p
}
