package world

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"weft/chat"
)

func TestCalculate(t *testing.T) {
	for in, want := range map[string]string{
		"17 * 23": "391", "1+2*3": "7", "(1 + 2) * 3": "9", "2 - 3 - 4": "-5", "7 / 2": "3.5", "1 / 3": "0.3333", "2 / 3": "0.6667", "-(2 + 3)": "-5",
		"0.1 + 0.2": "0.3", " 8 ": "8", "2 * -3": "-6", "1 / 8": "0.125", "10 / 2 / 5": "1", "((((7))))": "7", "99999999999 * 99999999999": "9999999999800000000001",
	} {
		if got, err := Calculate(in); got != want || err != nil {
			t.Errorf("Calculate(%q) = %q, %v; want %s", in, got, err, want)
		}
	}
	for _, in := range []string{"", "1 +", "1 / 0", "(1", "1)", "a", "1 2", "1..2", ".", "2 ^ 3", "1e9", "0x10", "1_000", strings.Repeat("(", 300), "1/3/(1-1)"} {
		if got, err := Calculate(in); err == nil {
			t.Errorf("Calculate(%q) = %q, want an error", in, got)
		} else if !strings.HasPrefix(err.Error(), "calculator: ") {
			t.Errorf("Calculate(%q): %v: it does not say where", in, err)
		}
	}
}

func FuzzCalculate(f *testing.F) {
	for _, s := range []string{"17 * 23", "(1 + 2) / -3.50", "1/(2-2)", "((", "9.9.9", "--1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Calculate(s)
		if err != nil {
			return
		}
		again, err := Calculate("(" + got + ")")
		if len(got) < maxExpression-2 && (err != nil || again != got) {
			t.Errorf("Calculate(%q) = %q, which is read as %q, %v", s, got, again, err)
		}
	})
}

func TestCallTool(t *testing.T) {
	w := New(1)
	s := w.train.shops[0]
	g := s.goods[0]
	call := func(name, args string) (string, error) { return w.CallTool(chat.ToolCall{Name: name, Arguments: args}) }
	text := func(v string) string { b, _ := json.Marshal(v); return string(b) }
	for args, want := range map[string]string{
		`{"item": ` + text(g.name) + `, "shop": ` + text(bare(s.name)) + `}`:                   coins(g.price),
		`{"shop": ` + text(strings.ToUpper(s.name)) + `, "item": ` + text(withA(g.name)) + `}`: coins(g.price),
		`{"item": "unicorn", "shop": ` + text(s.name) + `}`:                                    notFound,
		`{"item": "unicorn"}`:                          notFound,
		`{"item": "blue lantern", "shop": "Nobody's"}`: notFound,
	} {
		if got, err := call("price", args); got != want || err != nil {
			t.Errorf("price %s = %q, %v; want %q", args, got, err, want)
		}
	}
	if got, err := call("price", `{"item": `+text(g.name)+`}`); err != nil || !strings.Contains(got, coins(g.price)+" at "+s.name) {
		t.Errorf("price of %s at all = %q, %v", g.name, got, err)
	}
	rest := weekdays[s.rest()]
	if got, err := call("hours", `{"shop": `+text(s.name)+`, "day": "`+rest+`"}`); got != "closed" || err != nil {
		t.Errorf("hours on %s = %q, %v", rest, got, err)
	}
	for _, bad := range [][2]string{
		{"weather", `{}`}, {"price", `{}`}, {"price", `{"item": 3}`}, {"price", `{"item": "saw", "town": "x"}`}, {"price", `[]`}, {"price", ``},
		{"hours", `{"shop": "x"}`}, {"hours", `{"shop": "x", "day": "someday"}`}, {"calculator", `{"expression": "1 / 0"}`},
	} {
		if got, err := call(bad[0], bad[1]); err == nil {
			t.Errorf("%s %s = %q, want an error", bad[0], bad[1], got)
		}
	}
}

// TestCallsAreTrue executes every call of items and chats again, and finds its
// arguments in the words of the user.
func TestCallsAreTrue(t *testing.T) {
	w := New(1)
	calls := map[string]int{}
	results := map[string]int{}
	check := func(it Item) {
		said := ""
		for i, m := range it.Messages {
			if m.Role == chat.User {
				said = m.Content
			}
			if m.Role == chat.ToolResult {
				said += " " + m.Content // a later call may use it
			}
			for _, c := range m.ToolCalls {
				calls[c.Name]++
				if !slices.ContainsFunc(it.Tools, func(o chat.Tool) bool { return o.Name == c.Name }) {
					t.Errorf("%s: %s is called but not offered", it.ID, c.Name)
				}
				got, err := w.CallTool(c)
				if err != nil || (i+1 < len(it.Messages) && it.Messages[i+1].Content != got) {
					t.Fatalf("%s: %s %s = %q, %v", it.ID, c.Name, c.Arguments, got, err)
				}
				results[choose(got == notFound || got == "closed", got, "found")]++
				checkCopied(t, it.ID, c, said)
			}
		}
	}
	for _, s := range []Split{Train, Held} {
		for _, task := range []Task{UseTool, ToolAnswer} {
			for it := range w.Items(task, s, 3000) {
				check(it)
			}
		}
	}
	for it := range w.Chats(3000) {
		check(it)
	}
	for _, name := range []string{toolCalculator, toolPrice, toolHours} {
		if calls[name] < 1000 {
			t.Errorf("%d calls of %s", calls[name], name)
		}
	}
	if results[notFound] < 200 || results["closed"] < 200 || results["found"] < 5000 {
		t.Errorf("results: %v", results)
	}
}

