package world

// teller writes a text about entities: it chooses phrasings, joins facts into
// sentences, and calls an entity by its name, its short name or a pronoun.
type teller struct {
	r     *rng
	split Split
	out   []byte
	e     env
	me    *entity // who speaks, or nil
	last  *entity // whom the sentence before was about
	met   []*entity
}

// refer fills the slots of a subject. Only who was spoken of last is a pronoun.
func (t *teller) refer(x *entity) {
	if x == t.me {
		t.subject("I", "me", "my", x)
		t.e.text[slotHe], t.e.text[slotHim], t.e.text[slotHis], t.e.first = "I", "me", "my", true
		return
	}
	name, known := x.name, false
	for _, m := range t.met {
		known = known || m == x
	}
	if !known {
		t.met = append(t.met, x)
	} else if t.r.chance(50) {
		name = x.short
	}
	if known && t.last == x && t.r.chance(55) {
		t.subject(x.he, x.him, x.his, x)
	} else {
		t.subject(name, name, name+"'s", x)
	}
	t.last = x
}

// subject fills the slots for the entity x, called n.
func (t *teller) subject(n, m, ns string, x *entity) {
	e := &t.e
	e.first = false
	e.text[slotN], e.text[slotM], e.text[slotNs], e.text[slotName] = n, m, ns, x.name
	e.text[slotHe], e.text[slotHim], e.text[slotHis], e.text[slotWho] = x.he, x.him, x.his, x.who
}

// value fills the slots of a fact.
func (t *teller) value(f *fact) { t.e.text[slotV], t.e.text[slotX] = f.value, f.param }

// line appends a phrase of a section as a sentence.
func (t *teller) line(section string) {
	if list := sec(section).of(t.split, formSay); len(list) > 0 {
		t.put(pick(t.r, list))
	}
}

// put appends a phrase as a sentence.
func (t *teller) put(p phrase) { t.out = p.sentence(t.out, t.r, &t.e) }

// br begins a new line.
func (t *teller) br() {
	for len(t.out) > 0 && t.out[len(t.out)-1] == ' ' {
		t.out = t.out[:len(t.out)-1]
	}
	t.out = append(t.out, '\n')
}

// tell states facts, which may be of several entities, in their order: one to
// three of the same entity in a sentence.
func (t *teller) tell(facts []*fact) {
	for len(facts) > 0 {
		n := 1
		for n < len(facts) && n < 3 && facts[n].of == facts[0].of {
			n++
		}
		n = min(n, [...]int{1, 1, 1, 2, 2, 3}[t.r.IntN(6)])
		t.state(facts[:n])
		facts = facts[n:]
	}
}

var (
	frames      = [3]string{"frame.one", "frame.two", "frame.three"}
	firstFrames = [3]string{"frame.first.one", "frame.first.two", "frame.first.three"}
)

// state says one to three facts of an entity in one sentence.
func (t *teller) state(facts []*fact) {
	x := facts[0].of
	t.refer(x)
	if full := sec(facts[0].kind).of(t.split, formFull); len(facts) == 1 && !t.e.first && len(full) > 0 && t.r.chance(45) {
		t.value(facts[0])
		t.put(pick(t.r, full))
		return
	}
	for i, f := range facts {
		t.value(f)
		t.e.text[slotP+slot(i)] = string(pick(t.r, sec(f.kind).of(t.split, formSay)).say(nil, t.r, &t.e))
	}
	frame := frames[len(facts)-1]
	if t.e.first {
		frame = firstFrames[len(facts)-1]
	}
	list := sec(frame).of(Train, formSay)
	if full := sec(frame).of(Train, formFull); len(full) > 0 && t.split == Train && t.r.chance(20) {
		list = full
	}
	p := pick(t.r, list)
	for t.e.text[slotN] == x.he && p.uses(slotWho) { // not: "she, who ..."
		p = pick(t.r, list)
	}
	t.put(p)
}

// question asks for a fact. In Held, the question or what is put around it is a
// phrasing that no training text has.
func question(r *rng, f *fact, split Split, called string) string {
	t := &teller{r: r, split: split}
	t.subject(called, called, called+"'s", f.of)
	t.value(f)
	return t.wrapped(sec(f.kind))
}

// shapes are the forms of a question and what may be put around each.
var shapes = [...]struct {
	form form
	wrap string
}{{formAsk, "wrap.ask"}, {formAsk, "wrap.ask"}, {formAsk, "wrap.ask"}, {formClause, "wrap.clause"}, {formClause, "wrap.clause"}, {formNP, "wrap.np"}}

// wrapped asks for what the section asks for; the slots are filled.
func (t *teller) wrapped(s *section) string {
	core, wrap := t.split, Train
	if t.split == Held && t.r.chance(50) { // either may be what is held out
		core, wrap = Train, Held
	} else if t.split == Held && t.r.chance(50) {
		wrap = Held
	}
	shape := pick(t.r, shapes[:])
	list := s.of(core, shape.form)
	if len(list) == 0 {
		shape = shapes[0]
		list = s.of(core, shape.form)
	}
	if shape.form == formNP && (s.name == "person.friend" || s.name == "person.kin" || s.name == "shop.owner") {
		shape.wrap = "wrap.np.who"
	}
	t.e.text[slotQ] = string(pick(t.r, list).say(nil, t.r, &t.e))
	return string(pick(t.r, sec(shape.wrap).of(wrap, formSay)).sentence(nil, t.r, &t.e))
}

// answer is a short sentence that states a fact.
func answer(r *rng, f *fact) string {
	t := &teller{r: r}
	t.subject(f.of.name, f.of.name, f.of.name+"'s", f.of)
	t.value(f)
	return string(pick(r, sec(f.kind).of(Train, formAnswer)).sentence(nil, r, &t.e))
}
