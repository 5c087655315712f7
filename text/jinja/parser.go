package jinja

import (
	"fmt"
	"slices"
	"strings"
)

// parser turns tokens into statements, one method per construct of the
// grammar, with the precedences and oddities of Jinja 3.1.
// Its methods panic with *Error, which parse catches.
// It follows jinja2/parser.py, and jinja2/ext.py for break, continue and generation.
type parser struct {
	tokens []token
	pos    int
	depth  int        // of nested brackets, blocks and unary operators
	loops  int        // loops whose body is being read: break needs one
	ends   [][]string // what would close the open blocks
}

// cur is the token to be read, line its line, look the one behind it.
func (p *parser) cur() token  { return p.tokens[p.pos] }
func (p *parser) line() int   { return p.tokens[p.pos].line }
func (p *parser) look() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

// advance returns the current token and moves behind it.
// At the end it stays at tokEOF, so that no caller needs to look for it.
func (p *parser) advance() token {
	t := p.tokens[p.pos]
	if p.pos < len(p.tokens)-1 {
		p.pos++
	}
	return t
}

// fail ends the parsing with an error about the current line.
func (p *parser) fail(format string, args ...any) { p.failAt(p.line(), format, args...) }

// failAt is fail about another line, such as that where a construct began.
func (p *parser) failAt(line int, format string, args ...any) {
	panic(&Error{Line: line, Msg: fmt.Sprintf(format, args...)})
}

// nest guards the recursion of the parser, and with it that of all that walks
// its tree: defer p.nest()().
func (p *parser) nest() func() {
	if p.depth++; p.depth > maxNesting {
		panic(&Error{p.line(), fmt.Sprintf("more than %d constructs inside each other", maxNesting), ErrLimit})
	}
	return func() { p.depth-- }
}

// Methods named is look, skip moves on if it is there, expect fails if it is not.
func (p *parser) isOp(op string) bool {
	t := p.cur()
	return t.kind == tokOp && t.text == op
}

// Names and keywords are one kind of token: for may be a variable where no tag begins.
func (p *parser) isName(names ...string) bool {
	t := p.cur()
	return t.kind == tokName && slices.Contains(names, t.text)
}

func (p *parser) skipOp(op string) bool {
	if p.isOp(op) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) skipName(name string) bool {
	if p.isName(name) {
		p.advance()
		return true
	}
	return false
}

func (p *parser) expectOp(op string) {
	if !p.skipOp(op) {
		p.fail("got %s, want %q", p.cur(), op)
	}
}

func (p *parser) expectWord(name string) {
	if !p.skipName(name) {
		p.fail("got %s, want %q", p.cur(), name)
	}
}

func (p *parser) expectName() token {
	if p.cur().kind != tokName {
		p.fail("got %s, want a name", p.cur())
	}
	return p.advance()
}

func (p *parser) expectEnd(kind tokenKind) {
	if p.cur().kind != kind {
		p.fail("got %s, want %q", p.cur(), token{kind: kind})
	}
	p.advance()
}

// parse reads a whole template.
func parse(source string) (body []stmt, err error) {
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	defer catch(&err)
	body = p.statements(nil)
	for _, s := range body {
		checkTree(s, 1)
	}
	return body, nil
}

// checkTree bounds the depth of the tree, which a chain of operators makes as
// deep as it is long, so that those who walk it need not.
// maxTree is well inside Go's stack; Python would fail with RecursionError.
func checkTree(n node, depth int) {
	if depth > maxTree {
		panic(&Error{n.pos(), fmt.Sprintf("an expression of more than %d operators in a row", maxTree), ErrLimit})
	}
	n.each(func(child node) { checkTree(child, depth+1) })
}

// statements reads up to a block tag of one of the names in ends, whose name is
// then the current token; without ends, up to the end of the template.
// Text and {{ }} in a row become one statement.
func (p *parser) statements(ends []string) []stmt {
	defer p.nest()()
	p.ends = append(p.ends, ends)
	defer func() { p.ends = p.ends[:len(p.ends)-1] }()
	var body []stmt
	var out *outputStmt // collects text and print statements
	print := func(line int, e expr) {
		if out == nil {
			out = &outputStmt{at: at(line)}
			body = append(body, out)
		}
		out.parts = append(out.parts, e)
	}
	for {
		t := p.cur()
		switch t.kind {
		case tokData:
			p.advance()
			print(t.line, &constExpr{at(t.line), author(t.text)})
		case tokVar:
			p.advance()
			print(t.line, p.tuple(true, nil, false))
			p.expectEnd(tokVarEnd)
		// The name is the end of the body: whoever opened it reads the rest of the tag.
		case tokBlock:
			p.advance()
			if p.isName(ends...) {
				return body
			}
			out = nil
			if s := p.statement(); s != nil {
				body = append(body, s)
			}
			p.expectEnd(tokBlockEnd)
		case tokEOF:
			if ends != nil {
				p.fail("the template ends where %s is missing", orList(ends))
			}
			return body
		default:
			p.fail("unexpected %s", t)
		}
	}
}

