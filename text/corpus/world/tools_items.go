package world

import (
	"slices"
	"strings"

	"weft/chat"
)

// makeTool makes an item whose answer is a call. In a chain (level 3) it is the
// second one, half of the times.
func makeTool(w *World, r *rng, s Split, _ int) Item {
	u := w.drawUse(r, s)
	call, messages := u.call, []chat.Message{{Role: chat.User, Content: u.question}}
	if u.then != nil && r.IntN(2) == 0 {
		messages = w.called(messages, call)
		call = u.then.call
	}
	messages = append(messages, calling(call))
	return Item{Level: u.level, Tools: offer(r, u), Messages: messages, Label: Label{Kind: KindCall, Call: &call}}
}

// makeToolAnswer makes an item with the calls and their results, whose answer
// says what the last result is.
func makeToolAnswer(w *World, r *rng, s Split, _ int) Item {
	u := w.drawUse(r, s)
	messages, label := w.tooled(r, u)
	return Item{Level: u.level, Tools: offer(r, u), Messages: messages, Label: label}
}

// makeNoTool makes an item that offers tools which its question does not need.
func makeNoTool(w *World, r *rng, s Split, _ int) Item {
	inner := pick(r, []Task{Smalltalk, Smalltalk, Fact, Fact, UnknownPerson, Grounded, Unanswerable, Refusal, Lookalike})
	for _, sp := range specs() {
		if sp.task != inner {
			continue
		}
		for {
			it := sp.make(w, r, s, r.IntN(1<<16))
			if !needsTool(it) {
				it.Tools = Tools()
				return it
			}
		}
	}
	panic("world: no task " + inner)
}

// needsTool tells whether the price list or the opening hours would help with a
// question.
func needsTool(it Item) bool {
	q := ""
	for _, m := range it.Messages {
		if m.Role == chat.User {
			q += " " + m.Content
		}
	}
	return slices.ContainsFunc([]string{"coin", "cost", "price", "pay", "open", "close", "o'clock", "hour", "cheap", "dear", "expensive", "much"}, func(word string) bool {
		return strings.Contains(q, word)
	})
}

// tooled is the whole conversation of a use.
func (w *World) tooled(r *rng, u use) ([]chat.Message, Label) {
	messages := w.called([]chat.Message{{Role: chat.User, Content: u.question}}, u.call)
	answer := u.answer
	if u.then != nil {
		messages, answer = w.called(messages, u.then.call), u.then.answer
	}
	text, label := answer(r, messages[len(messages)-1].Content)
	return append(messages, chat.Message{Role: chat.Assistant, Content: text}), label
}

// called appends a call and its result.
func (w *World) called(messages []chat.Message, call chat.ToolCall) []chat.Message {
	result, err := w.CallTool(call)
	if err != nil {
		panic(err) // the world's own calls are valid
	}
	return append(messages, calling(call), chat.Message{Role: chat.ToolResult, Content: result, Name: call.Name, ToolCallID: call.ID})
}

// calling is the message of a call.
func calling(call chat.ToolCall) chat.Message {
	return chat.Message{Role: chat.Assistant, ToolCalls: []chat.ToolCall{call}}
}

// offer is the tools of a conversation: all of them, or at times only those
// that it uses.
func offer(r *rng, u use) []chat.Tool {
	list := Tools()
	if u.then == nil && r.IntN(4) == 0 {
		for _, t := range list {
			if t.Name == u.call.Name {
				return []chat.Tool{t}
			}
		}
	}
	return list
}
