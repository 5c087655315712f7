package eval

import (
	"fmt"
	"slices"

	"weft/chat"
	"weft/text/corpus/world"
)

// Report is what one model scored on one set of items. It is deterministic:
// nothing in it depends on the time or the machine's load.
type Report struct {
	Model    Subject   `json:"model"`
	World    Set       `json:"world"`
	Scores   []Score   `json:"scores"`           // per task, and below it per level where there are several
	Checks   []Check   `json:"checks,omitempty"` // against the bars the caller has; see Report.Check
	Failures []Failure `json:"failures,omitempty"`
	Results  []Result  `json:"results"` // per item, in the order asked
}

// Subject names the model; the caller fills it in.
type Subject struct {
	Name       string `json:"name"`
	ID         string `json:"id,omitempty"` // Options.ModelID
	Parameters int64  `json:"parameters,omitempty"`
	Trained    int64  `json:"trained_tokens,omitempty"` // tokens it was trained on, its ancestors' counted; 0: unknown
}

// Set names the items; the caller fills it in.
type Set struct {
	Version int         `json:"version"` // of the generator
	Seed    uint64      `json:"seed"`
	Split   world.Split `json:"split"`
	PerTask int         `json:"per_task"` // items asked for
}

// Share is a part of some items, with its 95 % interval.
type Share struct {
	Count int     `json:"count"`
	Of    int     `json:"of"`
	Rate  float64 `json:"rate"` // 0 of nothing
	Interval
}

// NewShare is count out of n.
func NewShare(count, n int) Share {
	return Share{count, n, float64(count) / float64(max(1, n)), Wilson(count, n)}
}

// Score sums up the results of a task, or of one level of it.
type Score struct {
	Task      world.Task `json:"task"`
	Level     int        `json:"level,omitempty"` // 0: all
	Right     Share      `json:"right"`           // of the items that were answered
	Abstained Share      `json:"abstained"`       // "I don't know" where there is an answer
	Refused   Share      `json:"refused"`         // declined where nothing is to be declined
	Errors    int        `json:"errors"`          // items on which the model failed; in no share
	Cut       int        `json:"cut"`             // replies that ran into the limit
	Tokens    float64    `json:"tokens"`          // mean length of a reply
	// Detectable is the difference to another model's score that as many items
	// each would have shown; see there.
	Detectable float64 `json:"detectable"`
}

// Result is one graded item.
type Result struct {
	ID    string     `json:"id"`
	Hash  string     `json:"hash"` // of the item: equal items of two reports are comparable
	Task  world.Task `json:"task"`
	Level int        `json:"level"`
	Kind  string     `json:"kind"` // of the label
	Verdict
	Tokens int    `json:"tokens"`
	Cut    bool   `json:"cut,omitempty"`
	Error  string `json:"error,omitempty"` // the model's; the rest is then empty
}

// Failure is a wrong reply with all that led to it.
type Failure struct {
	Item  world.Item   `json:"item"`
	Reply chat.Message `json:"reply"` // empty where the model failed
	Why   string       `json:"why"`
}

// report grades the answers, [items].
func (r *run) report(answers []answer) (Report, error) {
	var rep Report
	var first error
	failed := 0
	kept := map[world.Task]int{}
	for i, it := range r.items {
		a := answers[i]
		res := Result{ID: it.ID, Hash: hash(it), Task: it.Task, Level: it.Level, Kind: it.Label.Kind}
		fail := Failure{Item: it, Reply: a.Reply}
		if a.err != nil {
			res.Error = a.err.Error()
			fail.Why = "the model failed: " + res.Error
			failed++
			if first == nil {
				first = fmt.Errorf("eval: item %s: %w", it.ID, a.err)
			}
		} else {
			res.Verdict, res.Tokens, res.Cut = Grade(it.Label, a.Reply), a.Tokens, a.Cut
			fail.Why = res.Why
		}
		rep.Results = append(rep.Results, res)
		if !res.Right && kept[it.Task] < r.failures() {
			kept[it.Task]++
			rep.Failures = append(rep.Failures, fail)
		}
	}
	if failed == len(r.items) {
		return Report{}, fmt.Errorf("%w (and so did every other item)", first)
	}
	rep.Model.ID = r.ModelID
	rep.Scores = sumUp(rep.Results)
	return rep, nil
}

func (r *run) failures() int {
	if r.Failures == 0 {
		return 5
	}
	return r.Failures
}

// sumUp makes the scores, tasks in the order of their first item.
func sumUp(results []Result) []Score {
	var tasks []world.Task
	by := map[world.Task]map[int][]Result{}
	for _, res := range results {
		if by[res.Task] == nil {
			by[res.Task] = map[int][]Result{}
			tasks = append(tasks, res.Task)
		}
		by[res.Task][0] = append(by[res.Task][0], res)
		if res.Level != 0 {
			by[res.Task][res.Level] = append(by[res.Task][res.Level], res)
		}
	}
	var out []Score
	for _, task := range tasks {
		var levels []int
		for level := range by[task] {
			levels = append(levels, level)
		}
		slices.Sort(levels)
		if len(levels) == 2 { // the task and its only level
			levels = levels[:1]
		}
		for _, level := range levels {
			out = append(out, scoreOf(task, level, by[task][level]))
		}
	}
	return out
}

func scoreOf(task world.Task, level int, results []Result) Score {
	s := Score{Task: task, Level: level}
	var right, n, answerable, abstained, allowed, refused, tokens int
	for _, r := range results {
		if r.Error != "" {
			s.Errors++
			continue
		}
		n++
		tokens += r.Tokens
		right += count(r.Right)
		s.Cut += count(r.Cut)
		if r.Kind != world.KindUnknown {
			answerable++
			abstained += count(r.Unknown)
		}
		if r.Kind != world.KindRefuse {
			allowed++
			refused += count(r.Refusal)
		}
	}
	s.Right, s.Abstained, s.Refused = NewShare(right, n), NewShare(abstained, answerable), NewShare(refused, allowed)
	s.Tokens = float64(tokens) / float64(max(1, n))
	s.Detectable = Detectable(s.Right.Rate, n)
	return s
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Find returns the score of a task and level, 0 for all levels. A task whose
// items all have one level has it under both.
func (r *Report) Find(task world.Task, level int) (Score, bool) {
	for _, s := range r.Scores {
		if s.Task == task && s.Level == level {
			return s, true
		}
	}
	if level == 0 {
		return Score{}, false
	}
	var all []Result
	for _, res := range r.Results {
		if res.Task == task && res.Level == level {
			all = append(all, res)
		}
	}
	return scoreOf(task, level, all), len(all) > 0
}
