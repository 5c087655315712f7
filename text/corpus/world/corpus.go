package world

import (
	"fmt"
	"iter"
	"strings"
)

// Corpus yields documents to learn from until they are size bytes together. It
// is the same for the same seed. All entities and facts of the town take turns,
// so that 18 MB state each fact at least 20 times; nothing of Held is in it.
func (w *World) Corpus(size int) iter.Seq[string] {
	return func(yield func(string) bool) {
		a := w.newAuthor()
		for n := 0; n < size; {
			doc := a.document()
			if doc == "" {
				continue
			}
			if n += len(doc); !yield(doc) {
				return
			}
		}
	}
}

// author writes documents one after the other. It remembers what it has told.
type author struct {
	w      *World
	drill  *World // the same, for readings: its strangers are not to be guessed
	r      *rng
	turns  map[string]*rota // of the entities of a class
	people *rota
	every  *rota
	next   map[*entity]int // facts of it told so far
	count  int
	told   func(*fact) // hears of each fact that is told, for tests; none
}

// rota gives everybody a turn, in another order each round.
type rota struct {
	list []*entity
	at   int
}

func (t *rota) next(r *rng) *entity {
	if t.at == 0 {
		shuffle(r, t.list)
	}
	e := t.list[t.at]
	t.at = (t.at + 1) % len(t.list)
	return e
}

func (w *World) newAuthor() *author {
	a := &author{w: w, drill: w.drilled(), r: w.rng("corpus"), turns: map[string]*rota{}, every: &rota{}, next: map[*entity]int{}}
	for _, e := range w.train.entities() {
		if a.turns[e.class] == nil {
			a.turns[e.class] = &rota{}
		}
		a.turns[e.class].list = append(a.turns[e.class].list, e)
		a.every.list = append(a.every.list, e)
	}
	a.people = a.turns["person"]
	return a
}

// take returns the next n facts of an entity, all different, in turn.
func (a *author) take(e *entity, n int) []*fact {
	n = min(n, len(e.facts))
	facts := make([]*fact, 0, n)
	for range n {
		f := e.facts[a.next[e]%len(e.facts)]
		if a.next[e]++; a.told != nil {
			a.told(f)
		}
		facts = append(facts, f)
	}
	shuffle(a.r, facts)
	return facts
}

// genres are the kinds of document with their shares, which are per cent.
var genres = [...]struct {
	share int
	write func(*author, *teller)
}{
	{11, (*author).portrait}, {9, (*author).questions}, {4, (*author).story}, {2, (*author).letter}, {2, (*author).diary},
	{2, (*author).pairs}, {2, (*author).shopLists}, {2, (*author).recipe}, {1, (*author).walk}, {2, (*author).notice},
	{50, (*author).reading}, {13, nil}, // nil: skills
}

// document writes the next one.
func (a *author) document() string {
	a.count++
	t := &teller{r: a.r, split: Train}
	t.e.set("town", a.w.train.name, "river", a.w.train.river)
	k := a.r.IntN(100)
	for _, g := range genres {
		if k -= g.share; k >= 0 {
			continue
		}
		if g.write == nil {
			return a.w.corpusSkill(a.r)
		}
		g.write(a, t)
		break
	}
	return strings.TrimSpace(string(t.out))
}

// props fills the slots that stories share.
func (a *author) props(t *teller) {
	s, r := a.w.train, a.r
	shop := pick(r, s.shops)
	g := pick(r, shop.goods)
	t.e.set("S", shop.name, "shop", shop.kind, "street", shop.street, "good", g.name, "price", coins(g.price),
		"P", pick(r, s.places).name, "day", weekdays[r.IntN(7)], "month", pick(r, months),
		"weather", one(r, "sunny", "windy", "rainy", "cold", "foggy", "warm", "cloudy"),
		"thing", one(r, "key", "hat", "book", "basket", "letter", "lamp", "coin", "map", "ribbon", "bell", "umbrella", "box"),
		"corner", one(r, "under the table", "behind the door", "in the garden", "near the well", "beside the road", "in a box", "under a tree", "on the bridge", "next to the window"),
		"food", pick(r, foods))
}

// cast fills the slots of the two people of a story.
func (t *teller) cast(a, b *person) {
	animal, pet := a.animal, a.pet
	t.e.set("A", a.name(), "a", a.first, "ahe", a.he(), "ahim", a.him(), "ahis", a.his(), "animal", animal, "pet", pet,
		"B", b.name(), "b", b.first, "bhe", b.he(), "bhim", b.him(), "bhis", b.his())
}

// someone is the next person, and a friend or somebody else.
func (a *author) someone() (p, q *person) {
	e := a.people.next(a.r)
	for _, x := range a.w.train.people {
		if x.entity == e {
			p = x
		}
	}
	q = p.friend
	for a.r.chance(30) || q == nil || q == p {
		q = pick(a.r, a.w.train.people)
		if q != p {
			break
		}
	}
	return p, q
}

