package world

import (
	"fmt"
	"strings"
)

// sheets are the kinds of document about skills, by their share in per cent.
var sheets = [...]struct {
	share int
	write func(*World, *rng) []string
}{
	{46, (*World).workSheet}, {10, (*World).tables}, {12, (*World).unitSheet}, {10, (*World).shoppingList},
	{14, (*World).problemSheet}, {8, (*World).cakePage},
}

// corpusSkill is a document of arithmetic with written steps, measures, word
// problems, or what is known about the bell cake. Its problems are of Train.
func (w *World) corpusSkill(r *rng) string {
	k := r.IntN(100)
	for _, s := range sheets {
		if k -= s.share; k < 0 {
			return strings.Join(s.write(w, r), "\n")
		}
	}
	panic("world: the shares of sheets are below 100")
}

// heading is the first line of a sheet.
func (w *World) heading(r *rng, section string, pairs ...string) string {
	names := strangers[0]
	return say(r, Train, section, append(pairs, "A", one(r, pick(r, names.she), pick(r, names.he)), "town", w.train.name)...)
}

// workSheet is two to five problems with steps, as they are or as questions.
func (w *World) workSheet(r *rng) []string {
	lines := []string{w.heading(r, "sheet.title")}
	asked := r.chance(40)
	for range r.between(2, 5) {
		o := pick(r, []op{plus, plus, plus, plus, plus, minus, minus, times, times, over})
		p := drawProblem(r, Train, o, levelOf(r, Train, o))
		q, a := p.ask(r, Train)
		if asked {
			a = "Question: " + q + "\nAnswer: " + a
		}
		lines = append(lines, a)
	}
	return lines
}

// tables drills what the steps of larger problems are made of: sums, products
// and divisions of single digits.
func (w *World) tables(r *rng) []string {
	n := r.between(2, 9)
	lines := []string{w.heading(r, "sheet.table", "a", fmt.Sprint(n))}
	o := pick(r, []op{plus, minus, times, over})
	var row []string
	for k := 1; k <= 9; k++ {
		switch p := (problem{n, o, k}); {
		case o == minus && r.chance(30):
			row = append(row, fmt.Sprintf("%d - %d - 1 = %d.", n+k, n, k-1))
		case o == minus:
			row = append(row, fmt.Sprintf("%d - %d = %d.", n+k, n, k))
		case o == over:
			x := n*k + r.IntN(n)
			if (problem{x, over, n}).in(Train) {
				row = append(row, fmt.Sprintf("%d / %d = %d, rest %d.", x, n, k, x%n))
			}
		case o == plus && r.chance(30):
			row = append(row, fmt.Sprintf("%d + %d + 1 = %d.", n, k, n+k+1))
		default:
			row = append(row, equations([]problem{p}))
		}
	}
	if r.chance(50) {
		shuffle(r, row)
	}
	return append(lines, strings.Join(row, " "))
}

// unitSheet is rules and examples of measures, or a recipe made larger.
func (w *World) unitSheet(r *rng) []string {
	if r.chance(30) {
		return append([]string{w.heading(r, "sheet.recipe")}, pairsOf(r, 2, func() Item { return scaling(r, Train) })...)
	}
	lines := []string{w.heading(r, "sheet.units")}
	if r.chance(40) {
		for range 3 {
			lines = append(lines, pick(r, units()).fact())
		}
	}
	return append(lines, pairsOf(r, r.between(1, 3), func() Item { return conversion(r, Train) })...)
}

// problemSheet is word problems with their answers.
func (w *World) problemSheet(r *rng) []string {
	return append([]string{w.heading(r, "sheet.problems")}, pairsOf(r, r.between(1, 3), func() Item { return makeWordProblem(w, r, Train, 0) })...)
}

// pairsOf writes n items as question and answer, in one of three ways.
func pairsOf(r *rng, n int, draw func() Item) []string {
	way := r.IntN(3)
	var lines []string
	for range n {
		m := draw().Messages
		lines = append(lines, fmt.Sprintf([...]string{"Question: %s\nAnswer: %s", "%s\n%s", "%s %s"}[way], m[0].Content, m[1].Content))
	}
	return lines
}

// shoppingList is goods of a shop of the town at their true prices, with what
// each and all of them cost.
func (w *World) shoppingList(r *rng) []string {
	for {
		s := pick(r, w.train.shops)
		lines := []string{w.heading(r, "sheet.list"), "At " + s.name + ":"}
		sum, fits := 0, true
		for i, g := range s.goods[:r.between(2, 3)] {
			n := r.between(2, 9)
			p := problem{n, times, g.price}
			cost, _ := p.value()
			lines = append(lines, fmt.Sprintf("%d %s at %s each. %s", n, plural(g.name), coins(g.price), equations([]problem{p})))
			fits = fits && p.in(Train)
			if i > 0 {
				total := problem{sum, plus, cost}
				fits = fits && total.in(Train)
				lines = append(lines, "Together "+total.worked())
			}
			sum += cost
		}
		if fits {
			return append(lines, fmt.Sprintf("In all %s.", coins(sum)))
		}
	}
}

// cakePage tells what everybody knows about the bell cake.
func (w *World) cakePage(r *rng) []string {
	var facts []string
	seen := map[string]bool{}
	for range r.between(4, 7) {
		if f := say(r, Train, "cake.fact"); !seen[f] {
			seen[f] = true
			facts = append(facts, f)
		}
	}
	return []string{w.heading(r, "cake.page"), strings.Join(facts, " ")}
}
