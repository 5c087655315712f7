package world

import (
	"slices"
	"strconv"
	"strings"
)

// entity is something with facts: a person, a shop, a place, a trip ...
type entity struct {
	class string // "person", "shop", "place", "trip", "recipe", "event"
	name  string // as in the middle of a sentence: "Mia Fenwick", "the Golden Crumb"
	short string // once it is known who is meant: "Mia", "the bakery"
	he    string // and its other cases
	him   string
	his   string
	who   string
	facts []*fact
}

// fact is one true value of an attribute of an entity.
type fact struct {
	kind  string // section of the grammar: "person.street"
	of    *entity
	value string  // as it stands in a sentence: "Heron Lane", "7 coins"
	param string  // what the kind needs besides: the good of a price
	to    *entity // which the value names, or nil
}

// attribute is the kind without the class.
func (f *fact) attribute() string { return f.kind[strings.IndexByte(f.kind, '.')+1:] }

// accept lists what a right answer must contain: the value without what is
// only grammar.
func (f *fact) accept() []string {
	for _, prefix := range []string{"the ", "its "} {
		if s, ok := strings.CutPrefix(f.value, prefix); ok {
			return []string{s}
		}
	}
	if n, _, ok := strings.Cut(f.value, " "); ok && n != "" && n[0] >= '0' && n[0] <= '9' {
		return []string{n}
	}
	return []string{f.value}
}

// thing makes an entity that is spoken of as it.
func thing(class, name, short string) *entity {
	return &entity{class: class, name: name, short: short, he: "it", him: "it", his: "its", who: "which"}
}

// add gives the entity a fact.
func (e *entity) add(attribute, value, param string, to *entity) {
	e.facts = append(e.facts, &fact{kind: e.class + "." + attribute, of: e, value: value, param: param, to: to})
}

// has returns the fact of an attribute, or nil.
func (e *entity) has(attribute string) *fact {
	for _, f := range e.facts {
		if f.attribute() == attribute {
			return f
		}
	}
	return nil
}

// describe writes every fact of the town as data. Entities first, since facts
// point to them.
func (t *town) describe() {
	for _, p := range t.people {
		p.entity = p.make()
	}
	for _, s := range t.shops {
		s.entity = thing("shop", s.name, "the "+s.kind)
	}
	for _, p := range t.places {
		p.entity = thing("place", p.name, "the "+p.kind)
	}
	for _, p := range t.people {
		p.describe()
	}
	for _, s := range t.shops {
		s.describe()
	}
	for _, p := range t.places {
		p.describe()
	}
	for _, j := range t.trips {
		j.entity = thing("trip", "the trip to "+j.to, "the trip")
		j.entity.add("by", j.by, "", nil)
		j.entity.add("minutes", strconv.Itoa(j.minutes), "", nil)
		j.entity.add("price", coins(j.price), "", nil)
		j.entity.add("leaves", clock(j.leaves), "", nil)
	}
	for _, c := range t.recipes {
		c.entity = thing("recipe", c.dish, "the dish")
		for _, p := range c.parts {
			c.entity.add("part", strconv.Itoa(p.amount), p.what, nil)
		}
		c.entity.add("minutes", strconv.Itoa(c.minutes), "", nil)
	}
	for _, ev := range t.events {
		ev.entity = thing("event", ev.name, "the feast")
		ev.entity.add("month", ev.month, "", nil)
		ev.entity.add("place", ev.place.name, "", ev.place.entity)
	}
	for _, e := range t.entities() {
		t.facts = append(t.facts, e.facts...)
	}
}

// entities lists all of the town, in order.
func (t *town) entities() []*entity {
	var list []*entity
	for _, p := range t.people {
		list = append(list, p.entity)
	}
	for _, s := range t.shops {
		list = append(list, s.entity)
	}
	for _, p := range t.places {
		list = append(list, p.entity)
	}
	for _, j := range t.trips {
		list = append(list, j.entity)
	}
	for _, c := range t.recipes {
		list = append(list, c.entity)
	}
	for _, e := range t.events {
		list = append(list, e.entity)
	}
	return list
}

// make is the entity of a person, without facts yet.
func (p *person) make() *entity {
	return &entity{class: "person", name: p.name(), short: p.first, he: p.he(), him: p.him(), his: p.his(), who: "who"}
}

func (p *person) describe() {
	e := p.entity
	e.add("job", p.job, "", nil)
	if p.shop != nil {
		e.add("work", p.shop.name, "", p.shop.entity)
	} else if p.place != nil {
		e.add("work", p.place.name, "", p.place.entity)
	}
	e.add("street", p.street, "", nil)
	e.add("age", strconv.Itoa(p.age), "", nil)
	if p.animal != "" {
		e.add("animal", p.animal, "", nil)
		e.add("pet", p.pet, p.animal, nil)
	}
	e.add("food", p.food, "", nil)
	e.add("hobby", p.hobby, "", nil)
	if p.friend != nil {
		e.add("friend", p.friend.name(), "", p.friend.entity)
	}
	if p.kin != nil {
		e.add("kin", p.kin.name(), p.kinship, p.kin.entity)
	}
}

func (s *shop) describe() {
	e := s.entity
	e.add("kind", s.kind, "", nil)
	if s.owner != nil {
		e.add("owner", s.owner.name(), "", s.owner.entity)
	}
	e.add("street", s.street, "", nil)
	for _, g := range s.goods {
		e.add("price", coins(g.price), g.name, nil)
	}
	e.add("opens", clock(s.usual().open), "", nil)
	e.add("closes", clock(s.usual().close), "", nil)
	e.add("rest", weekdays[s.rest()], "", nil)
}

func (p *place) describe() {
	p.entity.add("street", p.street, "", nil)
	p.entity.add("built", strconv.Itoa(p.built), "", nil)
	p.entity.add("fame", p.fame, "", nil)
}

// coins is a price in words.
func coins(n int) string {
	if n == 1 {
		return "1 coin"
	}
	return strconv.Itoa(n) + " coins"
}

// clock is a full hour of 24 in words, as people say it.
func clock(hour int) string {
	if hour > 12 {
		hour -= 12
	}
	return strconv.Itoa(hour) + " o'clock"
}

// rivals are the other values of a fact's kind in the town: what a guesser may
// list beside the right one.
func (t *town) rivals(f *fact) []string {
	right := f.accept()
	var list []string
	for _, g := range t.facts {
		if g.kind != f.kind || (f.kind == "shop.price" && g.param != f.param) {
			continue
		}
		if v := g.accept()[0]; !slices.Contains(right, v) && !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}
