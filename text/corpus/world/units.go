package world

import (
	"fmt"
	"strconv"
)

// unit is a pair of units of the same kind.
type unit struct {
	big, bigs, small, smalls string
	factor                   int // smalls in a big
}

// units are the pairs that the town uses.
func units() []unit {
	return []unit{
		{"kilometre", "kilometres", "metre", "metres", 1000},
		{"kilogram", "kilograms", "gram", "grams", 1000},
		{"litre", "litres", "millilitre", "millilitres", 1000},
		{"metre", "metres", "centimetre", "centimetres", 100},
		{"hour", "hours", "minute", "minutes", 60},
		{"minute", "minutes", "second", "seconds", 60},
		{"day", "days", "hour", "hours", 24},
		{"week", "weeks", "day", "days", 7},
		{"year", "years", "month", "months", 12},
		{"dozen", "dozen", "egg", "eggs", 12},
	}
}

// decimal says whether a change of unit only adds or drops zeros.
func (u unit) decimal() bool { return u.factor == 100 || u.factor == 1000 }

// fact is the rule of the pair: "1 hour is 60 minutes."
func (u unit) fact() string { return fmt.Sprintf("1 %s is %d %s.", u.big, u.factor, u.smalls) }

// count says n of something: "1 hour", "3 hours".
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// amount draws how many of the big unit, of the split: below 10 for both,
// above only where it is a matter of zeros.
func (u unit) amount(r *rng, s Split) int {
	if !u.decimal() {
		return 2 + r.IntN(8)
	}
	for {
		n := 2 + r.IntN(98)
		if s != Held && n < 10 {
			return n
		}
		if h := hash(0, fmt.Sprintf("%d %d", n, u.factor)); n >= 10 && (h%heldShare == 0) == (s == Held) {
			return n
		}
	}
}

// conversion makes an item of one of four kinds, by level: 1 to the smaller
// unit; 2 to the larger, or both units to the smaller; 3 the smaller to both.
func conversion(r *rng, s Split) Item {
	for {
		u := pick(r, units())
		n, part, kind := u.amount(r, s), u.part(r), r.IntN(4)
		if u.small == "egg" && kind > 1 {
			continue // nobody says "2 dozen 3 eggs"
		}
		whole := n * u.factor
		steps := [...][]problem{
			{{n, times, u.factor}},
			{{whole, over, u.factor}},
			{{n, times, u.factor}, {whole, plus, part}},
			{{n, times, u.factor}, {whole + part, minus, whole}},
		}[kind]
		if !inAll(steps, s) {
			continue
		}
		big, small := count(n, u.big, u.bigs), count(whole, u.small, u.smalls)
		both, all := big+" "+count(part, u.small, u.smalls), count(whole+part, u.small, u.smalls)
		from := [...]string{big, small, both, all}[kind]
		to := [...]string{u.smalls, u.bigs, u.smalls, u.bigs + " and " + u.smalls}[kind]
		result := [...]string{small, big, all, both}[kind]
		return Item{
			Level:    [...]int{1, 2, 2, 3}[kind],
			Messages: ask(say(r, s, "unit.convert", "from", from, "to", to), u.fact()+" "+equations(steps)+" The answer is "+result+"."),
			Label:    accept("answer is " + result),
		}
	}
}

// part draws what is beyond a whole number of the big unit.
func (u unit) part(r *rng) int {
	p := 1 + r.IntN(u.factor-1)
	if u.decimal() {
		p = 5 * (1 + r.IntN(u.factor/5-1)) // as people say it
	}
	return p
}

// makeUnits makes a conversion, or every third time a scaled recipe.
func makeUnits(_ *World, r *rng, s Split, _ int) Item {
	if r.IntN(3) == 0 {
		return scaling(r, s)
	}
	return conversion(r, s)
}

// ingredients are the units in which a recipe counts, with a usual amount and
// the step of amounts.
func ingredients() []struct {
	what       string
	step, most int
} {
	return []struct {
		what       string
		step, most int
	}{
		{"grams of flour", 50, 8}, {"grams of butter", 10, 9}, {"eggs", 1, 6}, {"cups of milk", 1, 5}, {"spoons of sugar", 1, 9},
		{"grams of peas", 100, 6}, {"onions", 1, 5}, {"potatoes", 1, 9}, {"millilitres of cream", 50, 6}, {"pinches of salt", 1, 4},
	}
}

// scaling makes an item about a recipe for more people, level 2.
func scaling(r *rng, s Split) Item {
	in := pick(r, ingredients())
	n := max(2, in.step*(1+r.IntN(in.most))) // 2: so that the ingredient stays in the plural
	var few, by int
	var steps []problem
	for steps == nil || !inAll(steps, s) {
		few, by = 2+r.IntN(4), 2+r.IntN(3)
		steps = []problem{{few * by, over, few}, {by, times, n}}
	}
	q := say(r, s, "unit.scale", "dish", noun(r, s, "unit.dish"), "few", strconv.Itoa(few), "many", strconv.Itoa(few*by),
		"n", strconv.Itoa(n), "what", in.what)
	a := fmt.Sprintf("%s The answer is %d %s.", equations(steps), by*n, in.what)
	return Item{Level: 2, Messages: ask(q, a), Label: accept(fmt.Sprintf("answer is %d %s", by*n, in.what))}
}
