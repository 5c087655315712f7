package local

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"weft/chat"
	"weft/infer/engine"
	"weft/text/template"
)

// turn is the tokens of an answer to messages on their way through the
// template's parser, which tells text from reasoning and calls. Stop strings
// are looked for in the text alone, and only text has log-probabilities.
type turn struct {
	parse    *template.Parser // nil: the answer to a plain prompt, all of it text
	size     int              // bytes fed
	tokens   []spoken         // that may still turn out to be text, when log-probabilities are asked for
	thoughts writer           // reasoning, sent as whole characters
	ready    []chat.ToolCall  // read and not taken
	calls    int              // calls read
	thought  int              // tokens of reasoning
}

// spoken is a token and where its bytes lie in the turn.
type spoken struct {
	engine.Token
	bytes []byte
	at    int
	given bool // its log-probability went out with a part of it
}

// feed takes a token of the turn.
func (a *answer) feed(t engine.Token, b []byte, special bool) {
	if a.req.Logprobs >= 0 {
		a.turn.tokens = append(a.turn.tokens, spoken{Token: t, bytes: b, at: a.turn.size})
	}
	a.turn.size += len(b)
	before := a.turn.parse.Reasoning()
	a.parsed(a.turn.parse.Feed(b, special))
	if before || a.turn.parse.Reasoning() {
		a.turn.thought++
	}
}

// parsed takes what the parser found.
func (a *answer) parsed(d template.Delta) {
	a.turn.thoughts.add([]byte(d.Reasoning), nil)
	for _, c := range d.ToolCalls {
		c.ID = callID(a.prompt, a.turn.calls, c)
		a.turn.calls++
		a.turn.ready = append(a.turn.ready, c)
	}
	if a.req.Logprobs < 0 {
		a.out.add([]byte(d.Content), nil)
		return
	}
	for _, s := range d.Spans {
		a.span(s)
	}
}

// span sends the bytes of the turn that turned out to be text, token by token.
func (a *answer) span(s template.Span) {
	tokens := a.turn.tokens
	for len(tokens) > 0 && tokens[0].at+len(tokens[0].bytes) <= s.From {
		tokens = tokens[1:] // spans ascend: it was no text
	}
	a.turn.tokens = tokens
	for i := range tokens {
		t := &tokens[i]
		from, to := max(s.From, t.at), min(s.To, t.at+len(t.bytes))
		if t.at >= s.To {
			break
		}
		if part := t.bytes[from-t.at : to-t.at]; t.given {
			a.out.add(part, nil)
		} else {
			a.put(t.Token, part)
		}
		t.given = true
	}
}

// take returns the calls that became complete.
func (t *turn) take() []chat.ToolCall {
	ready := t.ready
	t.ready = nil
	return ready
}

// callID names a call after the prompt it answers, so that the same request
// gets the same names and each turn of a conversation others.
func callID(prompt []int32, n int, c chat.ToolCall) string {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, prompt)
	binary.Write(h, binary.LittleEndian, int64(n))
	h.Write([]byte(c.Name + " " + c.Arguments))
	return "call_" + hex.EncodeToString(h.Sum(nil)[:12])
}
