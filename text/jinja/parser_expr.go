package jinja

import (
	"slices"
	"strings"
)

// tuple reads one expression, or several with commas between them: a tuple
// without brackets. In the head of a for or if there is no conditional
// expression (cond false). ends are names that may follow a trailing comma.
// Precedence from loose to tight: if, or, and, not, comparisons, + and -, ~, * and /, **,
// signs, then dots, brackets, calls and filters.
func (p *parser) tuple(cond bool, ends []string, empty bool) expr {
	return p.commaList(ends, empty, func() expr {
		if cond {
			return p.expression()
		}
		return p.or()
	})
}

// targetTuple reads names, and tuples of names, to assign to.
func (p *parser) targetTuple(namespace bool, ends []string) expr {
	return p.commaList(ends, false, func() expr {
		if namespace && p.cur().kind == tokName && p.look().kind == tokOp && p.look().text == "." {
			t := p.advance()
			p.advance()
			return &nsExpr{at: at(t.line), name: t.text, attr: p.expectName().text}
		}
		return p.primary()
	})
}

// commaList reads what tuple and targetTuple have in common. With empty, a
// tuple of nothing is one: ().
func (p *parser) commaList(ends []string, empty bool, read func() expr) expr {
	line := p.line()
	var items []expr
	// One comma makes a tuple: (1,) is one, (1) is not.
	comma := false
	for {
		if len(items) > 0 {
			p.expectOp(",")
		}
		t := p.cur()
		if t.kind == tokVarEnd || t.kind == tokBlockEnd || p.isOp(")") || p.isName(ends...) {
			break
		}
		items = append(items, read())
		if !p.isOp(",") {
			break
		}
		comma = true
	}
	if !comma {
		if len(items) > 0 {
			return items[0]
		}
		if !empty {
			p.fail("got %s, want an expression", p.cur())
		}
	}
	return &listExpr{at(line), items, true}
}

// expression reads a conditional expression: a if test else b.
func (p *parser) expression() expr {
	defer p.nest()()
	line := p.line()
	e := p.or()
	// a if x if y is (a if x) if y; else takes all that follows.
	for p.skipName("if") {
		c := &condExpr{at: at(line), test: p.or(), then: e}
		if p.skipName("else") {
			c.other = p.expression()
		}
		e = c
		line = p.line()
	}
	return e
}

// or reads a chain of or, grouped from the left, as and does below.
func (p *parser) or() expr {
	line := p.line()
	e := p.and()
	for p.skipName("or") {
		e = &logicExpr{at(line), true, e, p.and()}
	}
	return e
}

// and reads a chain of and.
func (p *parser) and() expr {
	line := p.line()
	e := p.not()
	for p.skipName("and") {
		e = &logicExpr{at(line), false, e, p.not()}
	}
	return e
}

// Each not is a level of recursion, hence nest.
func (p *parser) not() expr {
	if line := p.line(); p.skipName("not") {
		defer p.nest()()
		return &notExpr{at(line), p.not()}
	}
	return p.compare()
}

// compare reads a chain of comparisons, with in and not in among them.
// a < b < c stays one node: b is computed once.
func (p *parser) compare() expr {
	c := &compareExpr{at: at(p.line())}
	c.first = p.sum()
	for {
		t := p.cur()
		op := ""
		switch {
		case t.kind == tokOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, t.text):
			op = t.text
		case p.isName("in"):
			op = "in"
		case p.isName("not") && p.look().kind == tokName && p.look().text == "in":
			op = "not in"
			p.advance()
		default:
			if c.ops == nil {
				return c.first
			}
			return c
		}
		p.advance()
		c.ops = append(c.ops, op)
		c.rest = append(c.rest, p.sum())
	}
}

// binary reads a chain of operators of one precedence, from the left.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	line := p.line()
	e := operand()
	for {
		t := p.cur()
		if t.kind != tokOp || !slices.Contains(ops, t.text) {
			return e
		}
		p.advance()
		e = &binExpr{at(line), t.text, e, operand()}
		line = p.line()
	}
}

// sum reads + and -, product below what binds tighter.
func (p *parser) sum() expr { return p.binary(p.concat, "+", "-") }