// block reads the rest of a tag and its body, up to a tag of one of the names;
// that tag's name is consumed and returned.
// Jinja lets a colon end the head of a tag.
func (p *parser) block(ends ...string) ([]stmt, string) {
	p.skipOp(":")
	p.expectEnd(tokBlockEnd)
	body := p.statements(ends)
	return body, p.advance().text
}

// orList names what would close a block, for errors.
func orList(names []string) string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = "{% " + n + " %}"
	}
	return strings.Join(list, " or ")
}

// statement reads one block tag, from its name on.
func (p *parser) statement() stmt {
	t := p.cur()
	if t.kind != tokName {
		p.fail("got %s, want the name of a tag", t)
	}
	p.advance()
	switch t.text {
	case "for":
		return p.forLoop(t.line)
	case "if":
		return p.ifBlock(t.line)
	case "set":
		return p.set(t.line)
	case "macro":
		return p.macroBlock(t.line)
	case "call":
		return p.callBlock(t.line)
	case "filter":
		return p.filterBlock(t.line)
	case "with":
		return p.with(t.line)
	// transformers makes it a call block, whose body is a macro's: what it sets is
	// its own.
	case "generation":
		return &generationStmt{at(t.line), &macroExpr{at: at(t.line), body: p.closedBody("endgeneration")}}
	case "autoescape":
		return p.autoescape(t.line)
	case "print":
		return p.print(t.line)
	case "break", "continue":
		if p.loops == 0 {
			p.failAt(t.line, "%s outside of a loop", t.text)
		}
		if t.text == "break" {
			return &flowStmt{at(t.line), breakLoop}
		}
		return &flowStmt{at(t.line), continueLoop}
	// Known words, so that the error is about the sandbox and not about a typo.
	case "include", "import", "from", "extends", "block":
		panic(&Error{t.line, t.text + ": a chat template stands alone: it cannot load or extend others", ErrUnsafe})
	}
	p.unknownTag(t)
	return nil
}

// unknownTag says what is open: most unknown tags are ends of something else.
func (p *parser) unknownTag(t token) {
	open := p.ends[len(p.ends)-1]
	if open == nil {
		p.failAt(t.line, "unknown tag %q", t.text)
	}
	p.failAt(t.line, "unknown tag %q, want %s", t.text, orList(open))
}

// closedBody reads a body that is a function of its own in Python: no break
// reaches out of it.
func (p *parser) closedBody(end string) []stmt {
	loops := p.loops
	p.loops = 0
	body, _ := p.block(end)
	p.loops = loops
	return body
}

// forLoop reads for target in iter [if test] [recursive]; a break in the else
// part leaves the loop around.
func (p *parser) forLoop(line int) stmt {
	s := &forStmt{at: at(line), loop: -1}
	s.target = p.target(false, []string{"in"})
	p.expectWord("in")
	s.iter = p.tuple(false, []string{"recursive"}, false)
	if p.skipName("if") {
		s.test = p.expression()
	}
	s.recursive = p.skipName("recursive")
	p.loops++
	body, end := p.block("endfor", "else")
	p.loops--
	s.body = body
	if end == "else" {
		s.otherwise, _ = p.block("endfor")
	}
	return s
}

// ifBlock reads if, elif, else.
// elif blocks are ifs of their own, in a list, so that a long chain is no deep tree.
func (p *parser) ifBlock(line int) stmt {
	first := &ifStmt{at: at(line)}
	s := first
	for {
		s.test = p.tuple(false, nil, false)
		var end string
		s.then, end = p.block("elif", "else", "endif")
		switch end {
		case "elif":
			s = &ifStmt{at: at(p.line())}
			first.elifs = append(first.elifs, s)
			continue
		case "else":
			first.otherwise, _ = p.block("endif")
		}
		return first
	}
}

// set reads set a = b, or set a and its block.
// A tuple of names takes a tuple of values; only set may assign to ns.attr.
func (p *parser) set(line int) stmt {
	target := p.target(true, nil)
	if p.skipOp("=") {
		return &setStmt{at(line), target, p.tuple(true, nil, false)}
	}
	s := &setBlockStmt{at: at(line), target: target}
	if p.isOp("|") {
		s.filter = p.filters(&capturedExpr{at: at(line)}, false)
	}
	s.body, _ = p.block("endset")
	return s
}

