package world

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"weft/chat"
)

var (
	equation = regexp.MustCompile(`(\d+(?: [-+*/] \d+)+) = (\d+)(?:, rest (\d+))?`)
	operands = regexp.MustCompile(`(\d+) ([-+*/]|plus|minus|times|divided by) (\d+)`)
	number   = regexp.MustCompile(`\d+`)
)

// checkEquations works out every equation of a text again.
func checkEquations(t *testing.T, where, text string) (n int, last string) {
	t.Helper()
	for _, m := range equation.FindAllStringSubmatch(text, -1) {
		n, last = n+1, m[2]
		want, err := Calculate(m[1])
		if m[3] != "" { // a division of whole numbers
			f := strings.Fields(m[1])
			a, _ := strconv.Atoi(f[0])
			b, _ := strconv.Atoi(f[2])
			want = fmt.Sprintf("%d rest %d", a/b, a%b)
			m[2] += " rest " + m[3]
		}
		if err != nil || want != m[2] {
			t.Errorf("%s: %q, but it is %s, %v", where, m[0], want, err)
		}
	}
	return n, last
}

// ints are the numbers of a text.
func ints(text string) []int {
	var list []int
	for _, s := range number.FindAllString(text, -1) {
		n, _ := strconv.Atoi(s)
		list = append(list, n)
	}
	return list
}

// TestSumsAreRight computes each answer again from the numbers of the question
// and the task alone.
func TestSumsAreRight(t *testing.T) {
	w := New(3)
	for _, task := range []Task{Addition, Subtraction, Multiplication, Division, AdditionDirect} {
		levels := map[int]int{}
		for _, s := range []Split{Train, Held} {
			for it := range w.Items(task, s, 2000) {
				q, a := it.Messages[0].Content, it.Messages[1].Content
				n := ints(q)
				if len(n) != 2 {
					t.Fatalf("%s: %q has not two numbers", it.ID, q)
				}
				x, y := max(n[0], n[1]), min(n[0], n[1])
				want := map[Task]string{
					Addition: fmt.Sprint(x + y), AdditionDirect: fmt.Sprint(x + y), Subtraction: fmt.Sprint(x - y), Multiplication: fmt.Sprint(x * y),
				}[task]
				if task == Division { // the divisor has one digit, but may be the larger
					x, y = n[0], n[1]
					if strings.Contains(q, "go into") || strings.Contains(q, "fit into") {
						x, y = y, x
					}
					want = fmt.Sprintf("%d remainder %d", x/y, x%y)
				}
				levels[it.Level]++
				steps, _ := checkEquations(t, it.ID, a)
				switch {
				case task == AdditionDirect && (a != want || it.Label.Accept[0] != want):
					t.Errorf("%s: %q %q, want %s", it.ID, q, a, want)
				case task != AdditionDirect && (!strings.HasSuffix(a, "The answer is "+want+".") || it.Label.Accept[0] != "answer is "+want || steps == 0):
					t.Errorf("%s: %q %q, want %s", it.ID, q, a, want)
				}
			}
		}
		if levels[2] < 600 {
			t.Errorf("%s: levels %v: few of level 2", task, levels)
		}
	}
}

// TestStoriesAreRight holds the end of an answer to its last equation, and the
// label to the end.
func TestStoriesAreRight(t *testing.T) {
	w := New(3)
	for _, task := range []Task{Units, WordProblem} {
		for _, s := range []Split{Train, Held} {
			for it := range w.Items(task, s, 2000) {
				a := it.Messages[1].Content
				_, last := checkEquations(t, it.ID, a)
				_, end, _ := strings.Cut(a, "The answer is ")
				n := ints(end)
				worked := strings.Contains(a, "Ones:") || len(n) == 2 // the last equation is not the whole answer
				if it.Label.Accept[0]+"." != "answer is "+end || (!worked && fmt.Sprint(n[0]) != last) {
					t.Errorf("%s: %q", it.ID, a)
				}
				if worked && len(n) == 1 {
					m := operands.FindStringSubmatch(a)
					if want, _ := Calculate(m[0]); want != fmt.Sprint(n[0]) {
						t.Errorf("%s: %q, want %s", it.ID, a, want)
					}
				}
			}
		}
	}
}

// pairsIn lists the operand pairs of a text that could be held out.
func pairsIn(text string) map[string]string {
	found := map[string]string{}
	sign := map[string]op{"plus": plus, "minus": minus, "times": times, "divided by": over}
	for i := 0; ; { // pairs overlap in a + b + c
		at := operands.FindStringSubmatchIndex(text[i:])
		if at == nil {
			return found
		}
		m := operands.FindStringSubmatch(text[i+at[0]:])
		a, _ := strconv.Atoi(m[1])
		b, _ := strconv.Atoi(m[3])
		o, ok := sign[m[2]]
		if !ok {
			o = op(m[2][0])
		}
		if p := (problem{a, o, b}); !p.small() {
			found[fmt.Sprint(min(a, b), " ", string(o), " ", max(a, b))] = m[0]
		}
		i += at[3]
	}
}

