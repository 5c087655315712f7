package world

import (
	"fmt"
	"iter"

	"weft/chat"
)

// Version counts changes to what a seed yields: files of different versions
// must not be mixed.
const Version = 4

// Split says which half of the world something belongs to. No person, shop,
// place or street name and no phrasing of Held ever appears in Train or in the
// corpus.
type Split string

// The splits.
const (
	Train Split = "train"
	Held  Split = "held"
)

// Task is a kind of question.
type Task string

// The tasks. Those about the town know it from the corpus (closed book), or
// from a passage in the question.
const (
	Fact          Task = "fact"           // closed book: one fact of the town
	UnknownPerson Task = "unknown-person" // closed book: about somebody who does not exist
	TwoHop        Task = "two-hop"        // closed book or passage: through a second entity
	Comparison    Task = "comparison"     // closed book or passage: which of two is more
	Grounded      Task = "grounded"       // the answer is in the passage
	Unanswerable  Task = "unanswerable"   // the passage does not say it
)

// Item is one labelled conversation.
type Item struct {
	ID       string         `json:"id"` // stable: task-split-number
	Task     Task           `json:"task"`
	Split    Split          `json:"split"`
	Level    int            `json:"level"` // difficulty, from 1
	Tools    []chat.Tool    `json:"tools,omitempty"`
	Messages []chat.Message `json:"messages"` // ends with the reference answer of the assistant
	Label    Label          `json:"label"`
}

// The kinds of label.
const (
	KindAnswer  = "answer"
	KindUnknown = "unknown"
	KindCall    = "call"
	KindRefuse  = "refuse"
	KindFree    = "free"
)

// Label says exactly how a reply is judged.
type Label struct {
	Kind   string         `json:"kind"`
	Accept []string       `json:"accept,omitempty"` // answer: one of these must be in the reply, as whole words; case and punctuation do not count
	Reject []string       `json:"reject,omitempty"` // answer: and none of these, the other values that a guesser might list
	Call   *chat.ToolCall `json:"call,omitempty"`   // call: the same name, and arguments that are equal as JSON values
}

// Pair is two replies to the same conversation, of which the first is better by
// a utility that is known because the replies were made to have it.
type Pair struct {
	Item     Item         `json:"item"` // the conversation; its last message is Chosen
	Chosen   chat.Message `json:"chosen"`
	Rejected chat.Message `json:"rejected"`
	Utility  [2]float64   `json:"utility"` // of Chosen and of Rejected, in [0, 1]
}

// Passage is a short text about made-up entities with the facts it states.
type Passage struct {
	ID    string        `json:"id"`
	Title string        `json:"title"`
	Text  string        `json:"text"`
	Facts []PassageFact `json:"facts"`
}

// PassageFact is one fact of a passage: the street of Mia Fenwick is Heron Lane.
type PassageFact struct {
	Entity    string `json:"entity"`
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
}

// generator makes the n-th item of a task in a split: it fills Level, Tools,
// Messages and Label. r is the item's own and depends on seed, task, split and n.
type generator func(w *World, r *rng, split Split, n int) Item

// spec registers a task.
type spec struct {
	task  Task
	make  generator
	share int  // of the chats for SFT, in parts per thousand of all shares
	joins bool // may be one of several turns of a chat
}

// specs is the one table of tasks.
func specs() []spec {
	return append([]spec{
		{Fact, makeFact, 160, true},
		{UnknownPerson, makeUnknownPerson, 30, true},
		{TwoHop, makeTwoHop, 50, true},
		{Comparison, makeComparison, 30, true},
		{Grounded, makeGrounded, 340, false},
		{Unanswerable, makeUnanswerable, 260, false},
	}, skillSpecs()...)
}

// Tasks lists all tasks.
func Tasks() []Task {
	var list []Task
	for _, s := range specs() {
		list = append(list, s.task)
	}
	return list
}

// Items yields the first n items of a task in a split. The i-th is the same
// whatever n is. An unknown task is an error of the caller, who can ask Tasks:
// it yields nothing.
func (w *World) Items(task Task, split Split, n int) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		for _, s := range specs() {
			if s.task != task {
				continue
			}
			for i := range n {
				if !yield(w.item(s, split, i)) {
					return
				}
			}
		}
	}
}

// item makes one item.
func (w *World) item(s spec, split Split, n int) Item {
	it := s.make(w, w.rng("item", string(s.task), string(split)).fork(n), split, n)
	it.ID, it.Task, it.Split = fmt.Sprintf("%s-%s-%d", s.task, split, n), s.task, split
	return it
}

// ask is a conversation of one question and its answer.
func ask(question, answer string) []chat.Message {
	return []chat.Message{{Role: chat.User, Content: question}, {Role: chat.Assistant, Content: answer}}
}