// with reads with a = b, c = d.
func (p *parser) with(line int) stmt {
	s := &withStmt{at: at(line)}
	for p.cur().kind != tokBlockEnd {
		if len(s.targets) > 0 {
			p.expectOp(",")
		}
		target := p.target(false, nil)
		setAccess(target, param)
		p.expectOp("=")
		s.targets = append(s.targets, target)
		s.values = append(s.values, p.expression())
	}
	s.body, _ = p.block("endwith")
	return s
}

// autoescape is read for the sake of templates that turn it off; it is never on.
func (p *parser) autoescape(line int) stmt {
	c, ok := p.expression().(*constExpr)
	if !ok || truth(c.v) {
		p.failAt(line, "autoescape: chat templates are not escaped, only false is possible")
	}
	s := &scopeStmt{at: at(line)}
	s.body, _ = p.block("endautoescape")
	return s
}

// print reads the rarely used print tag.
func (p *parser) print(line int) stmt {
	s := &outputStmt{at: at(line)}
	for p.cur().kind != tokBlockEnd {
		if len(s.parts) > 0 {
			p.expectOp(",")
		}
		s.parts = append(s.parts, p.expression())
	}
	return s
}

// filterBlock reads filter name|name and the text that goes through it.
func (p *parser) filterBlock(line int) stmt {
	s := &filterStmt{at: at(line)}
	s.filter = p.filters(&capturedExpr{at: at(line)}, true)
	s.body, _ = p.block("endfilter")
	return s
}

// macroBlock reads macro name(parameters).
func (p *parser) macroBlock(line int) stmt {
	name := p.expectName()
	target := &nameExpr{at: at(name.line), name: name.text, access: store}
	p.checkTarget(target)
	e := &macroExpr{at: at(line), name: name.text}
	p.signature(e)
	e.body = p.closedBody("endmacro")
	return &macroStmt{at(line), target, e}
}

// callBlock reads call(parameters) f(arguments).
// The body becomes the macro named caller inside of the one that is called.
func (p *parser) callBlock(line int) stmt {
	e := &macroExpr{at: at(line)}
	if p.isOp("(") {
		p.signature(e)
	}
	call, ok := p.expression().(*callExpr)
	if !ok {
		p.failAt(line, "call: want a call of a macro")
	}
	e.body = p.closedBody("endcall")
	call.block = e
	return &callStmt{at(line), call}
}

// signature reads the parameters of a macro or call block.
func (p *parser) signature(e *macroExpr) {
	p.expectOp("(")
	for !p.isOp(")") {
		if len(e.params) > 0 {
			p.expectOp(",")
		}
		t := p.expectName()
		arg := &nameExpr{at: at(t.line), name: t.text, access: param}
		p.checkTarget(arg)
		for _, other := range e.params {
			if other.name == arg.name {
				p.failAt(t.line, "two parameters have the name %q", arg.name)
			}
		}
		if p.skipOp("=") {
			e.defaults = append(e.defaults, p.expression())
			// As in Python: who leaves one argument out leaves out those behind it too.
		} else if e.defaults != nil {
			p.fail("a parameter without default behind one that has one")
		}
		e.params = append(e.params, arg)
	}
	p.expectOp(")")
}

// target reads what set, for and with assign to.
func (p *parser) target(namespace bool, ends []string) expr {
	e := p.targetTuple(namespace, ends)
	setAccess(e, store)
	p.checkTarget(e)
	return e
}

// checkTarget refuses what cannot be assigned to.
func (p *parser) checkTarget(e expr) {
	switch e := e.(type) {
	case *nsExpr:
	case *nameExpr:
		switch e.name {
		case "true", "false", "none", "True", "False", "None":
			p.failAt(e.pos(), "cannot assign to %s", e.name)
		}
	case *listExpr:
		if !e.tuple {
			p.failAt(e.pos(), "cannot assign to a list")
		}
		for _, item := range e.items {
			p.checkTarget(item)
		}
	default:
		p.failAt(e.pos(), "cannot assign to an expression")
	}
}

// setAccess makes targets of names.
// Parsed as an expression, a target's names look like reads until then.
func setAccess(e expr, a access) {
	switch e := e.(type) {
	case *nameExpr:
		e.access = a
	case *listExpr:
		for _, item := range e.items {
			setAccess(item, a)
		}
	}
}