// concat binds tighter than + and looser than *.
func (p *parser) concat() expr {
	c := &concatExpr{at: at(p.line())}
	for {
		c.parts = append(c.parts, p.product())
		if !p.skipOp("~") {
			break
		}
	}
	if len(c.parts) == 1 {
		return c.parts[0]
	}
	return c
}

// product reads *, /, // and %.
func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }

// power groups from the left, unlike in Python.
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

// unary reads signs, a primary and what follows it. A filter binds looser than
// a sign: -1|abs is 1.
func (p *parser) unary(filters bool) expr {
	line := p.line()
	var e expr
	if t := p.cur(); t.kind == tokOp && (t.text == "-" || t.text == "+") {
		// A sign applies to what follows without its filters, which come after.
		defer p.nest()()
		p.advance()
		e = &signExpr{at(line), t.text, p.unary(false)}
	} else {
		e = p.primary()
	}
	e = p.postfix(e)
	if filters {
		e = p.filterExpr(e)
	}
	return e
}

// primary reads a name, a literal or something in brackets.
func (p *parser) primary() expr {
	t := p.cur()
	switch t.kind {
	case tokName:
		p.advance()
		switch t.text {
		case "true", "True":
			return &constExpr{at(t.line), true}
		case "false", "False":
			return &constExpr{at(t.line), false}
		case "none", "None":
			return &constExpr{at(t.line), none{}}
		}
		return &nameExpr{at: at(t.line), name: t.text}
	case tokString:
		// "a" "b" is "ab", as in Python.
		var text strings.Builder // strings in a row are one
		for p.cur().kind == tokString {
			text.WriteString(p.advance().text)
		}
		return &constExpr{at(t.line), author(text.String())}
	case tokNumber:
		p.advance()
		return &constExpr{at(t.line), t.num}
	case tokOp:
		defer p.nest()()
		switch t.text {
		// Brackets around one expression leave no trace; around several they are a tuple.
		case "(":
			p.advance()
			e := p.tuple(true, nil, true)
			p.expectOp(")")
			return e
		case "[":
			return p.list()
		case "{":
			return p.dict()
		}
	}
	p.fail("unexpected %s", t)
	return nil
}

// list reads [a, b].
// A comma may stand in front of the bracket, here and in dicts and calls.
func (p *parser) list() expr {
	e := &listExpr{at: at(p.advance().line)}
	for !p.isOp("]") {
		if len(e.items) > 0 {
			p.expectOp(",")
			if p.isOp("]") {
				break
			}
		}
		e.items = append(e.items, p.expression())
	}
	p.expectOp("]")
	return e
}

// dict reads {a: b}.
func (p *parser) dict() expr {
	e := &dictExpr{at: at(p.advance().line)}
	for !p.isOp("}") {
		if len(e.keys) > 0 {
			p.expectOp(",")
			if p.isOp("}") {
				break
			}
		}
		e.keys = append(e.keys, p.expression())
		p.expectOp(":")
		e.vals = append(e.vals, p.expression())
	}
	p.expectOp("}")
	return e
}

