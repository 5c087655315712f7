package world

import (
	"slices"
	"strings"
)

// answerLabel accepts a fact's value; rivals that the reference answer has in
// it, as part of another word group, are no sign of a hedge.
func answerLabel(accept, rivals []string, reference string) Label {
	l := Label{Kind: KindAnswer, Accept: accept}
	low := strings.ToLower(reference)
	for _, v := range rivals {
		if !strings.Contains(low, strings.ToLower(v)) && !slices.Contains(l.Reject, v) {
			l.Reject = append(l.Reject, v)
		}
	}
	return l
}

// called is what a question calls an entity of the town: mostly by its full
// name. First names are unique in a town.
func called(r *rng, x *entity) string {
	if x.class == "person" && r.chance(15) {
		return x.short
	}
	return x.name
}

// makeFact asks for a fact of the town, closed book. The facts take turns in an
// order of the split, so that n items cover n facts.
func makeFact(w *World, r *rng, split Split, n int) Item {
	facts := w.train.facts
	f := facts[(n*factStride+btoi(split == Held)*101)%len(facts)]
	a := answer(r, f)
	return Item{Level: 1, Messages: ask(question(r, f, split, called(r, f.of)), a), Label: answerLabel(f.accept(), w.train.rivals(f), a)}
}

// factStride walks through the facts far apart; a prime, so it meets them all.
const factStride = 619

// makeUnknownPerson asks for somebody who is in no town.
func makeUnknownPerson(w *World, r *rng, split Split, _ int) Item {
	p := w.stranger(r, split)
	f := pick(r, p.entity.facts)
	q := question(r, f, split, p.name())
	t := &teller{r: r, split: Train}
	t.subject(p.name(), "", "", p.entity)
	t.e.set("town", w.train.name)
	t.line("unknown.person")
	return Item{Level: 1, Messages: ask(q, string(t.out)), Label: Label{Kind: KindUnknown}}
}

// makeTwoHop asks for a fact of something that a first fact names: half from a
// passage (level 1), half closed book (level 2).
func makeTwoHop(w *World, r *rng, split Split, n int) Item {
	if n%2 == 0 {
		return w.groundedTwoHop(r, split)
	}
	return makeClosedTwoHop(w, r, split, n)
}

// makeClosedTwoHop asks for a fact of something that another fact names.
func makeClosedTwoHop(w *World, r *rng, split Split, _ int) Item {
	first := pick(r, w.train.facts)
	for first.to == nil {
		first = pick(r, w.train.facts)
	}
	second := pick(r, first.to.facts)
	for second.to == first.of || second.kind == "shop.price" || (second.kind == "shop.kind" && first.kind == "person.work") {
		second = pick(r, first.to.facts)
	}
	q, a := hop(r, first, second, split)
	return Item{Level: 2, Messages: ask(q, a), Label: answerLabel(second.accept(), w.train.rivals(second), a)}
}

// hop asks for the second fact of what the first one names.
func hop(r *rng, first, second *fact, split Split) (q, a string) {
	link := sec("link." + first.attribute())
	t := &teller{r: r, split: split}
	t.subject(first.of.name, first.of.name, first.of.name+"'s", first.of)
	t.value(first)
	linkSplit, askSplit := split, split
	if split == Held && r.chance(50) {
		linkSplit = Train
	} else if split == Held {
		askSplit = Train
	}
	through := string(pick(r, link.of(linkSplit, formSay)).say(nil, r, &t.e))
	return question(r, second, askSplit, through), answer(r, first) + " " + answer(r, second)
}

// makeComparison asks which of two is more.
func makeComparison(w *World, r *rng, split Split, _ int) Item {
	kind := one(r, "age", "age", "price", "built", "opens")
	var a, b *fact
	for a == nil || a == b || a.value == b.value {
		a, b = w.couple(r, kind)
	}
	t := &teller{r: r, split: split}
	t.subject(a.of.name, a.of.name, a.of.name+"'s", a.of)
	left, right := a.of.name, b.of.name
	if kind == "price" {
		left, right = a.param, b.param
	}
	t.e.set("A", left, "B", right)
	q := t.wrapped(sec("compare." + kind))
	win, lose, word := left, right, map[string]string{"age": "older", "price": "dearer", "built": "older", "opens": "first"}[kind]
	if less := a.number() < b.number(); less == (kind == "age" || kind == "price") {
		win, lose = right, left
	}
	verdict := func(x string) string {
		switch kind {
		case "price":
			return withThe(x) + " costs more"
		case "opens":
			return x + " opens earlier"
		}
		return x + " is " + word
	}
	reply := answer(r, a) + " " + answer(r, b) + " " + title(verdict(win)) + "."
	return Item{Level: 2, Messages: ask(q, reply), Label: Label{Kind: KindAnswer, Accept: []string{verdict(win)}, Reject: []string{verdict(lose)}}}
}

func withThe(s string) string { return "the " + s }

// couple draws two facts that can be compared.
func (w *World) couple(r *rng, kind string) (a, b *fact) {
	t := w.train
	switch kind {
	case "age":
		return pick(r, t.people).entity.has(kind), pick(r, t.people).entity.has(kind)
	case "built":
		return pick(r, t.places).entity.has(kind), pick(r, t.places).entity.has(kind)
	case "opens":
		return pick(r, t.shops).entity.has(kind), pick(r, t.shops).entity.has(kind)
	}
	var prices []*fact
	for _, f := range pick(r, t.shops).entity.facts {
		if f.kind == "shop.price" {
			prices = append(prices, f)
		}
	}
	return pick(r, prices), pick(r, prices)
}

// number is the number that a value begins with.
func (f *fact) number() int {
	n := 0
	for i := 0; i < len(f.value) && f.value[i] >= '0' && f.value[i] <= '9'; i++ {
		n = 10*n + int(f.value[i]-'0')
	}
	return n
}
