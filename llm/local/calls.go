package local

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"weft/chat"
	"weft/infer/engine"
	"weft/text/template"
)

// callReader gathers the tokens between the markers of tool calls. Stop strings
// are not looked for there, and there are no log-probabilities: both are for
// text.
type callReader struct {
	mark  int32 // id in front of each call; -1: calls are not read
	open  bool  // inside a call
	held  []heldToken
	ready []chat.ToolCall // read and not taken
	made  int             // calls read
}

// heldToken is a token that may still turn out to be text.
type heldToken struct {
	engine.Token
	bytes []byte
}

// end closes the call that is open, if any. It returns the tokens when they
// are no call.
func (c *callReader) end(prompt []int32) []heldToken {
	held := c.held
	c.open, c.held = false, nil
	if len(held) == 0 {
		return nil
	}
	var text strings.Builder
	for _, h := range held {
		text.Write(h.bytes)
	}
	call, err := template.ParseCall(text.String())
	if err != nil {
		return held
	}
	call.ID = callID(prompt, c.made, text.String())
	c.made++
	c.ready = append(c.ready, call)
	return nil
}

// take returns the calls that became complete.
func (c *callReader) take() []chat.ToolCall {
	ready := c.ready
	c.ready = nil
	return ready
}

// callID names a call after the prompt it answers, so that the same request
// gets the same names and each turn of a conversation others.
func callID(prompt []int32, n int, text string) string {
	h := sha256.New()
	binary.Write(h, binary.LittleEndian, prompt)
	binary.Write(h, binary.LittleEndian, int64(n))
	h.Write([]byte(text))
	return "call_" + hex.EncodeToString(h.Sum(nil)[:12])
}