// postfix reads attributes, subscripts and calls.
func (p *parser) postfix(e expr) expr {
	for {
		switch {
		case p.isOp("."):
			e = p.dot(e)
		case p.isOp("["):
			e = p.subscript(e)
		case p.isOp("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

// filterExpr reads filters, tests and calls of their results.
// A call may follow a filter: x|attr("f")() calls what attr found.
func (p *parser) filterExpr(e expr) expr {
	for {
		switch {
		case p.isOp("|"):
			e = p.filters(e, false)
		case p.isName("is"):
			e = p.test(e)
		case p.isOp("("):
			e = p.call(e)
		default:
			return e
		}
	}
}

// dot reads .name or .0.
// x.0 is x[0], which Django's templates brought into the world.
func (p *parser) dot(e expr) expr {
	line := p.advance().line
	t := p.advance()
	switch _, float := t.num.(float64); {
	case t.kind == tokName:
		return &attrExpr{at(line), e, t.text}
	case t.kind == tokNumber && !float:
		return &itemExpr{at(line), e, &constExpr{at(t.line), t.num}}
	}
	p.failAt(t.line, "got %s, want a name or a number behind the dot", t)
	return nil
}

// subscript reads [key], [a, b] (a tuple as key) or a slice.
func (p *parser) subscript(e expr) expr {
	line := p.advance().line
	var keys []expr
	for !p.isOp("]") {
		if len(keys) > 0 {
			p.expectOp(",")
		}
		if s := p.slice(e, line, &keys); s != nil {
			if len(keys) > 0 || !p.isOp("]") {
				p.fail("a slice must stand alone in its brackets")
			}
			p.advance()
			return s
		}
	}
	p.expectOp("]")
	if len(keys) == 1 {
		return &itemExpr{at(line), e, keys[0]}
	}
	return &itemExpr{at(line), e, &listExpr{at(line), keys, true}}
}

// slice reads a slice and returns it, or adds a plain subscript to keys.
// keys is what the caller collects; x[a:b, c] is an error there.
func (p *parser) slice(x expr, line int, keys *[]expr) expr {
	s := &sliceExpr{at: at(line), x: x}
	if !p.isOp(":") {
		e := p.expression()
		if !p.isOp(":") {
			*keys = append(*keys, e)
			return nil
		}
		s.from = e
	}
	p.advance()
	ended := func() bool { return p.isOp("]") || p.isOp(",") }
	if !p.isOp(":") && !ended() {
		s.to = p.expression()
	}
	if p.skipOp(":") && !ended() {
		s.step = p.expression()
	}
	return s
}

// call reads the arguments of a call of e.
func (p *parser) call(e expr) expr {
	line := p.line()
	return &callExpr{at: at(line), fn: e, args: p.args()}
}

// args reads the arguments of a call.
// Order and repetition are checked here; how many there may be, the callee says.
func (p *parser) args() argList {
	defer p.nest()()
	line := p.line()
	var a argList
	ensure := func(ok bool) {
		if !ok {
			p.failAt(line, "arguments in the wrong order, or given twice: want f(a, key=b, *list, **dict)")
		}
	}
	p.expectOp("(")
	for first := true; !p.isOp(")"); first = false {
		if !first {
			p.expectOp(",")
			if p.isOp(")") {
				break
			}
		}
		switch {
		case p.skipOp("*"):
			ensure(a.star == nil && a.starstar == nil)
			a.star = p.expression()
		case p.skipOp("**"):
			ensure(a.starstar == nil)
			a.starstar = p.expression()
		case p.cur().kind == tokName && p.look().kind == tokOp && p.look().text == "=":
			key := p.advance().text
			ensure(a.starstar == nil && !slices.Contains(a.keys, key))
			p.advance()
			a.keys = append(a.keys, key)
			a.vals = append(a.vals, p.expression())
		default:
			ensure(a.star == nil && a.starstar == nil && a.keys == nil)
			a.pos = append(a.pos, p.expression())
		}
	}
	p.expectOp(")")
	return a
}

// dotted reads a name of a filter or test; dots may stand in it.
func (p *parser) dotted() string {
	name := p.expectName().text
	for p.skipOp(".") {
		name += "." + p.expectName().text
	}
	return name
}

// filters reads |a|b(c); in the head of a filter block the first bar is left out.
// inline says so.
func (p *parser) filters(e expr, inline bool) expr {
	for ; inline || p.isOp("|"); inline = false {
		if !inline {
			p.advance()
		}
		f := &filterExpr{at: at(p.line()), x: e}
		f.name = p.dotted()
		if p.isOp("(") {
			f.args = p.args()
		}
		e = f
	}
	return e
}

// test reads x is [not] name args, where one argument needs no brackets.
// x is divisibleby 3 and y: the argument is a primary, so that and ends it.
func (p *parser) test(x expr) expr {
	line := p.advance().line
	negated := p.skipName("not")
	t := &testExpr{at: at(line), x: x, name: p.dotted()}
	switch c := p.cur(); {
	case p.isOp("("):
		t.args = p.args()
	case p.isName("else", "or", "and"):
	case p.isName("is"):
		p.fail("tests cannot follow each other: use and")
	case c.kind == tokName, c.kind == tokString, c.kind == tokNumber, p.isOp("["), p.isOp("{"):
		t.args.pos = []expr{p.postfix(p.primary())}
	}
	if negated {
		return &notExpr{at(line), t}
	}
	return t
}
