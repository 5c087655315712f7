package world

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// op is one of the four operations, as the sign that stands in an expression.
type op byte

// The operations.
const (
	plus  op = '+'
	minus op = '-'
	times op = '*'
	over  op = '/' // whole numbers, with a remainder
)

// problem is a op b. Of minus, a is at least b; of times and over, b is a
// single digit.
type problem struct {
	a  int
	op op
	b  int
}

func (p problem) String() string { return fmt.Sprintf("%d %c %d", p.a, p.op, p.b) }

// heldShare is one pair of operands in this many that no training text has.
const heldShare = 10

// small says whether a problem is a step of other problems, written everywhere,
// so that its pair cannot be held out: a number below 10 more or less, the
// tables of single digits (of division too, whose steps have a quotient below
// 10), and products with tens or the factors of units.
func (p problem) small() bool {
	if p.op == plus || p.op == minus {
		return min(p.a, p.b) < 10
	}
	if p.op == over && p.b < 10 && p.a < 10*p.b {
		return true
	}
	step := func(n int) bool { return n%10 == 0 || n == 12 || n == 24 }
	return max(p.a, p.b) < 10 || step(p.a) || step(p.b)
}

// in says whether a pair of operands, whichever comes first, may be used in a
// split; a small one may in both.
func (p problem) in(s Split) bool {
	if p.small() {
		return true
	}
	h := hash(0, fmt.Sprintf("%d %c %d", min(p.a, p.b), p.op, max(p.a, p.b)))
	return (h%heldShare == 0) == (s == Held)
}

// inAll says whether all of several problems may be used in a split.
func inAll(list []problem, s Split) bool {
	return !slices.ContainsFunc(list, func(p problem) bool { return !p.in(s) })
}

// equations writes problems with their results: "2 * 60 = 120. 120 + 25 = 145."
// Their divisions leave no remainder.
func equations(list []problem) string {
	var out []string
	for _, p := range list {
		result, _ := p.value()
		out = append(out, fmt.Sprintf("%s = %d.", p, result))
	}
	return strings.Join(out, " ")
}

// value is the result, and the remainder of a division.
func (p problem) value() (result, rest int) {
	switch p.op {
	case plus:
		return p.a + p.b, 0
	case minus:
		return p.a - p.b, 0
	case times:
		return p.a * p.b, 0
	}
	return p.a / p.b, p.a % p.b
}

// answer is the result as it is said: "132", "7 remainder 5".
func (p problem) answer() string {
	result, rest := p.value()
	if p.op == over {
		return fmt.Sprintf("%d remainder %d", result, rest)
	}
	return strconv.Itoa(result)
}

// worked is the problem with its written steps, in the one form that the world
// knows: the problem again, then column by column from the right what is
// computed, what is carried and what is written so far, then the answer:
//
//	47 + 85. Ones: 7 + 5 = 12, carry 1, so far 2. Tens: 4 + 8 + 1 = 13. The answer is 132.
//
// A tokenizer that makes every digit a token sees in each step only digits that
// stand at a named place, a table of single digits, and a copy of what is
// already there: nothing has to be kept in mind, nothing has to be turned round.
func (p problem) worked() string {
	return p.String() + ". " + p.steps() + " The answer is " + p.answer() + "."
}

// steps is the middle of worked.
func (p problem) steps() string {
	if p.op == over {
		return p.divide()
	}
	var b strings.Builder
	n := max(len(strconv.Itoa(p.a)), len(strconv.Itoa(p.b)))
	if p.op == times {
		n = len(strconv.Itoa(p.a))
	}
	carry, sofar := 0, ""
	for i := range n {
		text, sum, out, name := p.column(i, carry)
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s: %s", [...]string{"Ones", "Tens", "Hundreds", "Thousands"}[i], text)
		carry, sofar = out, strconv.Itoa(sum%10)+sofar
		if i < n-1 {
			fmt.Fprintf(&b, ", %s %d, so far %s", name, carry, sofar)
		}
		b.WriteByte('.')
	}
	return b.String()
}

// column is the arithmetic of digit i from the right with what was carried
// into it: its text, its result, what goes out and what that is called.
func (p problem) column(i, carry int) (text string, sum, out int, name string) {
	x, y := digit(p.a, i), digit(p.b, i)
	switch p.op {
	case minus:
		if x-y-carry < 0 {
			x, out = x+10, 1
		}
		sum, name = x-y-carry, "borrow"
		text = fmt.Sprintf("%d - %d", x, y)
	case times:
		sum, name = x*p.b, "carry"
		text = fmt.Sprintf("%d * %d = %d", x, p.b, sum)
		if i > 0 {
			text += fmt.Sprintf(", %d + %d = %d", sum, carry, sum+carry)
		}
		sum += carry
		return text, sum, sum / 10, name
	default:
		sum, name = x+y+carry, "carry"
		out = sum / 10
		text = fmt.Sprintf("%d + %d", x, y)
	}
	if i > 0 {
		text += fmt.Sprintf(" %c %d", p.op, carry)
	}
	return text + fmt.Sprintf(" = %d", sum), sum, out, name
}

// divide goes from the left: the rest with the next digit behind it is divided
// again. "47 / 6" is "4 / 6 = 0, rest 4. 47 / 6 = 7, rest 5."
func (p problem) divide() string {
	var lines []string
	rest := 0
	for _, c := range strconv.Itoa(p.a) {
		x := 10*rest + int(c-'0')
		rest = x % p.b
		lines = append(lines, fmt.Sprintf("%d / %d = %d, rest %d.", x, p.b, x/p.b, rest))
	}
	return strings.Join(lines, " ")
}

// digit i of n from the right; 0 beyond its end.
func digit(n, i int) int {
	for range i {
		n /= 10
	}
	return n % 10
}

// drawProblem draws a problem of a level (the digits of its longer number)
// until one belongs to the split. Held has none of the small ones.
func drawProblem(r *rng, s Split, o op, level int) problem {
	for {
		p := anyProblem(r, o, level)
		if p.in(s) && (s != Held || !p.small()) {
			return p
		}
	}
}

// anyProblem draws without regard to splits.
func anyProblem(r *rng, o op, level int) problem {
	switch o {
	case times:
		return problem{withDigits(r, level), times, 2 + r.IntN(8)}
	case over:
		if level == 1 { // within the tables
			b := 2 + r.IntN(8)
			return problem{b*(1+r.IntN(9)) + r.IntN(b), over, b}
		}
		return problem{withDigits(r, level), over, 2 + r.IntN(8)}
	}
	short := level
	if level > 1 && r.IntN(4) == 0 { // one in four has numbers of unequal length
		short = 1 + r.IntN(level-1)
	}
	p := problem{withDigits(r, level), o, withDigits(r, short)}
	switch {
	case o == minus && p.a < p.b, o == plus && r.IntN(2) == 0:
		p.a, p.b = p.b, p.a
	}
	return p
}

// withDigits draws a number of n digits.
func withDigits(r *rng, n int) int {
	low := 1
	for range n - 1 {
		low *= 10
	}
	return low + r.IntN(9*low)
}
