package corpus

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"weft/chat"
)

func TestSampleIsTheSameForASeedAndDiffersBetween(t *testing.T) {
	a, b, c := Sample(1, 20_000), Sample(1, 20_000), Sample(2, 20_000)
	if a != b {
		t.Error("two samples of seed 1 differ")
	}
	if a == c {
		t.Error("samples of seeds 1 and 2 are equal")
	}
	if len(a) < 20_000 || len(a) > 22_000 {
		t.Errorf("%d bytes, want 20000 and the rest of a document", len(a))
	}
	if strings.ContainsAny(a, "{}") {
		t.Error("a field was not filled in")
	}
	docs := map[string]bool{}
	n := 0
	for d, err := range ParseText(a, "sample") {
		if err != nil {
			t.Fatal(err)
		}
		docs[d.Text] = true
		n++
	}
	if len(docs) < n*95/100 {
		t.Errorf("only %d of %d documents differ", len(docs), n)
	}
}

// facts finds statements of one form; the world must make each one way only.
func facts(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, form := range []string{
		`(\w+) lives in ([A-Z]\w+)`, `(\w+) is a (\w+)\. S?[Hh]e`, `(\w+) has a (\w+ named \w+)`,
		`house of (\w+) is (\w+)`, `(\w+) likes ([\w ]+) best`, `best friend of (\w+) is (\w+)`, `(\w+) is the ((?:dog|cat|horse|rabbit|parrot|goat) of \w+)`,
	} {
		for _, m := range regexp.MustCompile(form).FindAllStringSubmatch(text, -1) {
			if m[1] == "He" || m[1] == "She" {
				continue
			}
			key := form + m[1]
			if was, ok := found[key]; ok && was != m[2] {
				t.Errorf("%s: %q and %q", key, was, m[2])
			}
			found[key] = m[2]
		}
	}
	return found
}

func TestSampleAndChatsTellTheSameFacts(t *testing.T) {
	var answers strings.Builder
	for _, c := range SampleChats(3, 400) {
		for _, m := range c {
			if m.Role == chat.Assistant {
				answers.WriteString(m.Content + "\n")
			}
		}
	}
	facts(t, answers.String()) // the chats agree with themselves
	both := facts(t, Sample(3, 300_000)+answers.String())
	if len(both) < 100 {
		t.Errorf("only %d facts found: the test shows little", len(both))
	}
}

func TestSampleChatsAreConversations(t *testing.T) {
	a := SampleChats(1, 200)
	if diff := cmp.Diff(a, SampleChats(1, 200)); diff != "" {
		t.Error(diff)
	}
	if len(a) != 200 {
		t.Fatalf("%d conversations, want 200", len(a))
	}
	n := 0
	for c, err := range ChatsOf(a, "chats") {
		if n++; err != nil || c.Source != fmt.Sprintf("chats:%d", n) || !cmp.Equal(c.Messages, a[n-1]) {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	for i, c := range a {
		if c[0].Role == chat.System {
			c = c[1:]
		}
		if len(c) == 0 || len(c)%2 != 0 {
			t.Fatalf("conversation %d has %d turns", i, len(c))
		}
		for k, m := range c {
			if want := []chat.Role{chat.User, chat.Assistant}[k%2]; m.Role != want || m.Content == "" || strings.ContainsAny(m.Content, "{}") {
				t.Fatalf("conversation %d, turn %d: %+v, want words of the %s", i, k, m, want)
			}
		}
	}
}
