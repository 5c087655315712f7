package world

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// This file knows nothing of the grammar: it reads sentences with eyes of its
// own and holds them against the tables of the world.

var fullName = regexp.MustCompile(`\b[A-Z][a-z]+ [A-Z][a-z]+\b`)

// TestCorpusContradictsNothing looks at each sentence that names one person of
// the town and nobody else: every street, job, food, hobby, animal, pet, age
// and workplace in it must be that person's own.
func TestCorpusContradictsNothing(t *testing.T) {
	w := New(1)
	byName := map[string]*person{}
	var jobs []string
	for _, p := range w.train.people {
		byName[p.name()] = p
		jobs = append(jobs, p.job)
	}
	checked := 0
	for doc := range w.Corpus(8 << 20) {
		if strings.HasPrefix(doc, "Dear") || strings.Contains(doc, "house by house") {
			continue
		}
		for _, s := range regexp.MustCompile(`[.?!]\s`).Split(doc, -1) {
			p := aboutOne(byName, s)
			if p == nil || !plain(s) {
				continue
			}
			checked++
			own := strings.Join([]string{p.street, p.job, p.food, p.hobby, p.animal, p.pet, p.work(), p.site()}, "|")
			for _, list := range [][]string{townStreets[0], jobs, foods, hobbies, animals} {
				for _, v := range list {
					if word(s, v) && !strings.Contains(own, v) {
						t.Errorf("%q: %s is not of %s (%s)", s, v, p.name(), own)
					}
				}
			}
			if m := regexp.MustCompile(`\b(\d+)( years|$)`).FindStringSubmatch(s); m != nil && m[1] != p.entity.has("age").value {
				t.Errorf("%q: %s is %d", s, p.name(), p.age)
			}
		}
	}
	if checked < 5000 {
		t.Errorf("only %d sentences checked", checked)
	}
}

// site is the street of the workplace.
func (p *person) site() string {
	if p.shop != nil {
		return p.shop.street
	}
	return p.place.street
}

// aboutOne is the one person of the town that a sentence names, if no other
// name is in it.
func aboutOne(byName map[string]*person, s string) *person {
	found := fullName.FindAllString(s, -1)
	var p *person
	for _, name := range found {
		if q := byName[name]; q != nil && (p == nil || p == q) {
			p = q
		} else if q != nil {
			return nil
		}
	}
	return p
}

// plain sentences state facts of their subject: those of stories, questions and
// letters tell what happened, and may be about other places and things.
func plain(s string) bool {
	for _, verb := range []string{" met ", " went ", " walked ", " hurried ", " wanted ", " stood ", "bought", " lost ", " found a ", " found it", "told", "shared", "looked", "planned", "heard", "wondered", "woke", "Q:", "A:", "belongs to", "owner", "owns", "owned", "shop of", "kept by", "run by", "in the hands of", "\"", "?", "ate ", "gave", "needed", "friend", "sister", "brother", "wife", "husband", "pick", "asks", "coins", "came", "surprise", "behind the counter", "Behind the counter", "helped", "was on the way", "known for"} {
		if strings.Contains(s, verb) {
			return false
		}
	}
	return true
}

