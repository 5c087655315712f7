package jinja

// node is a part of a template's tree. each calls fn for its children in the
// order in which Jinja's own analysis of names meets them.
type node interface {
	pos() int // line, from 1
	each(fn func(node))
}

// expr is a node that gives a value.
type expr interface {
	node
	eval(m *machine, f *frame) value
}

// stmt is a node that is run; it says whether its loop goes on.
type stmt interface {
	node
	exec(m *machine, f *frame) flow
}

// flow is how a statement ended.
type flow uint8

// How a statement ended: the next one follows, or the loop around is left or begun anew.
const (
	next flow = iota
	breakLoop
	continueLoop
)

// at is what every node embeds to know its line.
type at int // line

// pos is the line that the node begins on.
func (a at) pos() int { return int(a) }

// access says what a name is used for.
type access uint8

const (
	load  access = iota
	store        // a target of set or for
	param        // of a macro or with, always its own variable
)

// Expressions, and targets of assignment, which are read as expressions. Slots and
// refs are filled in by the binder; the parser leaves them empty.
type (
	constExpr struct { // a literal, and text outside of tags
		at
		v value
	}
	nameExpr struct { // a variable, read or set
		at
		name   string
		access access
		ref    ref // by the binder
	}
	nsExpr struct { // ns.attr as a target of set
		at
		name, attr string
		ref        ref
	}
	listExpr struct { // [a, b] or (a, b)
		at
		items []expr
		tuple bool
	}
	dictExpr struct { // {a: b}, in the order of the source
		at
		keys, vals []expr
	}
	condExpr struct { // then if test else other; other may be nil
		at
		test, then, other expr
	}
	logicExpr struct { // and, or
		at
		or          bool
		left, right expr
	}
	notExpr struct {
		at
		x expr
	}
	signExpr struct { // -x, +x
		at
		op string
		x  expr
	}
	binExpr struct { // + - * / // % **
		at
		op          string
		left, right expr
	}
	concatExpr struct { // a ~ b ~ c
		at
		parts []expr
	}
	compareExpr struct { // a < b <= c
		at
		first expr
		ops   []string
		rest  []expr
	}
	attrExpr struct { // x.name: an attribute first, then an item
		at
		x    expr
		name string
	}
	itemExpr struct { // x[key]: an item first, then an attribute
		at
		x, key expr
	}
	sliceExpr struct { // x[from:to:step], each may be nil
		at
		x              expr
		from, to, step expr
	}
	callExpr struct { // fn(args)
		at
		fn    expr
		args  argList
		block *macroExpr // the body of a call block, given as caller
	}
	filterExpr struct { // x|name(args)
		at
		x    expr
		name string
		args argList
		def  *filter // nil: unknown, and in a branch that may never run
	}
	testExpr     filterExpr // the same of a test
	capturedExpr struct {   // what a filter block or a set block caught
		at
		v int // slot
	}
)

// argList are the arguments of a call: f(pos, key=val, *star, **starstar).
type argList struct {
	pos            []expr
	keys           []string
	vals           []expr
	star, starstar expr
}

// Statements. The scope of each is made by the binder: what a name means inside.
type (
	outputStmt struct { // text and print statements in a row
		at
		parts []expr
	}
	ifStmt struct {
		at
		test      expr
		then      []stmt
		elifs     []stmt // *ifStmt without else
		otherwise []stmt
	}
	forStmt struct {
		at
		target, testTarget   expr // the same names; the condition sets its own variables
		iter, test           expr // test may be nil
		body, otherwise      []stmt
		recursive            bool
		fn                   *scopeFunc // of a recursive loop
		testFn               *scopeFunc // of the condition
		scope, other, filter *scope     // of the body, the else part and the condition
		loop                 int        // slot of the variable loop, or -1
	}
	setStmt struct { // target = value
		at
		target, value expr
	}
	setBlockStmt struct { // the target becomes what the body writes
		at
		target expr
		filter expr // on what the body wrote; may be nil
		slot   int  // where the filter finds it
		body   []stmt
		scope  *scope
	}
	filterStmt struct { // writes what the filter makes of the body
		at
		filter expr
		slot   int // where the filter finds what the body wrote
		body   []stmt
		scope  *scope
	}
	withStmt struct { // variables for the body alone
		at
		targets, values []expr
		body            []stmt
		scope           *scope
	}
	generationStmt struct { // a call block in Python, so its body is a macro's
		at
		body *macroExpr
	}
	scopeStmt struct { // autoescape false
		at
		body  []stmt
		scope *scope
	}
	macroStmt struct { // sets target to the macro
		at
		target *nameExpr
		macro  *macroExpr
	}
	callStmt struct { // calls a macro that gets the body as caller
		at
		call *callExpr
	}
	flowStmt struct { // break, continue
		at
		flow flow
	}
)

