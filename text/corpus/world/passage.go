package world

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
)

// strangerName draws a name that nobody in a town has: half of the names are
// made up, so that only the passage can be the source.
func (w *World) strangerName(r *rng, split Split, she bool) (first, last string) {
	from := strangers[btoi(split == Held)]
	first, last = pick(r, choose(she, from.she, from.he)), pick(r, from.last)
	if r.chance(w.often(50)) {
		first = w.madeUp(r, split)
	}
	if r.chance(w.often(50)) {
		last = w.madeUp(r, split)
	}
	return first, last
}

// often is the chance of a made-up name where it is usual percent: in a drill
// four in five.
func (w *World) often(usual int) int {
	if w.drill {
		return 80
	}
	return usual
}

// madeUp is a name that nobody has heard: of syllables, in a drill as often
// coined.
func (w *World) madeUp(r *rng, split Split) string {
	if w.drill && r.chance(50) {
		return coined(r, split)
	}
	return invented(r, split)
}

// invented makes a name of syllables that belongs to the split.
func invented(r *rng, split Split) string {
	for {
		if name := pick(r, syllables[0]) + pick(r, syllables[1]) + pick(r, syllables[2]); splitOf(name) == split {
			return name
		}
	}
}

// coined makes a name of letters that follow each other as in the names of
// Train: of many more than invented has, and like English. It is never one of a
// list, and no word that would offend.
func coined(r *rng, split Split) string {
	next := letterChain()
	for {
		name := []byte{0, 0} // two letters decide on the third; 0 is none
		for len(name) < 13 && (len(name) == 2 || name[len(name)-1] != 0) {
			name = append(name, pick(r, next[[2]byte(name[len(name)-2:])]))
		}
		if k := len(name) - 1; name[k] == 0 && k >= 6 {
			if s := title(string(name[2:k])); splitOf(s) == split && !listed(s) && !rude(s) {
				return s
			}
		}
	}
}

// letterChain is which letters follow two others in the names of Train, as
// often as they do. It is made once and never changed.
var letterChain = sync.OnceValue(func() map[[2]byte][]byte {
	next := map[[2]byte][]byte{}
	for _, list := range [][]string{
		townNames.she, townNames.he, townNames.last, strangers[0].she, strangers[0].he, strangers[0].last,
		streetWords[0], petNames[0], petNames[1], shopNouns[0], shopNouns[1], shopAdjectives, coinedFrom,
	} {
		for _, word := range list {
			at := [2]byte{}
			for _, c := range append([]byte(strings.ToLower(word)), 0) {
				next[at] = append(next[at], c)
				at = [2]byte{at[1], c}
			}
		}
	}
	return next
})

// listed says whether a list of names, of either split, has a word.
func listed(word string) bool {
	for i := range strangers {
		if slices.Contains(strangers[i].she, word) || slices.Contains(strangers[i].he, word) || slices.Contains(strangers[i].last, word) ||
			slices.Contains(streetWords[i], word) || slices.Contains(petNames[i+1], word) || slices.Contains(shopNouns[i+1], word) {
			return true
		}
	}
	return false
}

// rude says whether letters spell what nobody is to be called.
func rude(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc(rudeWords, func(w string) bool { return strings.Contains(name, w) })
}

// strangerStreet is a street of no town.
func (w *World) strangerStreet(r *rng, split Split) string {
	word := pick(r, streetWords[btoi(split == Held)])
	if r.chance(w.often(40)) {
		word = w.madeUp(r, split)
	}
	return word + " " + pick(r, streetKinds)
}

// stranger is a person of no town, with every attribute.
func (w *World) stranger(r *rng, split Split) *person {
	p := &person{she: r.chance(50), age: r.between(18, 88), street: w.strangerStreet(r, split), food: pick(r, foods), hobby: pick(r, hobbies), animal: pick(r, animals)}
	p.first, p.last = w.strangerName(r, split, p.she)
	p.pet = pick(r, petNames[1+btoi(split == Held)])
	if r.chance(w.often(40)) {
		p.pet = w.madeUp(r, split)
	}
	p.job = trades[r.IntN(len(trades))].job
	if k := pick(r, sites); r.chance(60) {
		p.job = pick(r, k.jobs)
	}
	p.shop = w.strangerShop(r, split)
	other := func() *person {
		q := &person{she: r.chance(50)}
		q.first, q.last = w.strangerName(r, split, q.she)
		q.entity = q.make()
		return q
	}
	p.friend, p.kin = other(), other()
	p.kinship = choose(p.kin.she, "sister", "brother")
	p.entity = p.make()
	p.describe()
	return p
}

