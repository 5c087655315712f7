package world

import (
	"fmt"
	"iter"
	"strings"

	"weft/chat"
)

// Chats yields n conversations of Train for supervised fine-tuning: every task
// in the proportion of its share, exact whenever n is a multiple of the sum of
// shares and close to it anywhere else. A conversation has one to four turns of
// the user; its Task and Label are those of the last, unless thanks follow it.
// Strangers have names that are mostly made up, so that copying what a passage
// says is learned, and not its usual words.
func (w *World) Chats(n int) iter.Seq[Item] {
	table := specs()
	dice := w.rng("chats")
	w = w.drilled()
	return func(yield func(Item) bool) {
		for i := range n {
			s := scheduled(table, i)
			it := w.chat(dice.fork(i), s, i)
			it.ID, it.Task, it.Split = fmt.Sprintf("chat-%s-%d", Train, i), s.task, Train
			if !yield(it) {
				return
			}
		}
	}
}

// shares is the sum of all shares.
func shares(table []spec) int {
	sum := 0
	for _, s := range table {
		sum += s.share
	}
	return sum
}

// scheduled is the task of the i-th conversation: steps of about the golden
// section through the line of all shares, which visit each place once.
func scheduled(table []spec, i int) spec {
	sum := shares(table)
	step := sum * 618 / 1000
	for gcd(step, sum) != 1 {
		step++
	}
	return atShare(table, i*step%sum)
}

// atShare is the task at a place on the line of shares.
func atShare(table []spec, at int) spec {
	for _, s := range table {
		if at -= s.share; at < 0 {
			return s
		}
	}
	panic("world: beyond the last share")
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// chat makes a conversation that ends with a task, at times with a greeting or
// a system prompt in front, or thanks behind.
func (w *World) chat(r *rng, s spec, n int) Item {
	it := w.converse(r, s, n)
	if s.task != Smalltalk && turns(it) < 4 && r.chance(8) {
		it.Messages = append(smalltalk(r, Train, "small.hello"), it.Messages...)
	}
	if s.task != UseTool && s.task != Smalltalk && turns(it) < 4 && r.chance(8) {
		it.Messages = append(it.Messages, smalltalk(r, Train, "small.thanks")...)
		it.Label = Label{Kind: KindFree}
	}
	if r.chance(20) {
		prompt := chat.Message{Role: chat.System, Content: say(r, Train, "system", "town", w.train.name)}
		it.Messages = append([]chat.Message{prompt}, it.Messages...)
	}
	return it
}

// turns counts the turns of the user.
func turns(it Item) int {
	n := 0
	for _, m := range it.Messages {
		if m.Role == chat.User {
			n++
		}
	}
	return n
}

// maxBefore bounds in bytes what stands before the last turn, so that a
// conversation fits the short context of a small model.
const maxBefore = 600

// converse makes the turns of a conversation: half of them are one question
// only, the others go on about one person, use tools again, or change the
// subject. Most passages are asked more than one question.
func (w *World) converse(r *rng, s spec, n int) Item {
	more := [...]int{0, 0, 0, 0, 0, 1, 1, 1, 2, 3}[r.IntN(10)]
	if s.task == Fact && more > 0 && r.chance(60) {
		return w.aboutOne(r, 1+more)
	}
	if (s.task == Grounded || s.task == Unanswerable) && r.chance(70) {
		return w.aboutPassage(r, s.task, 1+max(1, more))
	}
	it := s.make(w, r, Train, n)
	for range more {
		before := w.before(r, s)
		if before == nil || turns(it)+turns(Item{Messages: before}) > 4 || size(before)+size(it.Messages) > maxBefore+size(it.Messages[len(it.Messages)-1:]) {
			break
		}
		if len(it.Tools) > 0 {
			it.Tools = Tools()
		}
		it.Messages = numberCalls(append(before, it.Messages...))
	}
	if k := it.Label.Call; k != nil { // the label has the id of the message
		call := it.Messages[len(it.Messages)-1].ToolCalls[0]
		it.Label.Call = &call
	}
	return it
}

// before is a turn to stand in front of a task: another use of tools where
// tools are offered, a turn of a task that joins where it joins, or nothing.
func (w *World) before(r *rng, s spec) []chat.Message {
	switch {
	case s.task == UseTool, s.task == ToolAnswer:
		messages, _ := w.tooled(r, w.drawUse(r, Train))
		return messages
	case !s.joins:
		return nil
	}
	table := specs()
	for {
		if other := atShare(table, r.IntN(shares(table))); other.joins {
			return other.make(w, r, Train, r.IntN(1<<16)).Messages
		}
	}
}

// size is the bytes of messages.
func size(messages []chat.Message) int {
	n := 0
	for _, m := range messages {
		n += len(m.Content)
		for _, c := range m.ToolCalls {
			n += len(c.Name) + len(c.Arguments)
		}
	}
	return n
}

// numberCalls gives the calls of a conversation ids in their order.
func numberCalls(messages []chat.Message) []chat.Message {
	out, n := make([]chat.Message, len(messages)), 0
	for i, m := range messages {
		switch {
		case len(m.ToolCalls) > 0:
			n++
			call := m.ToolCalls[0]
			call.ID = fmt.Sprintf("call_%d", n)
			m.ToolCalls = []chat.ToolCall{call}
		case m.Role == chat.ToolResult:
			m.ToolCallID = fmt.Sprintf("call_%d", n)
		}
		out[i] = m
	}
	return out
}

// aboutOne asks for several facts of one entity of the town, which after the
// first question is mostly she, he or it.
func (w *World) aboutOne(r *rng, n int) Item {
	x := pick(r, w.train.facts).of
	it := Item{Level: 1}
	order := r.perm(len(x.facts))
	for i, k := range order[:min(n, len(order))] {
		f := x.facts[k]
		a := answer(r, f)
		q := question(r, f, Train, called(r, x))
		if i > 0 && r.chance(75) {
			t := &teller{r: r, split: Train}
			t.subject(x.he, x.him, x.his, x)
			t.value(f)
			q = t.wrapped(sec(f.kind))
		}
		it.Messages = append(it.Messages, ask(q, a)...)
		it.Label = answerLabel(f.accept(), w.train.rivals(f), a)
	}
	return it
}

// aboutPassage asks a passage several questions, of which the last is of the
// task: answered in the text or not.
func (w *World) aboutPassage(r *rng, task Task, n int) Item {
	level := one(r, 1, 2, 3, 3, 4)
	p := w.passage(r, Train, level)
	if r.chance(15) {
		t := &teller{r: r}
		t.list(p)
		p.text = strings.TrimSpace(string(t.out))
	}
	it := Item{Level: level}
	for i := range n {
		said := r.chance(60)
		if i == n-1 {
			said = task == Grounded
		}
		f := pick(r, p.stated)
		a := answer(r, f)
		it.Label = answerLabel(f.accept(), p.rivals(f), a)
		if !said {
			f = w.unsaid(r, p, Train)
			a, it.Label = notSaid(r, f), Label{Kind: KindUnknown}
		}
		q := question(r, f, Train, f.of.name)
		if i == 0 {
			q = withPassage(r, Train, p.text, q)
		}
		it.Messages = append(it.Messages, ask(q, a)...)
	}
	return it
}
