package template

import (
	"fmt"
	"slices"
	"strings"

	"weft/chat"
)

// maxCall bounds the bytes of one tool call; a longer one is text.
const maxCall = 1 << 20

// Delta is what a piece of an answer made known. Content and Reasoning may end
// inside a character: the rest comes with a later delta.
type Delta struct {
	Content   string
	Reasoning string
	ToolCalls []chat.ToolCall // whole, without IDs
	Errors    []*CallError    // calls that are none; their text is in Content
	Spans     []Span          // where in the stream Content lies, ascending
}

// Span is a range of bytes of the stream, every piece counted.
type Span struct{ From, To int }

// CallError says why what an assistant marked as a tool call is none. Its
// words came out as content; a marker that was a special token did not.
type CallError struct {
	Family string // see Families
	Text   string // the call as the model wrote it, markers and all
	Err    error
}

func (e *CallError) Error() string {
	return fmt.Sprintf("%s: not a tool call: %v: %.200q", e.Family, e.Err, e.Text)
}

// Unwrap gives the reason.
func (e *CallError) Unwrap() error { return e.Err }

// ParseOptions says what an answer answers. The zero value reads reasoning and
// leaves calls in the text.
type ParseOptions struct {
	Tools  []chat.Tool // what the model was offered; none: calls are not read
	Prompt string      // the rendered prompt, or its end: it may have opened the reasoning
}

// Parser reads an assistant's turn while it is being written: content,
// reasoning, tool calls. What comes out does not depend on where one piece
// ends and the next begins. A Parser reads one turn and is not safe for
// concurrent use.
//
// A marker that the tokenizer has as a special token counts only as that
// token, so an answer may quote it in words. Other markers are words: they
// count wherever they stand, but reasoning is opened by words only in front of
// the content. White space that the family puts around a section or a call
// (see family.glue) belongs to neither side.
type Parser struct {
	f      *family
	types  types           // of the tools' parameters; nil: calls are not read
	strict map[string]bool // markers that count only as special tokens

	mode mode
	call *form  // of the call that is open
	buf  []byte // words in which a marker may have begun
	at   int    // offset of buf in the stream

	content, reasoning lane
	held               []piece // of the call, or of what may become one
	quoted             quoted  // whether its words end inside a JSON string
	section            section // whether they end in a section that is quoted
	begunCall          bool    // a word of it came, which decides guarded
	guarded            bool    // quoted matters for this call
	messages           int     // headers that ended, in the harmony format
	header             string  // the last of them
	lead               string  // what may be left out in front of the reasoning
	out                Delta
}

// mode is what the next words belong to.
type mode int

const (
	inContent   mode = iota
	inStart          // content, unless the turn turns out to be a call as a whole
	inReasoning      // between the marks of the family
	inCall
	inHeader // of a message in the harmony format
)

// piece is a range of the stream.
type piece struct {
	at      int
	text    string
	special bool
}

// Parser returns a parser for an answer to o.Prompt. tok says which markers
// are special tokens; nil: none is, all are found in words.
func (t *Template) Parser(tok Encoder, o ParseOptions) *Parser {
	return newParser(t.familyOf(), tok, o)
}

func newParser(f *family, tok Encoder, o ParseOptions) *Parser {
	if f.to != "" {
		f = f.addressed(o.Tools)
	}
	p := &Parser{f: f, strict: map[string]bool{}}
	p.content.glue, p.reasoning.glue = f.glue, f.glue
	if len(o.Tools) > 0 {
		p.types = typesOf(o.Tools)
	}
	for _, m := range f.markers() {
		if tok != nil && !slices.Contains(f.words, m) {
			_, p.strict[m] = special(tok, m)
		}
	}
	tail := strings.TrimRight(o.Prompt, " \n")
	switch {
	case f.harmony && (tail == "" || strings.HasSuffix(tail, "<|start|>assistant")):
		p.mode = inHeader
	case f.harmony: // the prompt leaves a message open
	case f.think.open != "" && strings.HasSuffix(tail, f.think.open):
		p.openReasoning()
	case f.think.open != "" && f.think.lead != "" && strings.HasSuffix(tail, f.think.open+strings.TrimSpace(f.think.lead)):
		p.openReasoning()
		p.lead = ""
	case f.whole && p.types != nil, f.to != "" && strings.HasSuffix(tail, f.to):
		p.mode = inStart
	}
	return p
}

