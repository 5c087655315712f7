package eval

import (
	"fmt"

	"weft/text/corpus/world"
)

// Comparison is two models on the same items of a task.
type Comparison struct {
	Task   world.Task `json:"task"`
	Items  int        `json:"items"`  // answered by both
	Before Share      `json:"before"` // right, of the first
	After  Share      `json:"after"`
	Lost   int        `json:"lost"` // right before, wrong after
	Won    int        `json:"won"`  // wrong before, right after
	P      float64    `json:"p"`    // exact McNemar
	// Detectable is the difference that this many items, with this much
	// disagreement, would have shown; see DetectablePaired.
	Detectable float64 `json:"detectable"`
}

// Verdict is the comparison in a word: at 5 %, task by task.
func (c Comparison) Verdict() string {
	switch {
	case c.P >= 0.05:
		return "within noise"
	case c.Won > c.Lost:
		return "better"
	}
	return "worse"
}

// Compare pairs the items that two reports have in common, task by task. Items
// are the same only if every word of them is: reports of another seed or
// another version of the world have none.
func Compare(before, after Report) ([]Comparison, error) {
	old := map[string]Result{}
	for _, r := range before.Results {
		if r.Error == "" {
			old[r.Hash] = r
		}
	}
	type tally struct{ n, before, after, lost, won int }
	var tasks []world.Task
	by := map[world.Task]*tally{}
	for _, r := range after.Results {
		was, ok := old[r.Hash]
		if !ok || r.Error != "" {
			continue
		}
		t := by[r.Task]
		if t == nil {
			t = new(tally)
			by[r.Task] = t
			tasks = append(tasks, r.Task)
		}
		t.n++
		t.before += count(was.Right)
		t.after += count(r.Right)
		t.lost += count(was.Right && !r.Right)
		t.won += count(!was.Right && r.Right)
	}
	if len(tasks) == 0 {
		return nil, fmt.Errorf("eval: compare %s with %s: they have no item in common: score both with the same seed, split and version of the world",
			before.Model.Name, after.Model.Name)
	}
	var out []Comparison
	for _, task := range tasks {
		t := by[task]
		out = append(out, Comparison{
			Task: task, Items: t.n, Before: NewShare(t.before, t.n), After: NewShare(t.after, t.n), Lost: t.lost, Won: t.won,
			P: McNemar(t.lost, t.won), Detectable: DetectablePaired(float64(t.lost+t.won)/float64(t.n), t.n),
		})
	}
	return out, nil
}
