package jinja

import (
	"fmt"
)

// machine is one rendering: what it reads, what it has written, and what it
// may still spend. Its methods panic with *Error or *RaisedError, which Render
// catches.
// It belongs to one goroutine and is thrown away after the rendering.
type machine struct {
	lib   *library
	opt   Options
	vars  map[string]any
	seen  map[string]value // vars and globals that were asked for
	out   *builder
	line  int // of the template, for errors
	steps int // left
	depth int // of macro calls and of values walked through
}

// frame holds the variables of a function while it runs.
// A macro keeps the frame that it was defined in, as a Python closure does.
type frame struct {
	slots []value
	up    *frame // of the function around it
}

// at is where a variable lives: r.hops frames out.
func (f *frame) at(r ref) *value {
	for ; r.hops > 0; r.hops-- {
		f = f.up
	}
	return &f.slots[r.slot]
}

// fail ends the rendering with an error at the current line.
func (m *machine) fail(format string, args ...any) {
	panic(&Error{Line: m.line, Msg: fmt.Sprintf(format, args...)})
}

// limit ends the rendering because it asks for too much.
func (m *machine) limit(format string, args ...any) {
	panic(&Error{m.line, "limit reached: " + fmt.Sprintf(format, args...), ErrLimit})
}

// step pays for one step of work.
func (m *machine) step() {
	if m.steps--; m.steps < 0 {
		m.limit("more than %d steps (does a loop have no end?)", m.opt.MaxSteps)
	}
}

// spend pays for building or reading n bytes.
// 128 bytes cost a step, so that ten million steps build about a gigabyte in all.
func (m *machine) spend(n int) {
	if m.steps -= n >> 7; m.steps < 0 {
		m.limit("more than %d steps (does a loop have no end?)", m.opt.MaxSteps)
	}
}

// room pays for a string of n bytes and checks that it may be that long.
func (m *machine) room(n int) {
	if n > m.opt.MaxOutput || n < 0 {
		m.limit("a text of more than %d bytes", m.opt.MaxOutput)
	}
	m.spend(n)
}

// roomItems is room for a list of n items.
// An item takes about 16 bytes.
func (m *machine) roomItems(n int) {
	if n > m.opt.MaxOutput/16 || n < 0 {
		m.limit("a list of more than %d items", m.opt.MaxOutput/16)
	}
	m.spend(16 * n)
}

// enter goes one level deeper, into a macro or a value; leave comes back.
func (m *machine) enter() {
	if m.depth++; m.depth > m.opt.MaxDepth {
		m.limit("more than %d macro calls or lists inside each other", m.opt.MaxDepth)
	}
}

// leave is the end of enter: defer it.
func (m *machine) leave() { m.depth-- }

// write adds to the output.
func (m *machine) write(t *str) { m.add(m.out, t) }

// add puts t behind what a builder has, and pays for it.
// Every string that grows goes through here, or asks room itself.
func (m *machine) add(b *builder, t *str) {
	if len(b.b)+len(t.s) > m.opt.MaxOutput {
		m.limit("a text of more than %d bytes", m.opt.MaxOutput)
	}
	m.spend(len(t.s))
	b.write(t)
}

// capture runs fn and returns what it wrote.
// A panic may leave m.out changed; nobody writes after one.
func (m *machine) capture(fn func() flow) (*str, flow) {
	out := m.out
	m.out = &builder{}
	how := fn()
	t := m.out.text()
	m.out = out
	return t, how
}

// resolve finds a render variable or a global; nil if there is neither.
// A variable shadows a global of its name.
func (m *machine) resolve(name string) value {
	if v, ok := m.seen[name]; ok {
		return v
	}
	var v value
	if x, ok := m.vars[name]; ok {
		v = m.convert(x, name, 0)
	} else if fn := m.lib.globals[name]; fn != nil {
		v = fn
	}
	m.seen[name] = v
	return v
}

// enter gives the variables of a scope their first values.
func (s *scope) enter(m *machine, f *frame) {
	for _, slot := range s.order {
		switch e := s.loads[slot]; e.how {
		case byResolve:
			f.slots[slot] = m.resolve(e.name)
		case byAlias:
			f.slots[slot] = *f.at(e.alias)
		// A scope is entered for each turn of a loop: what the turn before set is gone.
		case byNothing:
			f.slots[slot] = nil
		}
	}
}

// leave unsets the variables of a scope, for macros that outlive it.
func (s *scope) leave(f *frame) {
	for _, slot := range s.order {
		f.slots[slot] = nil
	}
}

// run executes statements until one of them leaves the loop.
func (m *machine) run(list []stmt, f *frame) flow {
	for _, s := range list {
		m.step()
		if how := s.exec(m, f); how != next {
			return how
		}
	}
	return next
}
