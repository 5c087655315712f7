package world

import (
	"fmt"
	"strings"
)

// A phrase is a way to say something, with choices and slots:
//
//	{n} <live> in [a small|an old|] house in {v}
//
// {n} is a slot, [a|b|] a choice of one (here or nothing), and <live> a verb
// that agrees with its subject: "I live", "she lives". "a" before a vowel
// becomes "an" by itself.
type phrase []node

// node is one piece of a phrase: a text, a slot, a verb or a choice.
type node struct {
	kind byte // 't', 's', 'v' or 'c'
	text string
	slot slot
	verb [2]string // third person, first person
	alts []phrase
}

// slot is a place in an env.
type slot uint8

// slots are the names of all slots; a slot is its index.
var slots = [...]string{
	"n", "m", "ns", "name", "he", "him", "his", "who", "v", "x", // a fact: subject in its forms, value, parameter
	"p", "q", "r", "t", // phrases within phrases
	"A", "a", "ahe", "ahim", "ahis", "B", "b", "bhe", "bhim", "bhis", // people of a story
	"S", "shop", "good", "price", "coins", "P", "Q", "street", "thing", "corner", "weather", "day", "town", "river", "pet", "animal", "food", "hobby", "month",
	"c", "w", "few", "many", "what", "dish", "list", "goods", "cake", "from", "to", // skills
}

// The slots of a fact.
const (
	slotN slot = iota
	slotM
	slotNs
	slotName
	slotHe
	slotHim
	slotHis
	slotWho
	slotV
	slotX
	slotP
	slotQ
	slotR
	slotT
	slotA
)

// slotOf finds a slot by name.
func slotOf(name string) (slot, bool) {
	for i, s := range slots {
		if s == name {
			return slot(i), true
		}
	}
	return 0, false
}

// env gives the slots their texts.
type env struct {
	text  [len(slots)]string
	first bool // the subject is I
}

// set fills slots from pairs of name and text.
func (e *env) set(pairs ...string) {
	for i := 0; i < len(pairs); i += 2 {
		s, ok := slotOf(pairs[i])
		if !ok {
			panic("world: no slot {" + pairs[i] + "}")
		}
		e.text[s] = pairs[i+1]
	}
}

// parsePhrase compiles a phrase.
func parsePhrase(text string) (phrase, error) {
	p, rest, err := parseUntil(text, "")
	if err == nil && rest != "" {
		err = fmt.Errorf("%q is left over", rest)
	}
	if err != nil {
		return nil, fmt.Errorf("phrase %q: %w", text, err)
	}
	return p, nil
}

// parseUntil compiles up to one of the end bytes, which stays in rest.
func parseUntil(text, end string) (p phrase, rest string, err error) {
	for text != "" {
		i := strings.IndexAny(text, "{}<>[]|")
		if i < 0 {
			return append(p, node{kind: 't', text: text}), "", nil
		}
		if i > 0 {
			p = append(p, node{kind: 't', text: text[:i]})
			text = text[i:]
		}
		var n node
		switch {
		case strings.IndexByte(end, text[0]) >= 0:
			return p, text, nil
		case text[0] == '{':
			n, text, err = parseSlot(text)
		case text[0] == '<':
			n, text, err = parseVerb(text)
		case text[0] == '[':
			n, text, err = parseChoice(text)
		default:
			err = fmt.Errorf("unexpected %q", text[:1])
		}
		if err != nil {
			return nil, "", err
		}
		p = append(p, n)
	}
	return p, "", nil
}

func parseSlot(text string) (node, string, error) {
	name, rest, ok := strings.Cut(text[1:], "}")
	s, found := slotOf(name)
	if !ok || !found {
		return node{}, "", fmt.Errorf("there is no slot {%s}", name)
	}
	return node{kind: 's', slot: s}, rest, nil
}

func parseVerb(text string) (node, string, error) {
	verb, rest, ok := strings.Cut(text[1:], ">")
	if !ok || verb == "" {
		return node{}, "", fmt.Errorf("a verb is not closed: %q", text)
	}
	return node{kind: 'v', verb: conjugate(verb)}, rest, nil
}

func parseChoice(text string) (node, string, error) {
	n := node{kind: 'c'}
	for text[0] != ']' {
		p, rest, err := parseUntil(text[1:], "|]")
		if err != nil {
			return node{}, "", err
		}
		if rest == "" {
			return node{}, "", fmt.Errorf("a choice is not closed: %q", text)
		}
		n.alts, text = append(n.alts, p), rest
	}
	return n, text[1:], nil
}