// checkCopied finds the arguments of a call in what was said before.
func checkCopied(t *testing.T, id string, c chat.ToolCall, said string) {
	t.Helper()
	var args map[string]string
	if err := json.Unmarshal([]byte(c.Arguments), &args); err != nil {
		t.Fatal(err)
	}
	for name, v := range args {
		for _, word := range strings.Fields(strings.NewReplacer("(", " ", ")", " ", "+", " ", "*", " ", "/", " ", "- ", " ").Replace(v)) {
			if !strings.Contains(said, word) && !strings.Contains(said, plural(word)) {
				t.Errorf("%s: the argument %s = %q is not in %q", id, name, v, said)
			}
		}
	}
}

// TestToolPhrasings counts the ways to ask for each tool.
func TestToolPhrasings(t *testing.T) {
	for tool, sections := range map[string][]string{
		toolCalculator: {"tool.calc", "tool.calc.cost", "tool.calc.both"},
		toolPrice:      {"tool.price.shop", "tool.price", "tool.price.many"},
		toolHours:      {"tool.hours"},
	} {
		var n [2]int
		for _, s := range sections {
			n[0] += len(sec(s).of(Train, formSay))
			n[1] += len(sec(s).of(Held, formSay))
		}
		if n[0] < 25 || n[1] < 12 {
			t.Errorf("%s: %d phrasings, %d held out; want 25 and 12", tool, n[0], n[1])
		}
	}
}

// TestNoToolIsNeeded: what is offered would not help, and none is called.
func TestNoToolIsNeeded(t *testing.T) {
	for it := range New(1).Items(NoTool, Held, 500) {
		if len(it.Tools) != 3 || it.Label.Kind == KindCall || slices.ContainsFunc(it.Messages, func(m chat.Message) bool { return len(m.ToolCalls) > 0 }) {
			t.Errorf("%s: %+v", it.ID, it)
		}
	}
}

// TestStallsAreOfTheMarket: a shop that no town has, named as theirs are, has
// prices and hours; drills ask mostly for such shops and call them by the words
// of the question.
func TestStallsAreOfTheMarket(t *testing.T) {
	w := New(1)
	call := func(name, args string) string {
		got, err := w.CallTool(chat.ToolCall{Name: name, Arguments: args})
		if err != nil {
			t.Errorf("%s %s: %v", name, args, err)
		}
		return got
	}
	for i := range weekdays {
		args := `"shop": "Golden Vilten", "day": "` + weekdays[i] + `"}`
		if got := call(toolHours, "{"+args); got == notFound || got != call(toolHours, strings.ToLower("{"+strings.Replace(args, "Golden", "The Golden", 1))) {
			t.Errorf("hours of the Golden Vilten on %s: %q", weekdays[i], got)
		}
	}
	sold := 0
	for _, item := range []string{"trout", "old trout", "jar of honey", "blue lantern"} {
		sold += btoi(call(toolPrice, `{"item": "`+item+`", "shop": "the Golden Vilten"}`) != notFound)
	}
	for _, args := range []string{`{"item": "unicorn", "shop": "Golden Vilten"}`, `{"item": "trout", "shop": "Strange Vilten"}`, `{"item": "trout", "shop": "Golden Vilten Corner"}`} {
		if got := call(toolPrice, args); got != notFound {
			t.Errorf("price %s = %q", args, got)
		}
	}
	stalls, n := 0, 0
	for it := range w.Chats(3000) {
		for _, m := range it.Messages {
			for _, c := range m.ToolCalls {
				var args map[string]string
				if err := json.Unmarshal([]byte(c.Arguments), &args); err != nil {
					t.Fatal(err)
				}
				if shop := args["shop"]; shop != "" && !strings.Contains(shop, "'s") {
					n++
					stalls += btoi(w.shopNamed(shop) == nil)
				}
			}
		}
	}
	if sold < 2 || 100*stalls < 60*n || n < 200 {
		t.Errorf("the Golden Vilten sells %d of 4 goods; %d of %d shops with a noun are in no town", sold, stalls, n)
	}
}

// TestMarketIsApart: no shop or good of the market is one of the towns'.
func TestMarketIsApart(t *testing.T) {
	w := New(1)
	for _, town := range []*town{w.train, w.held} {
		for _, s := range town.shops {
			if isMarketShop(s.name) {
				t.Errorf("%s is a shop of the market too", s.name)
			}
		}
	}
	for _, tr := range trades {
		for _, g := range tr.goods {
			if isMarketGood(strings.ReplaceAll(g, "_", " ")) {
				t.Errorf("%s is sold at the market too", g)
			}
		}
	}
}
