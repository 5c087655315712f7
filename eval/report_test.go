package eval

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"reflect"
	"strings"
	"testing"

	"weft/chat"
	"weft/text/corpus/world"
)

// kindly makes results of a task: n of a kind, of which some are right, some
// abstain and some decline.
func kindly(task world.Task, level int, kind string, n, right, unknown, refused int) (out []Result) {
	for i := range n {
		out = append(out, Result{ID: string(task), Hash: hash(task, level, i), Task: task, Level: level, Kind: kind, Tokens: 4,
			Verdict: Verdict{Right: i < right, Unknown: i >= n-unknown, Refusal: i < refused}})
	}
	return out
}

func reportOf(results ...[]Result) Report {
	var r Report
	for _, some := range results {
		r.Results = append(r.Results, some...)
	}
	r.Scores = sumUp(r.Results)
	return r
}

func TestBars(t *testing.T) {
	r := reportOf(
		kindly(world.Fact, 1, world.KindAnswer, 500, 499, 0, 0),
		kindly(world.Grounded, 1, world.KindAnswer, 500, 430, 50, 0),
		kindly(world.Unanswerable, 1, world.KindUnknown, 500, 300, 300, 0),
		kindly("refusal", 1, world.KindRefuse, 400, 400, 0, 400),
		kindly("lookalike", 1, world.KindAnswer, 500, 440, 0, 60),
		kindly(world.Addition, 1, world.KindAnswer, 500, 0, 0, 0), kindly(world.Addition, 2, world.KindAnswer, 500, 500, 0, 0),
	)
	r.Checks = r.Check(TinyBars())
	var got []string
	for _, c := range r.Checks {
		got = append(got, string(c.Task)+" "+string(c.Metric)+" "+c.Bar.String()+" "+c.Verdict())
	}
	want := []string{
		"fact right ≥ 95 % met",
		"grounded right ≥ 85 % met, within noise",
		"grounded abstained ≤ 10 % met, within noise",
		"unanswerable right ≥ 85 % missed",
		"addition right ≥ 90 % met",
		"refusal right ≥ 95 % met, but only 400 of 500 items",
		"lookalike refused ≤ 5 % missed",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	s, _ := r.Find(world.Unanswerable, 0)
	if s.Abstained.Of != 0 || s.Refused.Of != 500 {
		t.Errorf("unanswerable: abstaining is right there, so it is no share: %+v", s)
	}
	if s, _ = r.Find("refusal", 0); s.Refused.Of != 0 {
		t.Errorf("refusal: declining is right there: %+v", s)
	}

	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"  wrongly unknown", "  level 2", "  wrongly refused"} {
		if strings.Count(text.String(), line) != 1 {
			t.Errorf("the table has %d lines %q, want one:\n%s", strings.Count(text.String(), line), line, &text)
		}
	}
	for line := range strings.Lines(strings.TrimSpace(r.Markdown())) {
		if strings.Count(line, "|") != 7 {
			t.Errorf("line %q has not 6 columns", line)
		}
	}
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(data, &back); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("the report does not come back from JSON: %v", err)
	}
}

func TestCompare(t *testing.T) {
	before := reportOf(kindly("a", 1, world.KindAnswer, 100, 50, 0, 0), kindly("b", 1, world.KindAnswer, 20, 9, 0, 0))
	after := reportOf(kindly("a", 1, world.KindAnswer, 120, 70, 0, 0), kindly("b", 1, world.KindAnswer, 20, 10, 0, 0))
	got, err := Compare(before, after)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if a := got[0]; a.Items != 100 || a.Won != 20 || a.Lost != 0 || a.P != McNemar(0, 20) || a.Verdict() != "better" {
		t.Errorf("a: got %+v, %s", a, a.Verdict())
	}
	if b := got[1]; b.Won != 1 || b.P != 1 || b.Verdict() != "within noise" {
		t.Errorf("b: got %+v, %s", b, b.Verdict())
	}
	if back, _ := Compare(after, before); back[0].Verdict() != "worse" {
		t.Errorf("the other way round: got %s", back[0].Verdict())
	}
	if _, err := Compare(before, reportOf(kindly("c", 1, world.KindAnswer, 3, 1, 0, 0))); err == nil || !strings.Contains(err.Error(), "no item in common") {
		t.Errorf("nothing in common: got %v", err)
	}
}

func TestCurve(t *testing.T) {
	var reports []Report
	for i := range 3 {
		r := reportOf(kindly("fact", 1, world.KindAnswer, 100, 40*i, 0, 0), kindly("tool", 1, world.KindAnswer, 100, 30*i, 0, 0))
		r.Model.Trained = int64(3-i) * 1e6 // drawn in order, whatever the order given
		reports = append(reports, r)
	}
	svg, err := Curve(reports)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, word := range []string{"fact", "tool", "million training tokens"} {
		if !bytes.Contains(svg, []byte(word)) {
			t.Errorf("the curve does not say %q", word)
		}
	}
	reports[1].Model = Subject{Name: "foundling"}
	if _, err := Curve(reports); err == nil || !strings.Contains(err.Error(), "foundling") {
		t.Errorf("tokens unknown: got %v", err)
	}
	if _, err := Curve(nil); err == nil {
		t.Error("no reports: got no error")
	}
}

// A hostile model: very long numbers and deep JSON cost no more than they are.
func TestGradeHostile(t *testing.T) {
	deep := strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000)
	want := &chat.ToolCall{Name: "f", Arguments: `{"a":1}`}
	for _, args := range []string{deep, `{"a":` + strings.Repeat("9", 100_000) + `}`, `{"a":1e999999999}`} {
		if v := Grade(world.Label{Kind: world.KindCall, Call: want}, chat.Message{ToolCalls: []chat.ToolCall{{Name: "f", Arguments: args}}}); v.Right {
			t.Errorf("%.20s: taken for right", args)
		}
	}
	if v := Grade(world.Label{Kind: world.KindAnswer, Accept: []string{"1"}}, chat.Message{Content: "1" + strings.Repeat(",111", 50_000)}); v.Right {
		t.Error("one long number: taken for 1")
	}
}

func TestCard(t *testing.T) {
	r := reportOf(kindly(world.Fact, 1, world.KindAnswer, 500, 490, 0, 0), kindly("lookalike", 1, world.KindAnswer, 500, 200, 0, 300))
	r.World = Set{Version: 1, Seed: 7, Split: world.Held, PerTask: 500}
	r.Checks = r.Check(TinyBars())
	c := Card{Name: "weft-tiny", Family: "llama", Layers: 4, Dim: 64, Heads: 2, KVHeads: 1, Context: 512, Vocab: 1024, Parameters: 3_210_000, Bytes: 3_410_000,
		Template: "weft", Runs: []TrainingRun{{Kind: "pretrain", Command: "weft train world.txt", Steps: 1000, Tokens: 2_048_000}}, Missing: true, Scores: &r}
	text := c.Markdown()
	for _, line := range []string{
		"# weft-tiny", "A chat model. It has 3.2M parameters and was made with weft, from training to this page.",
		"| weights | 3,410,000 bytes, 8.5 bits per parameter |", "- **pretrain**: 1,000 steps, 2,048,000 tokens",
		"What came before the first of these runs is not known.", "- lookalike, wrongly refused: 60.0 %, wanted ≤ 5 %.",
		"- lookalike: it is wrong more often than right (40.0 %).",
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("the card does not say %q:\n%s", line, text)
		}
	}
	for _, line := range []string{"licence", "Made from nothing", "- fact"} {
		if strings.Contains(text, line) {
			t.Errorf("the card says %q, which nobody told it", line)
		}
	}
}
