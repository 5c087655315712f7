package cli

import (
	"bytes"
	"context"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/chat"
)

// scripted says one delta for each request.
type scripted struct {
	deltas []chat.Delta
	seen   []chat.Request
}

func (s *scripted) Generate(_ context.Context, r chat.Request) iter.Seq2[chat.Delta, error] {
	s.seen = append(s.seen, r)
	d := s.deltas[len(s.seen)-1]
	return func(yield func(chat.Delta, error) bool) { yield(d, nil) }
}

// TestChatWithTools plays both tools of an answer and the user.
func TestChatWithTools(t *testing.T) {
	calls := []chat.ToolCall{{ID: "a", Name: "price", Arguments: `{"item": "bread"}`}, {ID: "b", Name: "now", Arguments: "{}"}}
	m := &scripted{deltas: []chat.Delta{{Text: "I look.", ToolCalls: calls, Finish: chat.FinishToolCalls}, {Text: "3 coins.", Finish: chat.FinishStop}}}
	var out bytes.Buffer
	e := &env{in: strings.NewReader("Price?\n3\nnoon\n"), out: &out, err: &out}
	talk := &talk{env: e, model: m, ask: chat.Request{Tools: []chat.Tool{{Name: "price"}, {Name: "now"}}}}
	if err := talk.loop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := "I look.\n[price {\"item\": \"bread\"}]\n[now {}]\n3 coins.\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	want := []chat.Message{
		{Role: chat.User, Content: "Price?"},
		{Role: chat.Assistant, Content: "I look.", ToolCalls: calls},
		{Role: chat.ToolResult, Content: "3", ToolCallID: "a"},
		{Role: chat.ToolResult, Content: "noon", ToolCallID: "b"},
	}
	if len(m.seen) != 2 || len(m.seen[1].Tools) != 2 {
		t.Fatalf("%d requests, want 2 with tools", len(m.seen))
	}
	if diff := cmp.Diff(want, m.seen[1].Messages); diff != "" {
		t.Errorf("the second request (-want +got):\n%s", diff)
	}
}
