package eval

import (
	"slices"
	"strings"
	"testing"

	"weft/chat"
	"weft/text/corpus/world"
)

func TestGradeAnswers(t *testing.T) {
	for _, c := range []struct {
		reply          string
		accept, reject []string
		right          bool
	}{
		{"The bread costs 13 coins.", []string{"13"}, nil, true},
		{"The bread costs 132 coins.", []string{"13"}, nil, false},
		{"It is 13.5.", []string{"13"}, nil, false},
		{"At 13:30.", []string{"13"}, nil, false},
		{"It is 1/13 of it.", []string{"13"}, nil, false},
		{"It is -13.", []string{"13"}, nil, false},
		{"26-13=13", []string{"13"}, nil, true},
		{"The answer is 13.", []string{"answer is 13"}, nil, true},
		{"7 + 6 = 13. The answer is 15.", []string{"answer is 13"}, nil, false},
		{"That makes $4.50.", []string{"4.5"}, nil, true},
		{"That makes 1,250 coins", []string{"1250"}, nil, true},
		{"I count 1, 250 and 3,45", []string{"1250"}, nil, false},
		{"from 09:30", []string{"9:30"}, nil, true},
		{"12km away", []string{"12 km"}, nil, true},
		{"the 3rd house", []string{"3"}, nil, false},
		{"house B12", []string{"12"}, nil, false},
		{"on  HERON\nlane!", []string{"Heron Lane"}, nil, true},
		{"at Fenwick’s", []string{"Fenwick's"}, nil, true},
		{"at Fenwick's bakery", []string{"Fenwick"}, nil, true},
		{"Herons", []string{"Heron"}, nil, false},
		{"Mia or Tom", []string{"Mia"}, []string{"Tom"}, false},
		{"Ann Lee", []string{"Ann Lee"}, []string{"Ann"}, true},
		{"Ann Lee, not Ann Roe", []string{"Ann Lee"}, []string{"Ann"}, false},
		{"the Old Mill", []string{"Mill"}, []string{"Old Mill"}, false},
		{"Tom", []string{"Mia", "Tom"}, nil, true},
		{"I don't know. Maybe Mia.", []string{"Mia"}, nil, false},
		{"", []string{"Mia"}, nil, false},
		{"crème brûlée", []string{"Crème Brûlée"}, nil, true},
	} {
		label := world.Label{Kind: world.KindAnswer, Accept: c.accept, Reject: c.reject}
		v := Grade(label, chat.Message{Content: c.reply})
		if v.Right != c.right || v.Right == (v.Why != "") {
			t.Errorf("%q for %q without %q: got %+v, want right %v", c.reply, c.accept, c.reject, v, c.right)
		}
	}
}

func TestGradeCalls(t *testing.T) {
	want := &chat.ToolCall{Name: "price", Arguments: `{"item": "bread", "n": 2, "big": 9007199254740993}`}
	call := func(name, args string) []chat.ToolCall { return []chat.ToolCall{{Name: name, Arguments: args}} }
	const good = `{"n":2,"big":9007199254740993,"item":"bread"}`
	for _, c := range []struct {
		name  string
		calls []chat.ToolCall
		why   string
	}{
		{"order and space do not count", call("price", good), ""},
		{"equal numbers", call("price", `{"n":2.0,"big":9007199254740993,"item":"bread"}`), ""},
		{"none", nil, "no tool"},
		{"two", append(call("price", good), call("price", good)...), "2 calls"},
		{"name", call("hours", good), "calls hours, want price"},
		{"value", call("price", `{"n":3,"big":9007199254740993,"item":"bread"}`), "want"},
		{"large numbers are exact", call("price", `{"n":2,"big":9007199254740992,"item":"bread"}`), "want"},
		{"text is no number", call("price", `{"n":"2","big":9007199254740993,"item":"bread"}`), "want"},
		{"missing", call("price", `{"n":2,"item":"bread"}`), "want"},
		{"more", call("price", `{"n":2,"big":9007199254740993,"item":"bread","x":null}`), "want"},
		{"no JSON", call("price", `{"item":`), "not JSON"},
		{"more than JSON", call("price", good+"}"), "not JSON"},
		{"nothing", call("price", ""), "not JSON"},
	} {
		v := Grade(world.Label{Kind: world.KindCall, Call: want}, chat.Message{ToolCalls: c.calls})
		if v.Right != (c.why == "") || !strings.Contains(v.Why, c.why) {
			t.Errorf("%s: got %+v, want %q", c.name, v, c.why)
		}
	}
	nested := &chat.ToolCall{Name: "f", Arguments: `{"a":[1,{"b":null}],"c":true}`}
	if v := Grade(world.Label{Kind: world.KindCall, Call: nested}, chat.Message{ToolCalls: call("f", `{"c":true,"a":[1,{"b":null}]}`)}); !v.Right {
		t.Errorf("nested: got %+v", v)
	}
}