// word tells whether v stands in s as whole words.
func word(s, v string) bool {
	i := strings.Index(s, v)
	return i >= 0 && (i == 0 || !letter(s[i-1])) && (i+len(v) == len(s) || !letter(s[i+len(v)]))
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' }

// TestFactLabelsAreTheTable holds every closed-book question to the town.
func TestFactLabelsAreTheTable(t *testing.T) {
	w := New(1)
	people := map[string]*person{}
	for _, p := range w.train.people {
		people[p.name()], people[p.first] = p, p
	}
	shops := map[string]*shop{}
	for _, s := range w.train.shops {
		shops[strings.TrimPrefix(s.name, "the ")] = s
	}
	seen := map[string]bool{}
	for _, split := range []Split{Train, Held} {
		for it := range w.Items(Fact, split, len(w.train.facts)) {
			reply := it.Messages[1].Content
			right := it.Label.Accept[0]
			seen[string(split)+reply+right] = true
			for name, p := range people {
				if strings.HasPrefix(reply, name+" ") || strings.HasPrefix(reply, name+"'s ") {
					if !slices.Contains(p.values(), right) {
						t.Errorf("%s: %q accepts %q, which is not of %s", it.ID, it.Messages[0].Content, right, name)
					}
				}
			}
			for name, s := range shops {
				if word(it.Messages[0].Content, name) && !slices.Contains(s.values(), right) {
					t.Errorf("%s: %q accepts %q, which is not of the %s", it.ID, it.Messages[0].Content, right, name)
				}
			}
		}
	}
}

func (p *person) values() []string {
	v := []string{p.job, strings.TrimPrefix(p.work(), "the "), p.street, p.entity.has("age").value, p.animal, p.pet, p.food, p.hobby, p.friend.name()}
	if p.kin != nil {
		v = append(v, p.kin.name())
	}
	if p.shop != nil && p.shop.owner == p { // "Mia Fenwick owns ..."
		v = append(v, p.name())
	}
	return v
}

func (s *shop) values() []string {
	v := []string{s.kind, s.owner.name(), s.street, weekdays[s.rest()], hourOf(s.usual().open), hourOf(s.usual().close)}
	for _, g := range s.goods {
		v = append(v, strings.TrimSuffix(strings.TrimSuffix(coins(g.price), "s"), " coin"))
	}
	return v
}

func hourOf(h int) string { return strings.TrimSuffix(clock(h), " o'clock") }

// TestPassagesHoldTheirAnswers reads grounded items: the right value stands in
// the passage, in or right behind a sentence about the entity asked for, and no
// unanswerable question has its answer there.
func TestPassagesHoldTheirAnswers(t *testing.T) {
	w := New(3)
	for _, split := range []Split{Train, Held} {
		for it := range w.Items(Grounded, split, 2000) {
			q := it.Messages[0].Content
			if !word(q, it.Label.Accept[0]) && !word(strings.ToLower(q), strings.ToLower(it.Label.Accept[0])) {
				t.Errorf("%s: %q is not in %q", it.ID, it.Label.Accept[0], q)
			}
		}
		for it := range w.Items(Unanswerable, split, 2000) {
			if !IsUnknown(it.Messages[1].Content) {
				t.Errorf("%s: %q", it.ID, it.Messages[1].Content)
			}
		}
		for p := range w.Passages(split, 500) {
			low := strings.ToLower(p.Text)
			for _, f := range p.Facts {
				if !strings.Contains(low, strings.ToLower(f.Value)) || !strings.Contains(low, strings.ToLower(f.Entity)) {
					t.Errorf("%s: %+v is not in %q", p.ID, f, p.Text)
				}
			}
		}
	}
}

// TestUnanswerableIsUnanswerable asks the maker itself: no fact that is asked
// for is stated, and the entity that is missing is not named.
func TestUnanswerableIsUnanswerable(t *testing.T) {
	w := New(4)
	for i := range 3000 {
		r := w.rng("test").fork(i)
		split := []Split{Train, Held}[i%2]
		p := w.passage(r, split, 1+i%3)
		f := w.unsaid(r, p, split)
		if slices.Contains(p.stated, f) {
			t.Fatalf("%s of %s is stated in %q", f.kind, f.of.name, p.text)
		}
		if slices.Contains(p.entities, f.of) {
			for _, g := range p.stated {
				if g.of == f.of && g.kind == f.kind && g.param == f.param {
					t.Errorf("%s of %s is stated in %q", f.kind, f.of.name, p.text)
				}
			}
		} else if strings.Contains(strings.ToLower(p.text), strings.ToLower(strings.TrimPrefix(f.of.name, "the "))) {
			t.Errorf("%s is not missing in %q", f.of.name, p.text)
		}
	}
}

func TestReadGrammarNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"[a|b": "not closed", "{nobody}": "no slot", "<live": "not closed", "a]": "unexpected",
	} {
		if _, err := parsePhrase(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	p, err := parsePhrase("{n} <live> in [a|two] <x>")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.expand(); len(got) != 2 || got[0] != "{n} lives in a xes" {
		t.Errorf("%q", got)
	}
}

// TestListsAnswerShortQuestions reads lists of strangers and the short
// questions below them as lines of text: what is there is said, and nothing else.
func TestListsAnswerShortQuestions(t *testing.T) {
	a := New(2).newAuthor()
	said, unknown := 0, 0
	for range 1500 {
		w := &teller{r: a.r, split: Train}
		a.reading(w)
		list, asked, ok := strings.Cut(string(w.out), "\n\n")
		if !ok {
			continue
		}
		there := map[string]string{}
		for line := range strings.Lines(list) {
			for key, value := range entries(strings.TrimSpace(line)) {
				there[key] = value
			}
		}
		for line := range strings.Lines(asked) {
			if strings.Contains(line, "?") || strings.HasSuffix(line, ".\n") && !strings.HasSuffix(line, ": I don't know.\n") {
				continue // a question in words, or its answer
			}
			for key, value := range entries(strings.TrimSpace(line)) {
				switch want, ok := there[key]; {
				case ok && value == want:
					said++
				case !ok && value == "I don't know.":
					unknown++
				default:
					t.Fatalf("%q is answered %q below\n%s", key, value, list)
				}
			}
		}
	}
	if said < 1000 || unknown < 500 {
		t.Errorf("%d questions answered, %d not: too few to tell", said, unknown)
	}
}

// entries reads a line of a list: what is asked for, as "attribute of entity" in
// small letters, and its value.
func entries(line string) map[string]string {
	head, tail, _ := strings.Cut(line, ": ")
	head = strings.ToLower(head)
	out := map[string]string{}
	if who, what, ok := strings.Cut(head, ", "); ok {
		out[what+" of "+who] = tail
	} else if strings.Contains(head, " of ") && !strings.HasPrefix(head, "the ") {
		out[head] = tail
	} else {
		for part := range strings.SplitSeq(tail, ", ") {
			what, value, _ := strings.Cut(part, " ")
			if strings.HasPrefix(value, "(") {
				param, rest, _ := strings.Cut(value, ") ")
				what, value = what+" "+strings.ToLower(param)+")", rest
			}
			out[what+" of "+head] = value
		}
	}
	return out
}

// work is the name of the workplace, with its article: "the Golden Crumb".
func (p *person) work() string {
	if p.shop != nil {
		return p.shop.name
	}
	return p.place.name
}
