package corpus

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"strings"

	"weft/chat"
)

// Chat is one conversation to learn from.
type Chat struct {
	Tools    []chat.Tool // what the assistant may call; none
	Messages []chat.Message
	Source   string // file:line
}

// SampleChats returns n conversations about the world of Sample with the same
// seed: every answer agrees with what that text says.
func SampleChats(seed uint64, n int) [][]chat.Message {
	w := newWorld(seed)
	w.seed = mix(w.seed ^ 1) // the same people, other dice
	chats := make([][]chat.Message, n)
	for i := range chats {
		var c []chat.Message
		if w.roll(4) == 0 {
			c = append(c, chat.Message{Role: chat.System, Content: w.pick("You are a helpful assistant.", "You know everybody in the six towns.", "Tell the truth, and say so when you do not know.")})
		}
		p := &w.people[w.roll(len(w.people))]
		for k := range 1 + w.roll(3) {
			q, a := w.turn(p, k)
			c = append(c, chat.Message{Role: chat.User, Content: q}, chat.Message{Role: chat.Assistant, Content: a})
			if w.roll(3) == 0 {
				p = w.find(p.friend)
			}
		}
		chats[i] = c
	}
	return chats
}

// turn is the k-th question of a user, mostly about p, and its answer.
func (w *world) turn(p *person, k int) (q, a string) {
	switch w.roll(12) {
	case 0:
		if k > 0 {
			return w.pick("Thank you!", "Thanks."), w.pick("You are welcome.", "You are welcome. Ask me more if you like.")
		}
		return w.pick("Hello!", "Hi there.", "Good morning."), w.pick("Hello! Ask me about the people of the six towns.", "Hello! How can I help you?")
	case 1:
		return w.pick("Who are you?", "What are you?"), "I am a very small language model. I know a few people and towns."
	case 2:
		who := w.pick("Zork", "Quentin", "Brunhild", "Wanda", "Igor")
		return w.pick("Where does "+who+" live?", "What is the job of "+who+"?", "Who is "+who+"?"), "I do not know anybody called " + who + "."
	case 3, 4:
		return w.tell(p, w.pick("Tell me a story about {name}.", "Tell a short story with {name}.", "Do you know a story about {name} and {pet}?")), w.story(p)
	case 5:
		return w.tell(p, w.pick("Tell me about {name}.", "Who is {name}?", "What do you know about {name}?")), w.portrait(p)
	case 6:
		town := towns[w.roll(len(towns))]
		return w.pick("Tell me about "+town+".", "What is there to see in "+town+"?", "Who lives in "+town+"?"), w.townText(town)
	}
	return w.question(p)
}

// ChatsOf yields conversations at hand; source names them in errors.
func ChatsOf(list [][]chat.Message, source string) iter.Seq2[Chat, error] {
	return func(yield func(Chat, error) bool) {
		for i, messages := range list {
			if !yield(Chat{Messages: messages, Source: fmt.Sprintf("%s:%d", source, i+1)}, nil) {
				return
			}
		}
	}
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
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := unzip(f, path)
	if err != nil {
		return err
	}
	return eachLine(r, path, fn)
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
