package world

import (
	"fmt"
	"strings"
)

// Counts is how much of everything the town of training has.
type Counts struct {
	People, Shops, Places, Streets, Trips, Recipes, Feasts int
	Facts                                                  int
	Kinds                                                  []KindCount
}

// KindCount counts one kind of fact and the ways to speak of it.
type KindCount struct {
	Kind      string
	Facts     int
	Sentences [2]int // phrasings of a statement, of Train and Held, names left open
	Questions [2]int // and of a question, with what may stand around it
}

// Counts counts the town of a split, and all phrasings.
func (w *World) Counts(split Split) Counts {
	t := w.town(split)
	c := Counts{People: len(t.people), Shops: len(t.shops), Places: len(t.places), Streets: len(t.streets), Trips: len(t.trips), Recipes: len(t.recipes), Feasts: len(t.events), Facts: len(t.facts)}
	at := map[string]int{}
	for _, f := range t.facts {
		i, ok := at[f.kind]
		if !ok {
			i = len(c.Kinds)
			at[f.kind] = i
			c.Kinds = append(c.Kinds, countKind(f.kind))
		}
		c.Kinds[i].Facts++
	}
	return c
}

func countKind(kind string) KindCount {
	k := KindCount{Kind: kind}
	s := sec(kind)
	for i, split := range []Split{Train, Held} {
		k.Sentences[i] = ways(s.of(split, formSay)) + ways(s.of(split, formFull))
		for _, shape := range []struct {
			form form
			wrap string
		}{{formAsk, "wrap.ask"}, {formClause, "wrap.clause"}, {formNP, "wrap.np"}} {
			train, held := ways(sec(shape.wrap).of(Train, formSay)), ways(sec(shape.wrap).of(Held, formSay))
			cores := ways(s.of(Train, shape.form))
			if split == Train {
				k.Questions[i] += cores * train
			} else {
				k.Questions[i] += cores*held + ways(s.of(Held, shape.form))*(train+held)
			}
		}
	}
	return k
}

// ways counts the different texts that phrases can become, slots left open.
func ways(list []phrase) int {
	seen := map[string]bool{}
	for _, p := range list {
		for _, s := range p.expand() {
			seen[s] = true
		}
	}
	return len(seen)
}

// Table is the counts in Markdown, as docs/WORLD.md shows them.
func (c Counts) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d people, %d shops, %d places, %d streets, %d trips, %d recipes, %d feasts: %d facts.\n\n", c.People, c.Shops, c.Places, c.Streets, c.Trips, c.Recipes, c.Feasts, c.Facts)
	b.WriteString("| kind of fact | facts | statements (train / held) | questions (train / held) |\n|---|---:|---:|---:|\n")
	for _, k := range c.Kinds {
		fmt.Fprintf(&b, "| %s | %d | %d / %d | %d / %d |\n", k.Kind, k.Facts, k.Sentences[0], k.Sentences[1], k.Questions[0], k.Questions[1])
	}
	return b.String()
}

// About introduces the town in a few lines.
func (w *World) About() string {
	c := w.Counts(Train)
	return fmt.Sprintf("%s is a small town on the river %s, known for its pears, its otters and a clock that is always five minutes late.\n"+
		"%d people live there; there are %d shops and %d places to go to: %d facts, each with one true value.\n",
		w.train.name, w.train.river, c.People, c.Shops, c.Places, c.Facts)
}
