package world

import (
	"fmt"
	"strconv"
	"strings"
)

// story is a kind of word problem of one step. The end of its section's name is
// what is counted: coins, years, hours or goods.
type story struct {
	section string
	op      op
}

func stories() []story {
	return []story{
		{"word.plus.goods", plus}, {"word.plus.coins", plus}, {"word.plus.years", plus},
		{"word.minus.goods", minus}, {"word.minus.coins", minus}, {"word.minus.years", minus}, {"word.minus.hours", minus},
		{"word.times.goods", times}, {"word.times.coins", times}, {"word.times.hours", times},
		{"word.over.goods", over}, {"word.over.coins", over},
	}
}

// makeWordProblem makes a problem of one step with small numbers (level 1) or
// larger ones that need written steps (level 2), or of two steps (level 3).
func makeWordProblem(_ *World, r *rng, s Split, _ int) Item {
	if r.IntN(3) == 0 {
		return twoSteps(r, s)
	}
	st := pick(r, stories())
	level := 1 + r.IntN(2)
	if st.op == over || strings.HasSuffix(st.section, "hours") {
		level = 1
	}
	p := st.draw(r, level)
	for !p.in(s) {
		p = st.draw(r, level)
	}
	steps := equations([]problem{p})
	if !p.small() && p.op != over {
		steps = p.String() + ". " + p.steps()
	}
	return tellProblem(r, s, st.section, level, steps, p)
}

// draw draws the numbers of a story, with a result of at least 2 so that what
// is counted stays in the plural.
func (st story) draw(r *rng, level int) problem {
	for {
		p := anyProblem(r, st.op, level)
		switch {
		case st.section == "word.minus.hours":
			p.a, p.b = 3+r.IntN(10), 1+r.IntN(11)
		case st.op == over: // no remainder
			p.a -= p.a % p.b
		case strings.HasSuffix(st.section, "years"):
			p.a, p.b = 12+r.IntN(60), 2+r.IntN(30)
		}
		if st.op == minus && p.a < p.b {
			continue
		}
		if result, _ := p.value(); result > 1 && min(p.a, p.b) > 1 {
			return p
		}
	}
}

// tellProblem makes the item of a story with up to three numbers: those of its
// first step, and one more.
func tellProblem(r *rng, s Split, section string, level int, steps string, list ...problem) Item {
	what := section[strings.LastIndexByte(section, '.')+1:]
	if what == "goods" {
		what = noun(r, s, "word.goods")
	}
	she := r.IntN(2) == 0
	from := strangers[btoi(s == Held)]
	name, he, him, his := pick(r, from.he), "he", "him", "his"
	if she {
		name, he, him, his = pick(r, from.she), "she", "her", "her"
	}
	first, last := list[0], list[len(list)-1]
	c := last.b
	if section == "word.change.coins" {
		c = last.a
	}
	q := say(r, s, section, "A", name, "he", he, "him", him, "his", his, "goods", what,
		"a", strconv.Itoa(first.a), "b", strconv.Itoa(first.b), "c", strconv.Itoa(c))
	result, _ := last.value()
	end := fmt.Sprintf("answer is %d %s", result, what)
	return Item{Level: level, Messages: ask(q, steps+" The "+end+"."), Label: accept(end)}
}

// twoSteps makes a problem of two steps.
func twoSteps(r *rng, s Split) Item {
	for {
		var list []problem
		section := one(r, "word.buy.coins", "word.change.coins", "word.give.goods", "word.share.goods")
		a, b, c := 2+r.IntN(8), 2+r.IntN(8), 2+r.IntN(8)
		switch section {
		case "word.buy.coins":
			list = []problem{{a, times, b}, {a * b, plus, c}}
		case "word.change.coins":
			list = []problem{{a, times, b}, {one(r, 20, 50, 100), minus, a * b}}
		case "word.give.goods":
			a = 10 + r.IntN(60)
			list = []problem{{a, plus, b}, {a + b, minus, c}}
		default:
			a = c*(3+r.IntN(7)) - b
			list = []problem{{a, plus, b}, {a + b, over, c}}
		}
		result, rest := list[1].value()
		if inAll(list, s) && result > 1 && rest == 0 && a > 1 {
			return tellProblem(r, s, section, 3, equations(list), list...)
		}
	}
}
