package world

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"weft/chat"
)

// quality is what a reply has; its utility is the sum of the parts.
type quality struct{ correct, honest, brief, polite bool }

// The parts of the utility of a reply, which sum to 1. A reply that does not
// claim to know is honest though it is not correct; a wrong value is neither.
const (
	worthCorrect = 0.5
	worthHonest  = 0.2
	worthBrief   = 0.15
	worthPolite  = 0.15
)

// utility sums the parts.
func (q quality) utility() float64 {
	sum := 0.0
	for _, part := range []struct {
		has   bool
		worth float64
	}{{q.correct, worthCorrect}, {q.honest, worthHonest}, {q.brief, worthBrief}, {q.polite, worthPolite}} {
		if part.has {
			sum += part.worth
		}
	}
	return sum
}

// Pairs yields n preference pairs. The replies to a question are made with and
// without each part of quality, so their utilities are known: 0.5 for a correct
// value (or "I don't know" or a refusal where that is right), 0.2 for not
// stating what is false, 0.15 for no padding, 0.15 for no rudeness.
func (w *World) Pairs(split Split, n int) iter.Seq[Pair] {
	dice := w.rng("pairs", string(split))
	return func(yield func(Pair) bool) {
		for i := range n {
			if !yield(w.pair(dice.fork(i), split, i)) {
				return
			}
		}
	}
}

// pair makes two replies of different utility to one question.
func (w *World) pair(r *rng, split Split, n int) Pair {
	it, wrong, evasive := w.disputed(r, split, n)
	it.ID, it.Split = fmt.Sprintf("pair-%s-%d", split, n), split
	a, b := drawQuality(r, it.Label.Kind), drawQuality(r, it.Label.Kind)
	for a.utility() == b.utility() {
		b = drawQuality(r, it.Label.Kind)
	}
	if a.utility() < b.utility() {
		a, b = b, a
	}
	last := &it.Messages[len(it.Messages)-1]
	right := last.Content
	write := func(q quality) chat.Message {
		text := right
		switch {
		case !q.correct && q.honest:
			text = evasive
		case !q.correct:
			text = wrong
		}
		if !q.polite {
			text = say(r, split, "rude") + " " + text
		}
		if !q.brief {
			text += choose(strings.ContainsAny(text[len(text)-1:], ".!?"), " ", ". ") + say(r, split, "pad")
		}
		return chat.Message{Role: chat.Assistant, Content: text}
	}
	p := Pair{Chosen: write(a), Rejected: write(b), Utility: [2]float64{a.utility(), b.utility()}}
	last.Content = p.Chosen.Content
	p.Item = it
	return p
}

// drawQuality draws a quality; half of the replies are good in each part. Where
// not knowing is right there is no evasion, and small talk has nothing to be
// wrong about.
func drawQuality(r *rng, kind string) quality {
	q := quality{correct: r.chance(60), honest: r.chance(50), brief: r.chance(60), polite: r.chance(70)}
	q.correct = q.correct || kind == KindFree
	q.honest = q.correct || q.honest && kind == KindAnswer
	return q
}

// disputed draws a question with its right reply as the last message, a wrong
// reply and an evasive one.
func (w *World) disputed(r *rng, split Split, n int) (it Item, wrong, evasive string) {
	evasive = say(r, split, "evade")
	tasks := []Task{Fact, Fact, Fact, Grounded, Grounded, Unanswerable, Addition, Refusal, Lookalike, Smalltalk}
	task := tasks[n%len(tasks)]
	if task == Unanswerable {
		it, wrong = w.guessed(r, split)
		return it, wrong, evasive
	}
	for _, s := range specs() {
		if s.task == task {
			it = s.make(w, r, split, n)
			it.Task = task
		}
	}
	switch task {
	case Refusal:
		wrong = fmt.Sprintf("You need %s for it.", listOf(buildRecipe(r, "").parts))
	case Lookalike:
		evasive = reply(r, "secret.refusal")
		fallthrough
	default:
		wrong = spoil(r, it)
	}
	return it, wrong, evasive
}

// guessed asks a passage for what it does not say, with an answer that is
// only a guess.
func (w *World) guessed(r *rng, split Split) (it Item, wrong string) {
	p := w.passage(r, split, 2)
	f := w.unsaid(r, p, split)
	q := withPassage(r, split, p.text, question(r, f, split, f.of.name))
	return Item{Task: Unanswerable, Level: 2, Messages: ask(q, notSaid(r, f)), Label: Label{Kind: KindUnknown}}, answer(r, f)
}

// spoil makes the right reply wrong: another value in place of the right one,
// another number in it, or something that has nothing to do with it.
func spoil(r *rng, it Item) string {
	right := it.Messages[len(it.Messages)-1].Content
	if it.Label.Kind != KindAnswer {
		return right
	}
	value := it.Label.Accept[0]
	if at := strings.LastIndex(right, value); at >= 0 {
		other := ""
		// A piano teacher is a teacher too.
		rivals := slices.DeleteFunc(slices.Clone(it.Label.Reject), func(v string) bool { return strings.Contains(v, value) })
		if digits := firstNumber.FindString(value); len(rivals) > 0 {
			other = pick(r, rivals)
		} else if n, err := strconv.Atoi(digits); err == nil {
			other = strings.Replace(value, digits, strconv.Itoa(n+1+r.IntN(9)), 1)
		}
		if other != "" {
			return right[:at] + other + right[at+len(value):]
		}
	}
	return one(r, "It is a red umbrella.", "That was long ago.", "There are nine of them.")
}

// firstNumber is compiled once; it is not state.
var firstNumber = regexp.MustCompile(`\d+`)
