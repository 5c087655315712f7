package eval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"math/big"
	"slices"
	"strings"

	"weft/chat"
	"weft/text/corpus/world"
)

// Verdict is what a reply is worth.
type Verdict struct {
	Right   bool   `json:"right"`
	Unknown bool   `json:"unknown,omitempty"` // it says that it does not know
	Refusal bool   `json:"refusal,omitempty"` // it declines
	Why     string `json:"why,omitempty"`     // it is wrong
}

// Grade judges a reply by its label. Letter case, punctuation and white space
// never count. A number counts whole and by value: 13 is neither in 132 nor in
// 13.5, but 4.50 is 4.5 and 1,250 is 1250. A rejected form inside an accepted
// one ("Ann" in "Ann Lee") does not count against the reply.
func Grade(label world.Label, reply chat.Message) Verdict {
	v := Verdict{Unknown: world.IsUnknown(reply.Content), Refusal: world.IsRefusal(reply.Content)}
	v.Why = fault(label, reply, v)
	v.Right = v.Why == ""
	return v
}

// fault says what is wrong with a reply; nothing: it is right.
func fault(label world.Label, reply chat.Message, v Verdict) string {
	if label.Kind == world.KindCall {
		return callFault(label.Call, reply.ToolCalls)
	}
	if len(reply.ToolCalls) > 0 {
		return "called " + reply.ToolCalls[0].Name + " instead of answering"
	}
	switch {
	case label.Kind == world.KindUnknown && !v.Unknown:
		return "does not say that it cannot know"
	case label.Kind == world.KindRefuse && !v.Refusal:
		return "does not refuse"
	case label.Kind == world.KindUnknown, label.Kind == world.KindRefuse:
		return ""
	case v.Refusal:
		return "refuses"
	case v.Unknown:
		return "says that it does not know"
	case len(words(reply.Content)) == 0:
		return "says nothing"
	case label.Kind == world.KindAnswer:
		return answerFault(label, reply.Content)
	}
	return ""
}

// answerFault looks for the accepted and the rejected forms.
func answerFault(label world.Label, text string) string {
	said := words(text)
	right := make([]bool, len(said)) // words of accepted forms
	found := false
	for _, form := range label.Accept {
		for at, n := range spans(said, words(form)) {
			found = true
			for i := range n {
				right[at+i] = true
			}
		}
	}
	if !found {
		return fmt.Sprintf("does not say %q", label.Accept)
	}
	for _, form := range label.Reject {
		for at, n := range spans(said, words(form)) {
			if slices.Contains(right[at:at+n], false) {
				return fmt.Sprintf("also says %q", form)
			}
		}
	}
	return ""
}

// spans yields where form stands in said, and its length.
func spans(said, form []string) iter.Seq2[int, int] {
	return func(yield func(int, int) bool) {
		for at := 0; len(form) > 0 && at+len(form) <= len(said); at++ {
			if slices.Equal(said[at:at+len(form)], form) && !yield(at, len(form)) {
				return
			}
		}
	}
}

func callFault(want *chat.ToolCall, calls []chat.ToolCall) string {
	switch {
	case len(calls) == 0:
		return "calls no tool"
	case len(calls) > 1:
		return fmt.Sprintf("makes %d calls, want one", len(calls))
	case calls[0].Name != want.Name:
		return fmt.Sprintf("calls %s, want %s", calls[0].Name, want.Name)
	}
	have, err := decode(calls[0].Arguments)
	if err != nil {
		return "arguments are not JSON: " + calls[0].Arguments
	}
	if wanted, err := decode(want.Arguments); err != nil || !equal(have, wanted) {
		return fmt.Sprintf("calls with %s, want %s", calls[0].Arguments, want.Arguments)
	}
	return ""
}

// decode reads exactly one JSON value, numbers as they are written.
func decode(text string) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is text behind the value")
	}
	return v, nil
}

// equal compares JSON values: objects without their order, numbers by value.
func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, x := range a {
			if y, ok := b[k]; !ok || !equal(x, y) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(string(a), string(b))
	}
	return a == b
}

// sameNumber compares whole numbers exactly, others as float64.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") {
		x, _ := new(big.Int).SetString(a, 10)
		y, _ := new(big.Int).SetString(b, 10)
		return x != nil && y != nil && x.Cmp(y) == 0
	}
	x, xerr := json.Number(a).Float64()
	y, yerr := json.Number(b).Float64()
	return xerr == nil && yerr == nil && x == y
}

// checkItem says why an item cannot be judged.
func checkItem(it world.Item) error {
	last := len(it.Messages) - 1
	switch {
	case last < 1 || it.Messages[last].Role != chat.Assistant:
		return fmt.Errorf("eval: item %s: its %d messages do not end with a question and its reference answer", it.ID, last+1)
	case it.Label.Kind == world.KindCall && it.Label.Call == nil:
		return fmt.Errorf("eval: item %s: its label is a call, but it has none", it.ID)
	case it.Label.Kind == world.KindAnswer && len(it.Label.Accept) == 0:
		return fmt.Errorf("eval: item %s: its label accepts no answer", it.ID)
	case !slices.Contains([]string{world.KindAnswer, world.KindUnknown, world.KindRefuse, world.KindCall, world.KindFree}, it.Label.Kind):
		return fmt.Errorf("eval: item %s: its label is of kind %q, want answer, unknown, refuse, call or free", it.ID, it.Label.Kind)
	}
	return nil
}
