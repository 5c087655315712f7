package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"weft/chat"
)

// Chat is one conversation to learn from.
type Chat struct {
	Tools    []chat.Tool // what the assistant may call; none
	Messages []chat.Message
	Source   string // file:line
}

// Chats reads conversations from a .jsonl file (or .gz): each line has
// "messages" (a list of role and content) or the texts "prompt" and
// "completion". A line may offer "tools", an assistant's message may hold
// "tool_calls" and a result of role tool the "tool_call_id" it answers, all as
// OpenAI writes them. The first mistake is an error with file and line; a file
// without conversations wraps ErrEmpty.
func Chats(path string) iter.Seq2[Chat, error] {
	return func(yield func(Chat, error) bool) {
		found, stopped := false, false
		err := eachFileLine(path, func(line []byte, where string) (bool, error) {
			c, err := parseChat(line, where)
			if err != nil {
				return false, err
			}
			found = true
			stopped = !yield(c, nil)
			return !stopped, nil
		})
		if err == nil && !found && !stopped {
			err = fmt.Errorf("%s: %w: no conversation in it", path, ErrEmpty)
		}
		if err != nil && !stopped {
			yield(Chat{}, fmt.Errorf("corpus: %w", err))
		}
	}
}

// eachFileLine opens a .jsonl file for eachLine.
func eachFileLine(path string, fn func(line []byte, where string) (bool, error)) error {
	if kind(path) != ".jsonl" {
		return fmt.Errorf("%s: want a .jsonl file, one conversation per line", path)
	}
	return reading(path, func(r io.Reader) error { return eachLine(r, path, fn) })
}

// message is a chat.Message without fields that would be lost in silence.
type message chat.Message

func (m *message) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode((*chat.Message)(m))
}

// parseChat reads one line.
func parseChat(line []byte, where string) (Chat, error) {
	var row struct {
		Messages           []message
		Prompt, Completion *string
		Tools              []chat.Tool
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return Chat{}, fmt.Errorf("%s: %w", where, err)
	}
	c := Chat{Tools: row.Tools, Source: where}
	for _, m := range row.Messages {
		c.Messages = append(c.Messages, chat.Message(m))
	}
	switch {
	case row.Messages == nil && row.Prompt != nil && row.Completion != nil:
		c.Messages = []chat.Message{{Role: chat.User, Content: *row.Prompt}, {Role: chat.Assistant, Content: *row.Completion}}
	case row.Messages == nil:
		return Chat{}, fmt.Errorf("%s: no \"messages\", nor \"prompt\" and \"completion\" (its fields: %s)", where, fields(line))
	case len(row.Messages) == 0:
		return Chat{}, fmt.Errorf("%s: \"messages\" is empty", where)
	}
	if err := checkChat(c); err != nil {
		return Chat{}, fmt.Errorf("%s: %w", where, err)
	}
	return c, nil
}

// checkChat refuses a conversation that cannot be learned from.
func checkChat(c Chat) error {
	for _, t := range c.Tools {
		if err := t.Check(); err != nil {
			return err
		}
	}
	made := map[string]bool{} // ids of the calls so far
	for i, m := range c.Messages {
		switch m.Role {
		case chat.System, chat.User, chat.Assistant, chat.ToolResult:
		default:
			return fmt.Errorf("message %d: unknown role %q: want system, user, assistant or tool", i, m.Role)
		}
		if len(m.ToolCalls) > 0 && m.Role != chat.Assistant {
			return fmt.Errorf("message %d: \"tool_calls\" of the %s, want them of the assistant", i, m.Role)
		}
		for _, call := range m.ToolCalls {
			made[call.ID] = true
		}
		switch id := m.ToolCallID; {
		case id != "" && m.Role != chat.ToolResult:
			return fmt.Errorf("message %d: \"tool_call_id\" of the %s, want it of a tool", i, m.Role)
		case id != "" && !made[id]:
			return fmt.Errorf("message %d: it answers tool call %q, which nobody made before it", i, id)
		}
	}
	last := c.Messages[len(c.Messages)-1]
	if last.Role != chat.Assistant || strings.TrimSpace(last.Content) == "" && len(last.ToolCalls) == 0 {
		return fmt.Errorf("the last message is of the %s, want an answer of the assistant", last.Role)
	}
	return nil
}