// portrait tells facts of one entity, and at times of one that it names.
func (a *author) portrait(t *teller) {
	e := a.every.next(a.r)
	t.e.set("A", e.name)
	t.line("about.open")
	facts := a.take(e, a.r.between(4, 9))
	t.tell(facts)
	for _, f := range facts {
		if f.to != nil && a.r.chance(40) {
			t.tell(a.take(f.to, a.r.between(1, 3)))
			return
		}
	}
}

// pairs tells facts of two people who are friends or kin, in turns.
func (a *author) pairs(t *teller) {
	p, q := a.someone()
	t.tell(a.take(p.entity, 3))
	t.tell(a.take(q.entity, 3))
	if a.r.chance(50) {
		t.tell(a.take(p.entity, 2))
	}
}

// story tells what happened to two people, with facts about the first.
func (a *author) story(t *teller) {
	p, q := a.someone()
	for p.animal == "" {
		p, q = a.someone()
	}
	a.props(t)
	t.cast(p, q)
	t.line("story.open")
	t.line("story.start")
	t.met = append(t.met, p.entity)
	t.tell(a.take(p.entity, a.r.between(1, 3)))
	if a.r.chance(40) {
		t.line("story.shop")
	}
	t.some("story.middle", a.r.between(2, 4))
	t.tell(a.take(q.entity, a.r.between(1, 2)))
	t.line("story.end")
}

// some adds n different lines of a section.
func (t *teller) some(section string, n int) {
	list := sec(section).of(t.split, formSay)
	for _, k := range t.r.perm(len(list))[:min(n, len(list))] {
		t.put(list[k])
	}
}

// letter is of one person to another, about both of them.
func (a *author) letter(t *teller) {
	p, q := a.someone()
	a.props(t)
	t.cast(p, q)
	t.line("letter.head")
	t.some("letter.open", 1)
	t.me = p.entity
	t.tell(a.take(p.entity, a.r.between(2, 4)))
	about := a.every.next(a.r)
	if about != p.entity && about != q.entity {
		t.e.set("B", about.name)
		if about.class == "person" {
			t.line("letter.about")
		}
		t.tell(a.take(about, a.r.between(2, 4)))
	}
	t.some("letter.end", a.r.between(1, 2))
	t.br()
	t.line("letter.sign")
}

// diary is a page of one person.
func (a *author) diary(t *teller) {
	p, q := a.someone()
	a.props(t)
	t.cast(p, q)
	t.line("diary.open")
	t.me = p.entity
	t.some("diary.middle", a.r.between(1, 2))
	t.tell(a.take(p.entity, a.r.between(1, 3)))
	t.tell(a.take(q.entity, a.r.between(1, 3)))
	t.line("diary.end")
}

// notice tells of a few shops, places, trips or feasts.
func (a *author) notice(t *teller) {
	a.props(t)
	t.line("notice.open")
	for range a.r.between(2, 3) {
		e := a.turns[one(a.r, "shop", "place", "trip", "event")].next(a.r)
		t.tell(a.take(e, a.r.between(1, 3)))
	}
	if a.r.chance(25) {
		t.some("town.open", 2)
	}
	t.line("notice.end")
}

// walk names the people of a street.
func (a *author) walk(t *teller) {
	street := pick(a.r, a.w.train.streets)
	t.e.set("street", street)
	t.line("list.street")
	for _, p := range a.w.train.people {
		if p.street == street {
			if a.r.chance(50) {
				t.last = nil
				t.e.set("A", p.name())
				t.line("town.street")
			} else {
				t.tell([]*fact{p.entity.has("street")})
			}
		}
	}
	for _, s := range a.w.train.shops {
		if s.street == street {
			t.tell([]*fact{s.entity.has("street")})
		}
	}
}

// shopLists is a price list or the hours of a shop.
func (a *author) shopLists(t *teller) {
	e := a.turns["shop"].next(a.r)
	var s *shop
	for _, x := range a.w.train.shops {
		if x.entity == e {
			s = x
		}
	}
	t.e.set("S", s.name, "street", s.street)
	if a.r.chance(50) {
		t.line("list.prices")
		t.br()
		for _, g := range s.goods {
			t.out = fmt.Appendf(t.out, "%s: %s\n", title(g.name), coins(g.price))
		}
	} else {
		t.line("list.hours")
		t.br()
		for d, h := range s.hours {
			if h.closed() {
				t.out = fmt.Appendf(t.out, "%s: closed\n", weekdays[d])
			} else {
				t.out = fmt.Appendf(t.out, "%s: from %s to %s\n", weekdays[d], clock(h.open), clock(h.close))
			}
		}
	}
	t.tell(a.take(e, 2))
}