// Feed takes the bytes of one piece of the answer; special says that they are
// a special token, which is a marker or nothing.
func (p *Parser) Feed(b []byte, special bool) Delta {
	p.out = Delta{}
	if special && !slices.Contains(p.f.words, bare(string(b))) {
		p.scan(true) // no marker in words goes on behind a special token
		p.token(string(b))
	} else {
		p.buf = append(p.buf, b...)
		p.scan(false)
	}
	return p.out
}

// Reasoning reports whether what comes next is reasoning.
func (p *Parser) Reasoning() bool { return p.mode == inReasoning }

// Finish ends the turn: what was held back comes out.
func (p *Parser) Finish() Delta {
	p.out = Delta{}
	p.scan(true)
	switch p.mode {
	case inCall:
		p.endCall()
	case inReasoning:
		p.endLead(p.at, true)
	case inStart:
		p.giveBack()
	case inHeader:
		if p.messages > 0 {
			p.held = nil // who speaks next: nothing was said
		}
		p.giveBack()
	}
	p.content.finish()
	p.reasoning.finish()
	p.collect()
	return p.out
}

// token takes a special token. One that is no marker here is control and left
// out, but for those that the reader of a call looks for.
func (p *Parser) token(text string) {
	at := p.at
	p.at += len(text)
	if !slices.Contains(p.list(), text) {
		text = bare(text)
	}
	switch {
	case slices.Contains(p.list(), text):
		p.marker(piece{at, text, true})
	case p.mode == inReasoning && p.f.form(text) != nil && p.types != nil: // a call without an end of the reasoning
		p.marker(piece{at, text, true})
	case (p.mode == inCall || p.mode == inHeader) && slices.Contains(p.f.inner, text):
		p.held = append(p.held, piece{at, text, true})
	}
	p.collect()
}

// scan takes the words in buf up to where a marker may have begun; all of
// them at the end.
func (p *Parser) scan(end bool) {
	for len(p.buf) > 0 {
		i, m := p.find()
		if m == "" {
			keep := 0
			if !end {
				keep = p.begun()
			}
			if p.take(len(p.buf) - keep); len(p.buf) <= keep {
				break
			}
			continue // what take gave back is to be read otherwise
		}
		if i > 0 {
			p.take(i)
			continue // other markers may count now
		}
		if p.mode == inCall && (p.guarded && p.quoted.in || p.section.in) {
			p.take(1) // inside a string of the arguments
			continue
		}
		at := p.at
		p.buf, p.at = p.buf[len(m):], p.at+len(m)
		p.marker(piece{at, m, false})
	}
	p.collect()
}

// take moves the first n bytes of buf to where they belong.
func (p *Parser) take(n int) {
	if n == 0 {
		return
	}
	w := piece{at: p.at, text: string(p.buf[:n])}
	p.buf, p.at = p.buf[n:], p.at+n
	switch p.mode {
	case inContent:
		p.content.add(w)
	case inReasoning:
		p.reason(w)
	case inHeader:
		p.held = append(p.held, w)
		p.bound()
	case inStart:
		p.held = append(p.held, w)
		p.start()
	case inCall:
		if first := strings.TrimLeft(w.text, " \t\r\n"); !p.begunCall && first != "" {
			p.begunCall, p.guarded = true, p.call.guard || first[0] == '{' || first[0] == '['
		}
		if p.guarded {
			p.quoted.advance(w.text)
		}
		if p.call.sections {
			p.section.advance(w.text)
		}
		p.held = append(p.held, w)
		p.bound()
	}
}

// bound gives up on a call that is too long to be one.
func (p *Parser) bound() {
	if n := p.held[len(p.held)-1]; n.at+len(n.text)-p.held[0].at > maxCall {
		p.fail(fmt.Errorf("it is longer than %d bytes", maxCall))
		p.mode = inContent
	}
}

// reason takes words of the reasoning, without what stands in front by rule.
func (p *Parser) reason(w piece) {
	n := min(len(p.lead), len(w.text))
	if w.text[:n] == p.lead[:n] {
		w.text, w.at, p.lead = w.text[n:], w.at+n, p.lead[n:]
	} else {
		p.endLead(w.at, false)
	}
	if w.text != "" {
		p.reasoning.add(w)
	}
}

