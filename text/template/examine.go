package template

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"weft/chat"
	"weft/text/jinja"
)

// Finding is something about a template and a tokenizer that their user should
// know.
type Finding struct {
	Level string `json:"level"` // fault: answers suffer; warning: they may; note
	About string `json:"about"` // bos, stop, markers, prefix, mask, tools, reasoning, render
	Text  string `json:"text"`
}

// Levels of findings.
const (
	Fault   = "fault"
	Warning = "warning"
	Note    = "note"
)

// examiner gathers findings.
type examiner struct {
	t    *Template
	tok  SpecialEncoder
	o    Options // with tools, for a template that is nothing without
	list []Finding
}

func (e *examiner) say(level, about, format string, args ...any) {
	e.list = append(e.list, Finding{level, about, fmt.Sprintf(format, args...)})
}

// Examine looks for what makes a sound model answer badly: markers that are not
// special tokens, two beginnings or none, no end, a prompt that is no prefix of
// the conversation, answers that are not read back as they were written.
func (t *Template) Examine(tok SpecialEncoder) []Finding {
	e := &examiner{t: t, tok: tok}
	e.say(Note, "family", "answers are read as %s", t.Family())
	if t.script == nil {
		if err := t.Check(tok); err != nil {
			e.say(Fault, "markers", "%v", err)
			return e.list
		}
	} else if err := t.script.found().err; err != nil {
		e.say(Fault, "render", "a question with an answer cannot be rendered: %v", err)
		return e.list
	}
	e.o.NoMask = true
	if t.script != nil && t.script.found().needs {
		e.o.Tools = zTools()
	}
	turns := []chat.Message{{Role: chat.User, Content: "first " + zText}, {Role: chat.Assistant, Content: "second " + zText}, {Role: chat.User, Content: "third " + zText}, {Role: chat.Assistant, Content: "fourth " + zText}}
	r, err := t.RenderWith(tok, turns, e.o)
	if err != nil {
		e.say(Fault, "render", "two questions with answers cannot be rendered: %v", err)
		return e.list
	}
	e.beginning(r)
	e.end()
	e.markers(turns)
	e.prefixes(turns)
	e.answers()
	return e.list
}

// beginning looks at the first token.
func (e *examiner) beginning(r Rendered) {
	var bos int32
	known := false
	if b, ok := e.tok.(interface{ BOS() (int32, bool) }); ok {
		bos, known = b.BOS()
	}
	if id, ok := e.tok.Special(e.t.bos); ok && e.t.bos != "" {
		bos, known = id, true
	}
	count := 0
	for _, id := range r.IDs {
		if known && id == bos {
			count++
		}
	}
	name := string(e.tok.Bytes(bos))
	switch {
	case !known:
		e.say(Note, "bos", "the tokenizer has no token that begins a text")
	case count > 1:
		e.say(Fault, "bos", "a conversation has %s %d times, want it once", name, count)
	case count == 1 && r.IDs[0] == bos:
		e.say(Note, "bos", "the template writes %s itself and weft adds no other: a program that encodes the rendered text and adds its own gets two", name)
	case count == 0 && e.t.script != nil && e.t.script.Tokens["bos_token"] != "":
		e.say(Warning, "bos", "the template does not write %s, which the tokenizer's files name as what begins a text: the model was trained without it, or the template is not its own", name)
	}
}

// end looks at how an answer stops.
func (e *examiner) end() {
	stop := e.t.Stop(e.tok)
	if len(stop) == 0 {
		e.say(Fault, "stop", "no special token ends an answer: it goes on until its limit")
	}
	if e.t.script == nil {
		return
	}
	f := e.t.script.found()
	behind, ends := cmp.Or(f.end, f.next), e.t.ends(e.tok)
	within := slices.ContainsFunc(e.tok.EncodeSpecial(behind), func(id int32) bool { return e.t.family.inside(string(e.tok.Bytes(id))) })
	switch {
	case len(ends) == 0 && f.end == "":
		e.say(Warning, "stop", "the template writes nothing behind an answer: nothing teaches a model to stop there")
	case len(ends) == 0 && within && len(stop) > 0:
		e.say(Note, "stop", "more may follow what the template writes behind an answer, %q: a turn ends with %s", short(behind), names(e.tok, stop))
	case len(ends) == 0:
		e.say(Fault, "stop", "an answer ends with %q, which is no special token: nothing stops the model behind it", short(behind))
	default:
		if id, _ := e.tok.Special(ends[0]); len(e.t.script.EOS) > 0 && !slices.Contains(e.t.script.EOS, id) {
			e.say(Warning, "stop", "an answer ends with %s (%d), which the model's files do not list among the ids that end one, %d: weft stops there, other programs may not", ends[0], id, e.t.script.EOS)
		} else {
			e.say(Note, "stop", "an answer ends with %s (%d)", ends[0], id)
		}
	}
}

// names spells ids.
func names(tok SpecialEncoder, ids []int32) string {
	list := make([]string, len(ids))
	for i, id := range ids {
		list[i] = fmt.Sprintf("%s (%d)", tok.Bytes(id), id)
	}
	return strings.Join(list, ", ")
}

// markerLike is how authors spell what they mean to be one token.
var markerLike = regexp.MustCompile(`<[|｜][^<>\s]{1,60}[|｜]>|<\|[a-z_]+>|<[a-z_]+\|>|\[/?[A-Z_]{3,30}\]|<(?:start|end)_of_[a-z]+>|</?s>`)