// recipe tells how a dish is made.
func (a *author) recipe(t *teller) {
	e := a.turns["recipe"].next(a.r)
	t.e.set("A", e.name)
	t.line("recipe.open")
	t.br()
	if a.r.chance(50) {
		for _, f := range e.facts {
			if f.attribute() == "part" {
				t.out = fmt.Appendf(t.out, "%s %s\n", f.value, f.param)
			}
		}
		t.some("recipe.steps", a.r.between(2, 4))
		t.tell([]*fact{e.has("minutes")})
	} else {
		t.tell(e.facts)
		t.some("recipe.steps", a.r.between(1, 3))
	}
	t.line("recipe.end")
}

// questions is a page of questions and answers, mostly about one entity.
func (a *author) questions(t *teller) {
	e := a.every.next(a.r)
	facts := a.take(e, a.r.between(2, 4))
	for range a.r.between(1, 2) {
		facts = append(facts, a.take(a.every.next(a.r), 1)...)
	}
	for i, f := range facts {
		q, reply := question(a.r, f, Train, called(a.r, f.of)), answer(a.r, f)
		if i > 1 && a.r.chance(12) {
			it := a.w.item(spec{task: TwoHop, make: one(a.r, makeClosedTwoHop, makeComparison, makeUnknownPerson)}, Train, 1_000_000+8*a.count+i)
			q, reply = it.Messages[0].Content, it.Messages[1].Content
		}
		t.asked(q, reply)
	}
}

// asked adds a question with its answer, as on a page of questions.
func (t *teller) asked(q, reply string) { t.exchange("Q: ", q, "A: ", reply) }

// exchange adds a question and its answer, each behind a word.
func (t *teller) exchange(before, q, then, reply string) {
	for _, part := range []string{before, q, "\n", then, reply, "\n"} {
		t.out = append(t.out, part...)
	}
}

// reading is a passage about strangers, or a list of them, with questions on
// it, of which some have no answer there. What is asked for is all over the
// passage, so that one text is read many times. Lists and short questions are
// most to find in fewest words.
func (a *author) reading(t *teller) {
	r := a.r
	var p *passage
	if r.chance(40) {
		each := r.between(1, 2)
		p = a.drill.gather(r, Train, r.between(2, 8/each), each)
		t.list(p)
	} else {
		p = a.drill.passage(r, Train, one(r, 1, 2, 3, 3, 4, 4))
		t.out = append(t.out, p.text...)
	}
	t.br()
	marks := one(r, [2]string{"Q: ", "A: "}, [2]string{"Question: ", "Answer: "}, [2]string{"- ", "- "}, [2]string{"", ""})
	short, style := r.chance(60), r.IntN(2)
	order := r.perm(len(p.stated))
	for i := range min(3+len(order)*3/2, choose(short, 14, 8)) {
		f, said := p.stated[order[i%len(order)]], true
		if r.chance(35) {
			f, said = a.drill.unsaid(r, p, Train), false
		}
		switch {
		case short && said:
			t.entry(f, style, f.value)
		case short:
			t.entry(f, style, "I don't know.")
		case said:
			t.exchange(marks[0], question(r, f, Train, f.of.name), marks[1], answer(r, f))
		default:
			t.exchange(marks[0], question(r, f, Train, f.of.name), marks[1], notSaid(r, f))
		}
	}
}

// list writes what a passage states, a line for each fact, or for each entity.
func (t *teller) list(p *passage) {
	stated := p.stated
	if style := t.r.IntN(3); style < 2 {
		stated = append([]*fact(nil), stated...)
		shuffle(t.r, stated)
		for _, f := range stated {
			t.entry(f, style, f.value)
		}
		return
	}
	for i, f := range stated {
		switch {
		case i == 0 || stated[i-1].of != f.of:
			t.out = append(t.out, title(f.of.name)+": "...)
		default:
			t.out = append(t.out, ", "...)
		}
		t.out = append(t.out, f.label()+" "+f.value...)
		if i+1 == len(stated) || stated[i+1].of != f.of {
			t.out = append(t.out, '\n')
		}
	}
}

// entry is a line of a list: a fact in one of two orders.
func (t *teller) entry(f *fact, style int, value string) {
	key := title(f.of.name) + ", " + f.label()
	if style == 1 {
		key = title(f.label()) + " of " + f.of.name
	}
	t.out = fmt.Appendf(t.out, "%s: %s\n", key, value)
}

// label is the attribute as a list writes it: "age", "price of a kite".
func (f *fact) label() string {
	if f.param == "" {
		return f.attribute()
	}
	return f.attribute() + " (" + f.param + ")"
}