// conjugate gives the third person and the first of a verb.
func conjugate(verb string) [2]string {
	switch {
	case verb == "be":
		return [2]string{"is", "am"}
	case verb == "have":
		return [2]string{"has", verb}
	case strings.HasSuffix(verb, "o"), strings.HasSuffix(verb, "sh"), strings.HasSuffix(verb, "ch"), strings.HasSuffix(verb, "s"), strings.HasSuffix(verb, "x"):
		return [2]string{verb + "es", verb}
	case strings.HasSuffix(verb, "y") && !vowelSound(verb[len(verb)-2:]):
		return [2]string{verb[:len(verb)-1] + "ies", verb}
	}
	return [2]string{verb + "s", verb}
}

// say appends the phrase to out.
func (p phrase) say(out []byte, r *rng, e *env) []byte {
	for i := range p {
		n := &p[i]
		switch n.kind {
		case 't':
			out = join(out, n.text)
		case 's':
			out = join(out, e.text[n.slot])
		case 'v':
			out = append(out, n.verb[btoi(e.first)]...)
		case 'c':
			out = n.alts[r.IntN(len(n.alts))].say(out, r, e)
		}
	}
	return out
}

// join appends text, and makes "an" of an article "a" before a vowel.
func join(out []byte, text string) []byte {
	if k := len(out); k >= 2 && out[k-1] == ' ' && (out[k-2] == 'a' || out[k-2] == 'A') && (k == 2 || out[k-3] == ' ' || out[k-3] == '"' || out[k-3] == '\n') && vowelSound(text) {
		out = append(out[:k-1], "n "...)
	}
	if k := len(out); text != "" && k > 0 && out[k-1] == ' ' { // an empty choice stood there
		switch text[0] {
		case ' ':
			text = text[1:]
		case '.', ',', '?', '!':
			out = out[:k-1]
		}
	}
	if k := len(out); text != "" && k > 0 && out[k-1] == ',' && (text[0] == ',' || text[0] == '.') { // an apposition ended there
		out = out[:k-1]
	}
	return append(out, text...)
}

// sentence appends the phrase as a sentence: a space before it if needed, a
// capital first, and a full stop unless it has its own end.
func (p phrase) sentence(out []byte, r *rng, e *env) []byte {
	if k := len(out); k > 0 && out[k-1] != '\n' && out[k-1] != ' ' {
		out = append(out, ' ')
	}
	from := len(out)
	out = p.say(out, r, e)
	for len(out) > from && (out[len(out)-1] == ' ' || out[len(out)-1] == ',') {
		out = out[:len(out)-1]
	}
	return finish(out, from)
}

// finish capitalises the sentences of out[from:] and ends the last.
func finish(out []byte, from int) []byte {
	start, quoted := true, false
	for i := from; i < len(out); i++ {
		switch c := out[i]; {
		case c == '.' || c == '?' || c == '!' || c == '\n':
			start = true
		case c == '"':
			if quoted = !quoted; !quoted { // "...?" he asked
				start = false
			}
		case c == ' ':
		default:
			if start && c >= 'a' && c <= 'z' {
				out[i] -= 'a' - 'A'
			}
			start = false
		}
	}
	switch k := len(out); {
	case k < from+2 || strings.IndexByte(".?!:\n", out[k-1]) >= 0:
	case out[k-1] != '"':
		out = append(out, '.')
	case strings.IndexByte(".?!", out[k-2]) < 0: // the stop belongs inside
		out = append(out[:k-1], '.', '"')
	}
	return out
}

// uses tells whether a slot stands in the phrase, outside choices.
func (p phrase) uses(s slot) bool {
	for i := range p {
		if p[i].kind == 's' && p[i].slot == s {
			return true
		}
	}
	return false
}

// expand lists every choice of a phrase, slots left as {name}: what there is to
// be said, for tests and counts.
func (p phrase) expand() []string {
	all := []string{""}
	for i := range p {
		var tails []string
		switch n := &p[i]; n.kind {
		case 't':
			tails = []string{n.text}
		case 's':
			tails = []string{"{" + slots[n.slot] + "}"}
		case 'v':
			tails = []string{n.verb[0]}
		case 'c':
			for _, alt := range n.alts {
				tails = append(tails, alt.expand()...)
			}
		}
		var next []string
		for _, head := range all {
			for _, tail := range tails {
				next = append(next, string(join([]byte(head), tail)))
			}
		}
		all = next
	}
	return all
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