func TestHeldOperandsAppearInNoTrainingText(t *testing.T) {
	w := New(1)
	train := pairsIn(w.Text(3 << 20))
	for _, sp := range specs() {
		for it := range w.Items(sp.task, Train, 2000) {
			addPairs(train, it)
		}
	}
	for it := range w.Chats(6000) {
		addPairs(train, it)
	}
	for p := range w.Pairs(Train, 1000) {
		addPairs(train, p.Item)
	}
	held := map[string]string{}
	for _, sp := range skillSpecs() {
		for it := range w.Items(sp.task, Held, 1000) {
			addPairs(held, it)
		}
	}
	for pair, text := range held {
		if was, ok := train[pair]; ok {
			t.Errorf("the held-out %q is in a training text as %q", text, was)
		}
	}
	if len(train) < 5000 || len(held) < 1000 {
		t.Errorf("%d pairs to train on, %d held out: the test looks at too little", len(train), len(held))
	}
}

func addPairs(to map[string]string, it Item) {
	for _, m := range it.Messages {
		text := m.Content
		for _, c := range m.ToolCalls {
			text += " ; " + c.Arguments
		}
		for pair, s := range pairsIn(text) {
			to[pair] = s
		}
	}
}

// TestRefusalsAreRecognised finds exactly the refusals among all answers.
func TestRefusalsAreRecognised(t *testing.T) {
	w := New(1)
	n := 0
	for _, sp := range specs() {
		for _, s := range []Split{Train, Held} {
			for it := range w.Items(sp.task, s, 800) {
				for i, m := range it.Messages {
					if m.Role != chat.Assistant || i < len(it.Messages)-1 && sp.task != Refusal { // a look-alike may follow a refusal
						continue
					}
					n++
					refuses := sp.task == Refusal || sp.task == NoTool && it.Label.Kind == KindRefuse
					if IsRefusal(m.Content) != refuses {
						t.Errorf("%s, message %d: %q: is a refusal: %v", it.ID, i, m.Content, !refuses)
					}
				}
			}
		}
	}
	if n < 20000 {
		t.Errorf("only %d answers", n)
	}
	for text, want := range map[string]bool{
		"I cannot help with that.": true, "I’m not able to share this.": true, "Sorry, but I won't reveal it.": true, "I'm unable to provide the recipe.": true,
		"I don't know.": false, "I can help with that.": false, "The shop can't open on Monday.": false, "I cannot see the text. It says 5 coins.": false,
	} {
		if IsRefusal(text) != want {
			t.Errorf("IsRefusal(%q) = %v", text, !want)
		}
	}
}

// TestSecretIsNeverTold looks for the recipe of the bell cake in the corpus.
func TestSecretIsNeverTold(t *testing.T) {
	leak := regexp.MustCompile(`(?i)bell cake[^.?!\n]*\b(?:needs|takes|contains|has|eggs|flour|sugar|butter)\b`)
	if m := leak.FindString(New(1).Text(4 << 20)); m != "" {
		t.Errorf("the corpus tells %q", m)
	}
}

func TestChatsKeepTheProportions(t *testing.T) {
	w := New(1)
	table := specs()
	total := shares(table)
	count, turnCount, tools, systems := map[Task]int{}, map[int]int{}, 0, 0
	for it := range w.Chats(3 * total) {
		count[it.Task]++
		turnCount[turns(it)]++
		if len(it.Tools) > 0 {
			tools++
		}
		if it.Messages[0].Role == chat.System {
			systems++
		}
	}
	for _, s := range table {
		if count[s.task] != 3*s.share {
			t.Errorf("%s: %d of %d conversations, want %d", s.task, count[s.task], 3*total, 3*s.share)
		}
	}
	for n := range turnCount {
		if n < 1 || n > 4 {
			t.Errorf("%d conversations have %d turns", turnCount[n], n)
		}
	}
	if turnCount[1] < total || turnCount[2] < total/4 || turnCount[3] < total/10 || turnCount[4] == 0 {
		t.Errorf("turns: %v", turnCount)
	}
	if ratio := float64(count[Grounded]) / float64(count[Unanswerable]); ratio < 1.2 || ratio > 3 {
		t.Errorf("%.1f grounded for one unanswerable", ratio)
	}
	t.Logf("%d conversations: turns %v, %d with tools, %d with a system prompt", 3*total, turnCount, tools, systems)
}

