package world

import "strings"

// townSize is how much of everything a town has.
type townSize struct{ people, shops, places, trips, recipes, events int }

// buildTown draws everything that is so in the town of a split.
func buildTown(r *rng, split Split, size townSize) *town {
	held := btoi(split == Held)
	t := &town{name: [2]string{"Ottermill", "Larkhaven"}[held], river: [2]string{"Tamble", "Wend"}[held], streets: townStreets[held]}
	t.buildPlaces(r, held, size.places)
	t.buildShops(r, held, size.shops)
	t.buildPeople(r, held, size.people)
	for i := range size.trips {
		j := journeys[i]
		t.trips = append(t.trips, &trip{to: j.to[held], by: j.by, minutes: 5 * r.between(2, 24), price: r.between(2, 20), leaves: r.between(7, 16)})
	}
	for i := range size.recipes {
		t.recipes = append(t.recipes, buildRecipe(r, dishNames[held][i]))
	}
	for i := range size.events {
		t.events = append(t.events, &event{name: feasts[held][i], month: months[(i+r.IntN(3))%12], place: t.places[r.IntN(len(t.places))]})
	}
	t.describe()
	return t
}

func (t *town) buildPlaces(r *rng, held, n int) {
	fame := append([]string(nil), sights...)
	shuffle(r, fame)
	for i := range n {
		t.places = append(t.places, &place{name: sites[i].names[held], kind: sites[i].kind, street: pick(r, t.streets), built: r.between(1601, 1949), fame: fame[i]})
	}
}

func (t *town) buildShops(r *rng, held, n int) {
	nouns := append([]string(nil), shopNouns[2*held]...) // of the town, or held out
	shuffle(r, nouns)
	for i := range n {
		tr := trades[i%len(trades)]
		t.shops = append(t.shops, buildShop(r, tr, "the "+pick(r, shopAdjectives)+" "+nouns[i], pick(r, t.streets)))
	}
}

// buildShop draws the goods and hours of a shop; it has no owner yet.
func buildShop(r *rng, tr trade, name, street string) *shop {
	s := &shop{name: name, kind: tr.kind, street: street}
	goods := append([]string(nil), tr.goods...)
	shuffle(r, goods)
	taken := map[int]bool{}
	for _, g := range goods[:4] {
		price := r.between(tr.prices[0], tr.prices[1])
		for taken[price] { // so that a dearer and a cheaper one can be told apart
			price = r.between(tr.prices[0], tr.prices[1])
		}
		taken[price] = true
		s.goods = append(s.goods, good{strings.ReplaceAll(g, "_", " "), price})
	}
	open, end := r.between(6, 10), r.between(15, 20)
	for d := range s.hours {
		s.hours[d] = span{open, end}
	}
	s.hours[5] = span{open, r.between(12, 14)} // Saturday is short
	s.hours[r.IntN(7)] = span{}                // the day of rest
	return s
}

// rest is the day when the shop is closed.
func (s *shop) rest() int {
	for d, h := range s.hours {
		if h.closed() {
			return d
		}
	}
	return 6
}

// usual is the hours of most days.
func (s *shop) usual() span {
	if s.hours[0].closed() {
		return s.hours[1]
	}
	return s.hours[0]
}

// buildPeople fills the town: first the owners, then helpers in shops, then
// those who work elsewhere. Friends and families are pairs.
func (t *town) buildPeople(r *rng, held, n int) {
	from := townNames
	if held == 1 {
		from = strangers[1]
	}
	she, he, last := append([]string(nil), from.she...), append([]string(nil), from.he...), append([]string(nil), from.last...)
	shuffle(r, she)
	shuffle(r, he)
	shuffle(r, last)
	pets := append([]string(nil), petNames[2*held]...)
	shuffle(r, pets)
	for i := range n {
		p := &person{she: r.chance(50), last: last[i%len(last)], age: r.between(18, 88), street: pick(r, t.streets), food: pick(r, foods), hobby: pick(r, hobbies)}
		if (p.she && len(she) > 0) || len(he) == 0 {
			p.she, p.first, she = true, she[0], she[1:]
		} else {
			p.she, p.first, he = false, he[0], he[1:]
		}
		t.employ(r, p, i)
		if len(pets) > 0 && r.chance(70) {
			p.animal, p.pet, pets = pick(r, animals), pets[0], pets[1:]
		}
		t.people = append(t.people, p)
	}
	t.befriend(r)
}

// employ gives the i-th person a job.
func (t *town) employ(r *rng, p *person, i int) {
	switch {
	case i < len(t.shops):
		p.shop, p.job = t.shops[i], trades[i%len(trades)].job
		p.shop.owner = p
	case i < 2*len(t.shops):
		p.shop = t.shops[i-len(t.shops)]
		p.job = one(r, "shop assistant", "clerk", "packer", "cashier", "errand runner")
	default:
		k := i % len(t.places)
		p.place, p.job = t.places[k], pick(r, sites[k].jobs)
	}
}

// befriend makes everybody one half of a pair of best friends, and a third of
// the people one half of a family.
func (t *town) befriend(r *rng) {
	order := append([]*person(nil), t.people...)
	shuffle(r, order)
	for i := 0; i+1 < len(order); i += 2 {
		order[i].friend, order[i+1].friend = order[i+1], order[i]
	}
	shuffle(r, order)
	for i := 0; i+1 < len(order)/3; i += 2 {
		marry(r, order[i], order[i+1])
	}
}

// marry makes two people a couple, or brothers and sisters, with one last name.
func marry(r *rng, a, b *person) {
	a.kin, b.kin = b, a
	b.last = a.last
	if r.chance(50) && a.she != b.she {
		a.kinship, b.kinship = choose(b.she, "wife", "husband"), choose(a.she, "wife", "husband")
	} else {
		a.kinship, b.kinship = choose(b.she, "sister", "brother"), choose(a.she, "sister", "brother")
	}
}

func buildRecipe(r *rng, dish string) *recipe {
	c := &recipe{dish: dish, minutes: 5 * r.between(2, 15)}
	list := append([]string(nil), stuff...)
	shuffle(r, list)
	for _, s := range list[:3] {
		c.parts = append(c.parts, part{r.between(2, 9), s})
	}
	return c
}