// markers looks for special tokens that are none here.
func (e *examiner) markers(turns []chat.Message) {
	list, err := e.t.authored(turns, e.o)
	if err != nil {
		return
	}
	seen := map[string]bool{}
	for _, s := range list {
		for _, m := range markerLike.FindAllString(s, -1) {
			if seen[m] {
				continue
			}
			seen[m] = true
			if _, ok := special(e.tok, m); ok {
				continue
			}
			if ids := e.tok.EncodeSpecial(m); len(ids) != 1 {
				e.say(Warning, "markers", "the template writes %s, which is no special token here: the model sees %d ordinary ones, which anybody can write too", m, len(ids))
			}
		}
	}
}

// authored is what the template's author wrote around messages.
func (t *Template) authored(msgs []chat.Message, o Options) ([]string, error) {
	var texts []string
	if t.script == nil {
		parts, err := t.parts(msgs, o)
		for _, p := range parts {
			if p.marker {
				texts = append(texts, p.text)
			}
		}
		return texts, err
	}
	list, err := t.script.segments(msgs, o)
	var run strings.Builder
	for _, s := range append(list, jinja.Segment{Data: true}) {
		if !s.Data {
			run.WriteString(s.Text)
		} else if run.Len() > 0 {
			texts = append(texts, run.String())
			run.Reset()
		}
	}
	return texts, err
}

// prefixes looks whether a conversation that goes on begins as it did: the
// cache stays good, and training sees what serving sees.
func (e *examiner) prefixes(turns []chat.Message) {
	for _, c := range []struct {
		from, to int
		open     bool
		what     string
	}{
		{1, 2, true, "the prompt for an answer is not what stands in front of it afterwards, so training sees other prompts than serving"},
		{2, 3, false, "an answer is written otherwise once the conversation goes on, so the cache of it is lost"},
		{3, 4, true, "the prompt for a second answer is not what stands in front of it afterwards"},
	} {
		o := e.o
		b, err2 := e.t.Text(turns[:c.to], o)
		o.GenerationPrompt = c.open
		a, err := e.t.Text(turns[:c.from], o)
		if err != nil || err2 != nil || strings.HasPrefix(b, a) {
			continue
		}
		at := common([]byte(a), []byte(b))
		e.say(Warning, "prefix", "%s: first %q, then %q", c.what, short(a[at:]), short(b[at:]))
	}
}

// answers looks whether what the template writes for an assistant is read back.
func (e *examiner) answers() {
	o := e.o
	o.NoMask = false
	e.answer("content", "an answer", chat.Message{Role: chat.Assistant, Content: zText}, o)
	thought := chat.Message{Role: chat.Assistant, Content: zText, Reasoning: zThought}
	switch {
	case e.t.script != nil && e.t.script.found().shape.reasoning == "" || e.t.script == nil:
		e.say(Note, "reasoning", "the template has no form for reasoning in a conversation: it leaves it out")
	default:
		e.answer("reasoning", "an answer with reasoning", thought, o)
	}
	if err := e.t.CheckTools(e.tok); err != nil {
		e.say(Note, "tools", "%v", err)
		return
	}
	if e.t.script != nil && !e.t.script.found().calls {
		e.say(Warning, "tools", "the template tells of tools but has no form for calls that were made: a conversation ends with its first call")
		return
	}
	o.Tools = zTools()
	e.answer("tools", "a call", zCall(), o)
}

// answer renders one and reads it back.
func (e *examiner) answer(about, what string, m chat.Message, o Options) {
	got, errs, err := e.t.readBack(e.tok, m, o)
	switch {
	case err != nil:
		e.say(Warning, about, "%s cannot be learned: %v", what, err)
	case len(errs) > 0:
		e.say(Fault, about, "%s that the template writes is not read back: %v", what, errs[0])
	case strings.TrimSpace(got.Content) != m.Content || strings.TrimSpace(got.Reasoning) != m.Reasoning || len(got.ToolCalls) != len(m.ToolCalls):
		e.say(Warning, about, "%s that the template writes is read back as content %q, reasoning %q and %d calls", what, short(got.Content), short(got.Reasoning), len(got.ToolCalls))
	default:
		e.say(Note, about, "%s is written and read back", what)
	}
}

// readBack renders an answer and parses what an assistant would have said.
func (t *Template) readBack(tok SpecialEncoder, m chat.Message, o Options) (chat.Message, []*CallError, error) {
	msgs := []chat.Message{{Role: chat.User, Content: "x"}, m}
	r, err := t.RenderWith(tok, msgs, o)
	if err != nil {
		return chat.Message{}, nil, err
	}
	o.GenerationPrompt, o.NoMask = true, true
	prompt, err := t.RenderWith(tok, msgs[:1], o)
	if err != nil {
		return chat.Message{}, nil, err
	}
	p, stop := t.Parser(tok, ParseOptions{Tools: o.Tools, Prompt: prompt.Text}), t.Stop(tok)
	got := chat.Message{Role: chat.Assistant}
	var errs []*CallError
	take := func(d Delta) {
		got.Content += d.Content
		got.Reasoning += d.Reasoning
		got.ToolCalls = append(got.ToolCalls, d.ToolCalls...)
		errs = append(errs, d.Errors...)
	}
	for i, id := range r.IDs {
		if !r.Mask[i] || i < common(r.IDs, prompt.IDs) {
			continue
		}
		if slices.Contains(stop, id) {
			break
		}
		take(p.Feed(tok.Bytes(id), tok.IsSpecial(id)))
	}
	take(p.Finish())
	return got, errs, nil
}