// strangerShop is a shop of no town.
func (w *World) strangerShop(r *rng, split Split) *shop {
	trade, adjective, noun := pick(r, trades), pick(r, shopAdjectives), pick(r, shopNouns[1+btoi(split == Held)])
	if w.drill && r.chance(60) {
		noun = w.madeUp(r, split)
	}
	s := buildShop(r, trade, "the "+adjective+" "+noun, w.strangerStreet(r, split))
	o := &person{she: r.chance(50)}
	o.first, o.last = w.strangerName(r, split, o.she)
	o.entity = o.make()
	s.owner = o
	s.entity = thing("shop", s.name, "the shop")
	s.describe()
	return s
}

// strangerThing is a trip or an event of no town.
func (w *World) strangerThing(r *rng, split Split) *entity {
	if r.chance(50) {
		e := thing("trip", "the trip to "+w.madeUp(r, split), "the trip")
		e.add("by", one(r, "bus", "boat", "train", "coach"), "", nil)
		e.add("minutes", fmt.Sprint(5*r.between(2, 24)), "", nil)
		e.add("price", coins(r.between(2, 40)), "", nil)
		e.add("leaves", clock(r.between(7, 16)), "", nil)
		return e
	}
	e := thing("place", "the "+w.madeUp(r, split)+" "+one(r, "Tower", "Mill", "Bridge", "Park", "Inn", "Museum"), "the place")
	e.add("street", w.strangerStreet(r, split), "", nil)
	e.add("built", fmt.Sprint(r.between(1601, 1949)), "", nil)
	e.add("fame", pick(r, sights), "", nil)
	return e
}

// unmet draws an entity of a class that has none of these names.
func (w *World) unmet(r *rng, split Split, class string, names []string) *entity {
	for {
		var e *entity
		switch class {
		case "person":
			e = w.stranger(r, split).entity
		case "shop":
			e = w.strangerShop(r, split).entity
		default:
			if e = w.strangerThing(r, split); e.class != class {
				continue
			}
		}
		clash := false
		for _, name := range names {
			clash = clash || strings.Contains(name, e.short) || strings.Contains(e.name, name) || name == e.name
		}
		if !clash || class != "person" && !slices.Contains(names, e.name) {
			return e
		}
	}
}

// passage is a text about strangers with what it states.
type passage struct {
	text     string
	entities []*entity
	stated   []*fact
}

// says tells whether the passage answers what f asks for.
func (p *passage) says(f *fact) bool {
	for _, g := range p.stated {
		if g == f || (g.of == f.of && g.kind == "person.pet" && f.kind == "person.animal") {
			return true
		}
	}
	return false
}

// passage writes about strangers: level 1 is a fact or two, level 2 several of
// one entity, level 3 the same attributes of two or three entities, level 4 one
// attribute of many, for readings only.
func (w *World) passage(r *rng, split Split, level int) *passage {
	count, each := 1, r.between(1, 2)
	switch level {
	case 2:
		each = r.between(3, 5)
	case 3:
		count = r.between(2, 3)
		each = 5 - count
	case 4:
		count, each = r.between(4, 7), 1
	}
	p := w.gather(r, split, count, each)
	t := &teller{r: r, split: split}
	t.line("open.passage")
	t.tell(p.stated)
	p.text = strings.TrimSpace(string(t.out))
	return p
}

// gather draws strangers of one class with the same attributes of each, so that
// the wrong one is near at hand.
func (w *World) gather(r *rng, split Split, count, each int) *passage {
	class := one(r, "person", "person", "person", "shop", "shop", "trip", "place")
	p := &passage{}
	var names []string
	for range count {
		e := w.unmet(r, split, class, names)
		names = append(names, e.name)
		p.entities = append(p.entities, e)
	}
	order := r.perm(len(p.entities[0].facts))
	order = order[:min(each, len(order))]
	for _, e := range p.entities {
		mine := append([]int(nil), order...)
		shuffle(r, mine)
		for _, k := range mine {
			p.stated = append(p.stated, e.facts[k])
		}
	}
	return p
}

// perm is a random order of [0, n).
func (r *rng) perm(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	shuffle(r, list)
	return list
}

// rivals are the values in the passage that answer the same question about
// another entity, or another good.
func (p *passage) rivals(f *fact) []string {
	var list []string
	for _, g := range p.stated {
		if v := g.accept()[0]; g != f && g.kind == f.kind && v != f.accept()[0] {
			list = append(list, v)
		}
	}
	return list
}