// endLead gives back what was taken for the lead and is not it; at is where it
// ended. At the end of the section its white space may be missing.
func (p *Parser) endLead(at int, end bool) {
	full := p.f.think.lead
	if said := full[:len(full)-len(p.lead)]; p.lead != "" && said != "" && !(end && said == strings.TrimSpace(full)) {
		p.reasoning.add(piece{at: at - len(said), text: said})
	}
	p.lead = ""
}

func (p *Parser) openReasoning() {
	p.mode, p.lead = inReasoning, p.f.think.lead
	p.reasoning.border()
}

// marker changes the mode.
func (p *Parser) marker(m piece) {
	switch p.mode {
	case inStart:
		p.giveBack()
		p.mode = inContent
		p.marker(m)
	case inHeader:
		p.endHeader(m)
	case inCall:
		if m.text == p.call.close || p.f.harmony {
			p.held = append(p.held, m)
			if p.f.harmony {
				p.call.close = m.text
			}
			p.endCall()
			p.after()
			return
		}
		p.endCall()
		if f := p.f.form(m.text); f != nil {
			p.openCall(m, f)
			return
		}
		p.after()
	case inReasoning:
		if m.text == p.f.think.open && !p.f.harmony {
			return // said again behind a prompt that opened it
		}
		p.endLead(m.at, true)
		p.reasoning.border()
		p.after()
		if f := p.f.form(m.text); f != nil {
			p.openCall(m, f)
		}
	case inContent:
		switch f := p.f.form(m.text); {
		case f != nil && p.types != nil:
			p.openCall(m, f)
		case m.text == p.f.think.open && !p.f.harmony:
			p.content.border()
			p.openReasoning()
		default: // marks that stand around content
			p.content.border()
			p.after()
		}
	}
}

// after is what follows a section or a call that ended.
func (p *Parser) after() {
	if p.f.harmony {
		p.mode = inHeader
		return
	}
	p.mode = inContent
	p.content.border()
}

func (p *Parser) openCall(m piece, f *form) {
	p.beginCall(f)
	p.held = append(p.held[:0], m)
}

// beginCall opens a call of which nothing was read yet.
func (p *Parser) beginCall(f *form) {
	p.mode, p.call, p.begunCall, p.guarded, p.quoted, p.section = inCall, f, false, false, quoted{}, section{}
}

// payload is what stands between the markers of the open call.
func (p *Parser) payload() string {
	list := p.held
	if n := len(list); n > 0 && p.call.open != "" {
		list = list[1:]
	}
	if n := len(list); n > 0 && list[n-1].text == p.call.close {
		list = list[:n-1]
	}
	return join(list)
}

func join(list []piece) string {
	var b strings.Builder
	for _, w := range list {
		b.WriteString(w.text)
	}
	return b.String()
}

// endCall reads the open call.
func (p *Parser) endCall() {
	calls, err := p.call.read(p.payload(), p.types)
	if err == nil && len(calls) == 0 {
		err = errNoCall
	}
	if err != nil {
		p.fail(err)
		return
	}
	p.out.ToolCalls = append(p.out.ToolCalls, calls...)
	p.held = p.held[:0]
	p.content.border()
}

// fail gives the held words back as content and says why.
func (p *Parser) fail(err error) {
	p.out.Errors = append(p.out.Errors, &CallError{Family: p.f.name, Text: p.header + join(p.held), Err: err})
	p.giveBack()
}

// giveBack makes what was held content; special tokens stay out.
func (p *Parser) giveBack() {
	for _, h := range p.held {
		if !h.special {
			p.content.add(h)
		}
	}
	p.held = p.held[:0]
}

// collect moves what the lanes have to say into the delta.
func (p *Parser) collect() {
	for _, c := range p.content.ready {
		p.out.Content += c.text
		if n := len(p.out.Spans); n > 0 && p.out.Spans[n-1].To == c.at {
			p.out.Spans[n-1].To += len(c.text)
		} else {
			p.out.Spans = append(p.out.Spans, Span{c.at, c.at + len(c.text)})
		}
	}
	for _, r := range p.reasoning.ready {
		p.out.Reasoning += r.text
	}
	p.content.ready, p.reasoning.ready = nil, nil
}