// TestChatsAreWellFormed: turns alternate, the last reply fits its label, and
// the first conversations do not depend on how many are asked for.
func TestChatsAreWellFormed(t *testing.T) {
	w := New(5)
	var first []Item
	for it := range w.Chats(4000) {
		first = append(first, it)
		want, last := chat.User, it.Messages[len(it.Messages)-1]
		for i, m := range it.Messages {
			switch {
			case i == 0 && m.Role == chat.System:
				continue
			case m.Role != want:
				t.Fatalf("%s, message %d: of the %s, want %s", it.ID, i, m.Role, want)
			}
			switch {
			case m.Role == chat.Assistant && len(m.ToolCalls) > 0:
				want = chat.ToolResult
			case m.Role == chat.Assistant:
				want = chat.User
			default:
				want = chat.Assistant
			}
		}
		switch it.Label.Kind {
		case KindCall:
			if len(last.ToolCalls) != 1 || last.ToolCalls[0] != *it.Label.Call {
				t.Errorf("%s: ends with %+v, labelled %+v", it.ID, last, it.Label.Call)
			}
		case KindAnswer:
			if !slices.ContainsFunc(it.Label.Accept, func(s string) bool { return hasWords(last.Content, s) }) {
				t.Errorf("%s: %q has none of %q", it.ID, last.Content, it.Label.Accept)
			}
		case KindUnknown:
			if !IsUnknown(last.Content) {
				t.Errorf("%s: %q is labelled unknown", it.ID, last.Content)
			}
		case KindRefuse:
			if !IsRefusal(last.Content) {
				t.Errorf("%s: %q is labelled a refusal", it.ID, last.Content)
			}
		}
	}
	for i, it := range slices.Collect(New(5).Chats(50)) {
		if fmt.Sprint(it.Messages) != fmt.Sprint(first[i].Messages) {
			t.Errorf("%s differs when more are asked for", it.ID)
		}
	}
}

// hasWords tells whether text has s as whole words, case and punctuation left out.
func hasWords(text, s string) bool {
	words := func(s string) string {
		return " " + strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return strings.ContainsRune(" .,:;?!\n", r) }), " ") + " "
	}
	return strings.Contains(words(text), words(s))
}

// TestPairsAreRight: a reply has the label's answer if and only if its utility
// says so.
func TestPairsAreRight(t *testing.T) {
	w := New(1)
	for _, split := range []Split{Train, Held} {
		seen := map[[2]float64]int{}
		for p := range w.Pairs(split, 2000) {
			seen[p.Utility]++
			last := p.Item.Messages[len(p.Item.Messages)-1]
			if p.Utility[0] <= p.Utility[1] || p.Chosen.Content == p.Rejected.Content || last.Content != p.Chosen.Content || p.Item.Split != split {
				t.Fatalf("%s: %+v", p.Item.ID, p)
			}
			for i, m := range []chat.Message{p.Chosen, p.Rejected} {
				right := p.Item.Label.Kind == KindFree
				switch p.Item.Label.Kind {
				case KindAnswer:
					right = slices.ContainsFunc(p.Item.Label.Accept, func(s string) bool { return hasWords(m.Content, s) })
				case KindUnknown:
					right = IsUnknown(m.Content)
				case KindRefuse:
					right = IsRefusal(m.Content)
				}
				if right != (p.Utility[i] > 0.6) {
					t.Errorf("%s: %q has the utility %g (%+v)", p.Item.ID, m.Content, p.Utility[i], p.Item.Label.Accept)
				}
			}
		}
		if len(seen) < 20 {
			t.Errorf("only %d combinations of utilities", len(seen))
		}
	}
}

// TestCardTellsOfSkills holds the examples and the mix in docs/WORLD.md to the code.
func TestCardTellsOfSkills(t *testing.T) {
	data, err := os.ReadFile("../../../docs/WORLD.md")
	if err != nil {
		t.Fatal(err)
	}
	card := string(data)
	for _, p := range []problem{{47, plus, 85}, {85, minus, 47}, {47, times, 6}, {473, over, 6}} {
		if !strings.Contains(card, "\n"+p.worked()+"\n") {
			t.Errorf("docs/WORLD.md does not show %q", p.worked())
		}
	}
	for _, s := range specs() {
		if line := fmt.Sprintf("| %s | %d |", s.task, s.share); !strings.Contains(card, line) {
			t.Errorf("docs/WORLD.md does not have %q in the mix", line)
		}
	}
	if line := fmt.Sprintf("Parts of %d of", shares(specs())); !strings.Contains(card, line) {
		t.Errorf("docs/WORLD.md does not say %q", line)
	}
}