// TestGradeKinds gives the same replies to every kind of label.
func TestGradeKinds(t *testing.T) {
	_, unknown, refusal := says(t)
	replies := map[string]chat.Message{
		"unknown": {Content: unknown}, "refusal": {Content: refusal}, "words": {Content: "Good morning!"}, "nothing": {},
		"call": {ToolCalls: []chat.ToolCall{{Name: "f", Arguments: "{}"}}},
	}
	for kind, right := range map[string][]string{
		world.KindUnknown: {"unknown"}, world.KindRefuse: {"refusal"}, world.KindFree: {"words"}, world.KindAnswer: {"words"}, world.KindCall: {"call"},
	} {
		label := world.Label{Kind: kind, Accept: []string{"good morning"}, Call: &chat.ToolCall{Name: "f", Arguments: "{}"}}
		for name, reply := range replies {
			v := Grade(label, reply)
			if v.Right != slices.Contains(right, name) {
				t.Errorf("%s said where the label is %s: got %+v", name, kind, v)
			}
			if v.Unknown != (name == "unknown") || v.Refusal != (name == "refusal") {
				t.Errorf("%s: got %+v", name, v)
			}
		}
	}
}

// says finds in the world's own items what its people say when they know, when
// they cannot know, and when they decline.
func says(t *testing.T) (answer, unknown, refusal string) {
	t.Helper()
	w := world.New(1)
	for _, task := range world.Tasks() {
		for it := range w.Items(task, world.Held, 3) {
			last := it.Messages[len(it.Messages)-1].Content
			switch it.Label.Kind {
			case world.KindAnswer:
				answer = last
			case world.KindUnknown:
				unknown = last
			case world.KindRefuse:
				refusal = last
			}
		}
	}
	if answer == "" || unknown == "" || refusal == "" {
		t.Fatalf("the world has no such replies: %q, %q, %q", answer, unknown, refusal)
	}
	return answer, unknown, refusal
}

// TestReferencesAreRight: the reference answer of every item is right by its
// own label, whatever the task, the split and the seed.
func TestReferencesAreRight(t *testing.T) {
	for seed := range uint64(3) {
		w := world.New(seed)
		for _, task := range world.Tasks() {
			for _, split := range []world.Split{world.Train, world.Held} {
				n := 0
				for it := range w.Items(task, split, 100) {
					n++
					if err := checkItem(it); err != nil {
						t.Error(err)
					} else if v := Grade(it.Label, it.Messages[len(it.Messages)-1]); !v.Right {
						t.Errorf("seed %d, %s: %q: %s", seed, it.ID, it.Messages[len(it.Messages)-1].Content, v.Why)
					}
				}
				if n == 0 {
					t.Errorf("%s, %s: no items", task, split)
				}
			}
		}
	}
}

func FuzzGrade(f *testing.F) {
	f.Add("The bread costs 1,250.50 coins at 9:30.", "1250.5", `{"a":1e5,"b":[null,"x"]}`)
	f.Add("-−٣½", "½", `{"a":1e999999999}`)
	f.Fuzz(func(t *testing.T, reply, accept, args string) {
		said := words(reply)
		if again := words(strings.Join(said, " ")); strings.Join(again, " ") != strings.Join(said, " ") {
			t.Errorf("%q gives %q, and those words %q", reply, said, again)
		}
		if len(words(accept)) > 0 {
			label := world.Label{Kind: world.KindAnswer, Accept: []string{accept}}
			if why := answerFault(label, accept); why != "" {
				t.Errorf("%q does not hold itself: %s", accept, why)
			}
			answerFault(label, reply)
		}
		if v, err := decode(args); err == nil && !equal(v, v) {
			t.Errorf("%q is not equal to itself", args)
		}
	})
}