// withPassage puts a question and a passage into one message.
func withPassage(r *rng, split Split, text, q string) string {
	t := &teller{r: r}
	t.e.text[slotQ], t.e.text[slotT] = q, text
	wrap := Train
	if split == Held && r.chance(50) {
		wrap = Held
	}
	return string(pick(r, sec("wrap.passage").of(wrap, formSay)).sentence(nil, r, &t.e))
}

// makeGrounded asks for a fact that a passage states; levels take turns.
func makeGrounded(w *World, r *rng, split Split, n int) Item {
	level := 1 + n%3
	p := w.passage(r, split, level)
	f := pick(r, p.stated)
	q, a := question(r, f, split, f.of.name), answer(r, f)
	return Item{Level: level, Messages: ask(withPassage(r, split, p.text, q), a), Label: answerLabel(f.accept(), p.rivals(f), a)}
}

// makeUnanswerable asks a passage for what it does not say.
func makeUnanswerable(w *World, r *rng, split Split, n int) Item {
	level := 1 + n%3
	p := w.passage(r, split, level)
	f := w.unsaid(r, p, split)
	q := question(r, f, split, f.of.name)
	return Item{Level: level, Messages: ask(withPassage(r, split, p.text, q), notSaid(r, f)), Label: Label{Kind: KindUnknown}}
}

// unsaid is a fact that a passage does not state: an attribute it leaves out,
// or, once in three, one of somebody it does not mention.
func (w *World) unsaid(r *rng, p *passage, split Split) *fact {
	var silent []*fact // attributes that it leaves out
	for _, e := range p.entities {
		for _, f := range e.facts {
			if !p.says(f) {
				silent = append(silent, f)
			}
		}
	}
	if len(silent) > 0 && !r.chance(33) {
		return pick(r, silent)
	}
	var names []string
	for _, e := range p.entities {
		names = append(names, e.name)
	}
	for _, g := range p.stated {
		names = append(names, g.value)
	}
	other := w.unmet(r, split, p.entities[0].class, names)
	if w.drill && r.chance(50) { // only the name tells that it is not there
		if f := other.has(pick(r, p.stated).attribute()); f != nil {
			return f
		}
	}
	return pick(r, other.facts)
}

// notSaid is the answer that a passage does not say a fact.
func notSaid(r *rng, f *fact) string {
	t := &teller{r: r, split: Train}
	t.subject(f.of.name, f.of.name, f.of.name+"'s", f.of)
	t.value(f)
	t.e.text[slotQ] = string(sec(f.kind).of(Train, formClause)[0].say(nil, r, &t.e))
	t.line("unknown")
	return string(t.out)
}

// groundedTwoHop asks a passage for a fact of whom it names as somebody's
// friend, or of the shop where somebody works.
func (w *World) groundedTwoHop(r *rng, split Split) Item {
	a := w.stranger(r, split)
	first := a.entity.has("work")
	to := a.shop.entity
	if r.chance(60) {
		b := w.stranger(r, split)
		for b.first == a.first {
			b = w.stranger(r, split)
		}
		a.friend = b
		first = a.entity.has("friend")
		first.value, first.to = b.name(), b.entity
		to = b.entity
	}
	p := &passage{entities: []*entity{a.entity, to}}
	third := pick(r, a.entity.facts)
	for third.kind == "person.friend" || third.kind == "person.work" || third.kind == "person.pet" {
		third = pick(r, a.entity.facts)
	}
	p.stated = []*fact{first, third}
	for _, k := range r.perm(len(to.facts)) {
		if f := to.facts[k]; len(p.stated) < 4 && f.to == nil && f.kind != "shop.price" && f.kind != "shop.kind" {
			p.stated = append(p.stated, f)
		}
	}
	second := p.stated[2+r.IntN(2)]
	t := &teller{r: r, split: split}
	t.tell(p.stated)
	q, reply := hop(r, first, second, split)
	return Item{Level: 1, Messages: ask(withPassage(r, split, string(t.out), q), reply), Label: answerLabel(second.accept(), p.rivals(second), reply)}
}

// Passages yields n passages of level 2 and 3 with their facts.
func (w *World) Passages(split Split, n int) iter.Seq[Passage] {
	return func(yield func(Passage) bool) {
		for i := range n {
			p := w.passage(w.rng("passage", string(split)).fork(i), split, 2+i%2)
			out := Passage{ID: fmt.Sprintf("passage-%s-%d", split, i), Title: "About " + p.entities[0].name, Text: p.text}
			for _, f := range p.stated {
				out.Facts = append(out.Facts, PassageFact{f.of.name, f.attribute() + choose(f.param != "", " "+f.param, ""), f.value})
			}
			if !yield(out) {
				return
			}
		}
	}
}
