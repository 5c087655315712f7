package jinja

// loop is the variable loop. It looks at most one item ahead.
// The one item ahead is what loop.last and loop.nextitem need.
// It is LoopContext of jinja2/runtime.py.
type loop struct {
	index         int // from 0
	depth         int // from 0
	again         func(v value) *str
	m             *machine             // of the rendering, to count by
	over          value                // what is looped over; nil if its length is unknown
	it            func() (value, bool) // the items behind the one peeked at
	length        int                  // -1: not counted yet
	peeked        bool
	after         value   // the item peeked at; nil at the end
	before, now   value   // the item of the last turn and of this one
	lastChanged   []value // arguments of loop.changed the last time
	changedBefore bool    // there was a last time
}

// start begins a loop, in a recursive one with depth and again set before.
// it gives the items, over has them all at once, or is nil.
func (l *loop) start(m *machine, over value, it func() (value, bool)) {
	l.m, l.over, l.it, l.index, l.length = m, over, it, -1, -1
}

// next moves on.
func (l *loop) next() (value, bool) {
	v, ok := l.peek()
	if !ok {
		return nil, false
	}
	// The item peeked at is taken; the next peek asks for another.
	l.peeked, l.after = false, nil
	l.index++
	l.before, l.now = l.now, v
	return v, true
}

// peek is the next item, without moving on.
func (l *loop) peek() (value, bool) {
	if !l.peeked || l.after == nil {
		l.after, _ = l.it()
		l.peeked = true
	}
	return l.after, l.after != nil
}

// len counts the items; of an iterator it takes them all first.
func (l *loop) len() int {
	if l.length >= 0 {
		return l.length
	}
	if n, ok := l.m.len(l.over); ok {
		l.length = n
		// Lists know their length; only a generator has to be read to its end.
		return n
	}
	// Kept, so that the loop goes on over them.
	var rest []value
	for {
		v, ok := l.it()
		if !ok {
			break
		}
		l.m.step()
		rest = append(rest, v)
	}
	// Those gone by, this one, the one peeked at, and the rest.
	l.length = len(rest) + l.index + 1
	if l.after != nil {
		l.length++
	}
	l.it = func() (value, bool) {
		if len(rest) == 0 {
			return nil, false
		}
		v := rest[0]
		rest = rest[1:]
		return v, true
	}
	return l.length
}

// attr is an attribute of the loop; nil if there is none of that name.
func (l *loop) attr(name string) value {
	switch name {
	case "index":
		return int64(l.index + 1)
	case "index0":
		return int64(l.index)
	case "revindex":
		return int64(l.len() - l.index)
	case "revindex0":
		return int64(l.len() - l.index - 1)
	case "length":
		return int64(l.len())
	case "first":
		return l.index == 0
	// The end shows only when one looks: of a generator that takes its next item.
	case "last":
		_, more := l.peek()
		return !more
	case "depth":
		return int64(l.depth + 1)
	case "depth0":
		return int64(l.depth)
	case "previtem":
		if l.index == 0 {
			return &undefined{msg: "there is no previous item"}
		}
		return l.before
	case "nextitem":
		if v, ok := l.peek(); ok {
			return v
		}
		return &undefined{msg: "there is no next item"}
	case "cycle":
		return &function{"cycle", l.cycle}
	case "changed":
		return &function{"changed", l.changed}
	}
	return nil
}

// cycle is loop.cycle(a, b, ...): they take turns.
func (l *loop) cycle(m *machine, a *args) value {
	a.noKeywords(m, "cycle")
	if len(a.pos) == 0 {
		m.fail("loop.cycle: no items given")
	}
	return a.pos[l.index%len(a.pos)]
}

// changed reports whether the arguments differ from those of the last call.
// The first call is a change.
func (l *loop) changed(m *machine, a *args) value {
	a.noKeywords(m, "changed")
	same := l.changedBefore && len(l.lastChanged) == len(a.pos)
	for i := 0; same && i < len(a.pos); i++ {
		same = m.equal(l.lastChanged[i], a.pos[i])
	}
	l.lastChanged, l.changedBefore = a.pos, true
	return !same
}

// call is loop(items) of a recursive loop: its body again, one level deeper.
func (l *loop) call(m *machine, a *args) value {
	v := m.bind("loop", signature("iterable"), a)
	if l.again == nil {
		m.fail("the loop must be marked recursive to be called")
	}
	return l.again(v[0])
}
