package world

import (
	"strconv"
)

// levelOf draws the digits of the longer number; small problems cannot be held out.
func levelOf(r *rng, s Split, o op) int {
	level := pick(r, []int{1, 1, 2, 2, 2, 2, 2, 3, 3, 4})
	if o == times || o == over {
		level = pick(r, []int{1, 1, 1, 2, 2, 2, 2, 3})
	}
	if s == Held {
		level = max(2, level)
	}
	return level
}

// ask is a question for p and its worked answer.
func (p problem) ask(r *rng, s Split) (question, answer string) {
	section := "sum.any"
	if r.IntN(2) == 0 {
		section = p.words()
	}
	return p.say(r, s, section), p.worked()
}

// words is the section of the grammar that asks for the operation in words.
func (p problem) words() string {
	return map[op]string{plus: "sum.plus", minus: "sum.minus", times: "sum.times", over: "sum.over"}[p.op]
}

// say asks for p as a section of the grammar does.
func (p problem) say(r *rng, s Split, section string) string {
	return say(r, s, section, "x", p.String(), "a", strconv.Itoa(p.a), "b", strconv.Itoa(p.b))
}

// label is that of an answer with steps: a number alone could be
// one of the steps.
func (p problem) label() Label {
	return accept("answer is " + p.answer())
}

// makeSum returns the generator of one operation with written steps.
func makeSum(o op) generator {
	return func(_ *World, r *rng, s Split, _ int) Item {
		level := levelOf(r, s, o)
		p := drawProblem(r, s, o, level)
		q, a := p.ask(r, s)
		return Item{Level: level, Messages: ask(q, a), Label: p.label()}
	}
}

// makeAdditionDirect makes an item whose answer is the number alone, of one or
// two digits.
func makeAdditionDirect(_ *World, r *rng, s Split, _ int) Item {
	level := 1 + r.IntN(2)
	if s == Held {
		level = 2
	}
	p := drawProblem(r, s, plus, level)
	return Item{Level: level, Messages: ask(p.say(r, s, "sum.direct"), p.answer()), Label: accept(p.answer())}
}