// macroExpr is the definition of a macro, or the body of a call block, whose
// name is empty.
type macroExpr struct {
	at
	name     string
	params   []*nameExpr
	defaults []expr // of the last params
	body     []stmt

	fn                      *scopeFunc
	scope                   *scope
	caller, kwargs, varargs int // slots of what the body asks for, or -1
}

// eachExpr passes over nil, which stands for a part that was left out.
func eachExpr(list []expr, fn func(node)) {
	for _, e := range list {
		if e != nil {
			fn(e)
		}
	}
}

// eachStmt visits a body.
func eachStmt(list []stmt, fn func(node)) {
	for _, s := range list {
		fn(s)
	}
}

// each visits arguments in the order in which they are computed: by place, by
// name, then the unpacked ones.
func (a *argList) each(fn func(node)) {
	eachExpr(a.pos, fn)
	eachExpr(a.vals, fn)
	eachExpr([]expr{a.star, a.starstar}, fn)
}

// The order of children matters: a name that is first read and then set is another
// variable to Jinja than one that is first set. scope.analyze goes by it.
func (e *constExpr) each(fn func(node))    {}
func (e *nameExpr) each(fn func(node))     {}
func (e *nsExpr) each(fn func(node))       {}
func (e *capturedExpr) each(fn func(node)) {}
func (e *listExpr) each(fn func(node))     { eachExpr(e.items, fn) }

// each visits a key before its value.
func (e *dictExpr) each(fn func(node)) {
	for i := range e.keys {
		fn(e.keys[i])
		fn(e.vals[i])
	}
}
func (e *condExpr) each(fn func(node))   { eachExpr([]expr{e.test, e.then, e.other}, fn) }
func (e *logicExpr) each(fn func(node))  { fn(e.left); fn(e.right) }
func (e *notExpr) each(fn func(node))    { fn(e.x) }
func (e *signExpr) each(fn func(node))   { fn(e.x) }
func (e *binExpr) each(fn func(node))    { fn(e.left); fn(e.right) }
func (e *concatExpr) each(fn func(node)) { eachExpr(e.parts, fn) }
func (e *compareExpr) each(fn func(node)) {
	fn(e.first)
	eachExpr(e.rest, fn)
}
func (e *attrExpr) each(fn func(node))  { fn(e.x) }
func (e *itemExpr) each(fn func(node))  { fn(e.x); fn(e.key) }
func (e *sliceExpr) each(fn func(node)) { eachExpr([]expr{e.x, e.from, e.to, e.step}, fn) }
func (e *callExpr) each(fn func(node))  { fn(e.fn); e.args.each(fn) }
func (e *filterExpr) each(fn func(node)) {
	fn(e.x)
	e.args.each(fn)
}
func (e *testExpr) each(fn func(node)) {
	fn(e.x)
	e.args.each(fn)
}

func (s *outputStmt) each(fn func(node)) { eachExpr(s.parts, fn) }
func (s *ifStmt) each(fn func(node)) {
	fn(s.test)
	eachStmt(s.then, fn)
	eachStmt(s.elifs, fn)
	eachStmt(s.otherwise, fn)
}

// each visits the condition last, although it runs first: it has names of its own.
func (s *forStmt) each(fn func(node)) {
	fn(s.target)
	fn(s.iter)
	eachStmt(s.body, fn)
	eachStmt(s.otherwise, fn)
	eachExpr([]expr{s.test}, fn)
}
func (s *setStmt) each(fn func(node)) { fn(s.target); fn(s.value) }

// each visits the target first: what the body reads is another variable.
func (s *setBlockStmt) each(fn func(node)) {
	fn(s.target)
	eachExpr([]expr{s.filter}, fn)
	eachStmt(s.body, fn)
}

// each visits the body before the filter that is applied to it.
func (s *filterStmt) each(fn func(node)) { eachStmt(s.body, fn); fn(s.filter) }
func (s *withStmt) each(fn func(node)) {
	eachExpr(s.targets, fn)
	eachExpr(s.values, fn)
	eachStmt(s.body, fn)
}
func (s *generationStmt) each(fn func(node)) { s.body.each(fn) }
func (s *scopeStmt) each(fn func(node))      { eachStmt(s.body, fn) }
func (s *macroStmt) each(fn func(node))      { s.macro.each(fn) }

// each visits the call, then the body that it hands over.
func (s *callStmt) each(fn func(node)) { fn(s.call); s.call.block.each(fn) }
func (s *flowStmt) each(fn func(node)) {}
func (e *macroExpr) each(fn func(node)) {
	for _, p := range e.params {
		fn(p)
	}
	eachExpr(e.defaults, fn)
	eachStmt(e.body, fn)
}
