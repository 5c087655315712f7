package corpus

import (
	"fmt"
	"strconv"
	"strings"
)

// Sample returns at least n bytes of invented English about a small world of
// people and towns, in documents with Separator between them: the text that a
// first model is trained on when there is no other. Who lives where, works as
// what and owns which animal follows from the seed and never contradicts
// itself; how it is told varies.
func Sample(seed uint64, n int) string {
	w := newWorld(seed)
	var b strings.Builder
	for b.Len() < n {
		var doc string
		switch w.roll(10) {
		case 0, 1, 2, 3:
			doc = w.story(&w.people[w.roll(len(w.people))])
		case 4, 5:
			doc = w.portrait(&w.people[w.roll(len(w.people))])
		case 6:
			doc = w.townText(towns[w.roll(len(towns))])
		case 7:
			doc = w.talk()
		default:
			doc = w.questions()
		}
		b.WriteString(doc)
		b.WriteString("\n" + Separator + "\n")
	}
	return b.String()
}

// The words of the world.
var (
	names   = [...]string{"Mia", "Tom", "Ada", "Leo", "Ruth", "Finn", "Nora", "Hugo", "Ivy", "Carl", "Lena", "Omar", "Elsa", "Noah", "Tess", "Paul", "Rosa", "Emil", "June", "Max"} // women at even places
	towns   = [...]string{"Oakford", "Millbay", "Redhill", "Stonebridge", "Greenvale", "Lakeside"}
	sights  = [...]string{"an old mill by the river", "a harbour full of small boats", "a hill covered with red flowers", "a stone bridge with five arches", "a wide green valley", "a quiet lake"}
	jobs    = [...]string{"baker", "teacher", "doctor", "farmer", "painter", "gardener", "sailor", "librarian", "carpenter", "cook"}
	works   = [...]string{"bakes bread", "teaches children to read", "helps sick people", "grows corn", "paints pictures", "plants roses", "sails a boat", "looks after books", "builds tables", "makes soup"}
	animals = [...]string{"dog", "cat", "horse", "rabbit", "parrot", "goat"}
	pets    = [...]string{"Biscuit", "Shadow", "Pepper", "Clover", "Button", "Sunny", "Pebble", "Maple", "Ginger", "Dot", "Rusty", "Snow", "Bramble", "Daisy", "Smoke", "Poppy", "Acorn", "Misty", "Nutmeg", "Star"}
	colours = [...]string{"red", "blue", "green", "yellow", "white", "brown"}
	foods   = [...]string{"apple pie", "fresh bread", "tomato soup", "cheese", "pancakes", "plum jam", "fish", "honey cake"}
	hobbies = [...]string{"playing the flute", "flying kites", "reading stories", "swimming", "drawing maps", "singing", "climbing trees", "playing chess"}
	things  = [...]string{"key", "hat", "book", "basket", "letter", "lamp", "coin", "map", "ribbon", "bell"}
	corners = [...]string{"under the table", "behind the door", "in the garden", "near the well", "on the roof", "beside the road", "in a box", "under a tree"}
	weather = [...]string{"sunny", "windy", "rainy", "cold", "foggy", "warm"}
	times   = [...]string{"One morning", "One evening", "On Monday", "Last summer", "One winter day", "After lunch", "Yesterday", "A long time ago"}
	moods   = [...]string{"happy", "proud", "tired", "surprised", "calm", "glad"}
	morals  = [...]string{"It is good to have a friend.", "Sometimes you only have to look twice.", "Work is easier when it is shared.", "They talked about it for a long time.", "From that day on they met every week.", "Nobody was afraid any more."}
)

// person is someone whose facts are fixed by the world's seed.
type person struct {
	name, he, him, his           string
	town, job, work, food, hobby string
	animal, pet, colour          string
	friend                       string
	facts                        *strings.Replacer // {name}, {He}, {f.name} ...
}

// world is the people, and the dice that choose what is told next.
type world struct {
	people []person
	seed   uint64
	rolls  uint64
}

// newWorld draws everybody's facts. No two animals share a name, so that "Who is
// Pepper?" has one answer.
func newWorld(seed uint64) *world {
	w := &world{seed: mix(seed)}
	order := newPerm(int64(len(pets)), seed, 0)
	for i, name := range names {
		job := w.roll(len(jobs))
		p := person{
			name: name, he: "she", him: "her", his: "her",
			town: towns[w.roll(len(towns))], job: jobs[job], work: works[job],
			food: foods[w.roll(len(foods))], hobby: hobbies[w.roll(len(hobbies))],
			animal: animals[w.roll(len(animals))], pet: pets[order.at(int64(i))], colour: colours[w.roll(len(colours))],
			friend: names[(i+1+w.roll(len(names)-1))%len(names)],
		}
		if i%2 == 1 {
			p.he, p.him, p.his = "he", "him", "his"
		}
		w.people = append(w.people, p)
	}
	for i := range w.people {
		p := &w.people[i]
		p.facts = strings.NewReplacer(append(slots("", p), slots("f.", w.find(p.friend))...)...)
	}
	return w
}

// slots pairs the slots of a text with the facts of p.
func slots(prefix string, p *person) []string {
	title := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	var pairs []string
	for field, fact := range map[string]string{
		"name": p.name, "he": p.he, "He": title(p.he), "him": p.him, "his": p.his, "His": title(p.his),
		"town": p.town, "job": p.job, "work": p.work, "food": p.food, "hobby": p.hobby,
		"animal": p.animal, "pet": p.pet, "colour": p.colour,
	} {
		pairs = append(pairs, "{"+prefix+field+"}", fact)
	}
	return pairs
}

// roll draws from [0, n).
func (w *world) roll(n int) int {
	w.rolls++
	return int(mix(w.seed^mix(w.rolls)) % uint64(n))
}

// pick draws one of several ways to say it.
func (w *world) pick(from ...string) string { return from[w.roll(len(from))] }

// find returns the person of a name.
func (w *world) find(name string) *person {
	for i := range w.people {
		if w.people[i].name == name {
			return &w.people[i]
		}
	}
	panic("corpus: nobody is called " + name) // friends are drawn from names
}

// tell fills in the facts of p, and as {f.name} ... those of p's friend.
func (w *world) tell(p *person, text string) string { return p.facts.Replace(text) }

// portrait describes p: the job first, then three to six facts in any order.
func (w *world) portrait(p *person) string {
	parts := []string{
		w.pick("{name} is a {job} in {town}.", "{name} lives in {town} and works as a {job}.", "In {town} there lives a {job} called {name}."),
		w.pick("Every day {he} {work}.", "{He} {work} from morning to evening.", "{name} {work}, and {he} likes it."),
		w.pick("{He} has a {animal} named {pet}.", "{His} {animal} is called {pet}.", "A {animal} with the name {pet} lives with {him}."),
		w.pick("{His} house is {colour}.", "{He} lives in a {colour} house.", "The house of {name} is {colour}."),
		w.pick("{He} likes {food} best.", "{His} favourite food is {food}.", "Most of all {he} likes to eat {food}."),
		w.pick("In the evening {he} enjoys {hobby}.", "{He} loves {hobby}.", "{His} hobby is {hobby}."),
		w.pick("{His} best friend is {f.name}, the {f.job}.", "{name} and {f.name} are friends.", "{He} often visits {f.name} in {f.town}."),
	}
	order := newPerm(int64(len(parts)-1), uint64(w.roll(1<<30)), 0)
	text := parts[0]
	for i := range int64(3 + w.roll(4)) {
		text += " " + parts[1+order.at(i)]
	}
	return w.tell(p, text)
}

// story tells one of four small events around p, with weather and a moral.
func (w *world) story(p *person) string {
	thing, place := w.pick(things[:]...), w.pick(corners[:]...)
	text := w.pick(times[:]...) + " it was " + w.pick(weather[:]...) + " in {town}. "
	switch w.roll(4) {
	case 0:
		text += "{name} could not find {his} " + thing + ". " +
			w.pick("{He} looked in every room of the {colour} house.", "{He} asked everybody in the street.", "{He} looked and looked, but it was gone.") +
			" Then {pet} the {animal} " + w.pick("ran", "went", "led {him}") + " to a place " + place + ". The " + thing + " was there! " +
			w.pick("\"Good {animal}!\" said {name}.", "\"Thank you, {pet}!\" said {name}.")
	case 1:
		text += "{name} " + w.pick("packed a basket with {food}", "took some {food}", "made {food}") + " and went to see {f.name}. \"" +
			w.pick("What a nice surprise!", "Come in, my friend!", "You came at the right time!") + "\" said {f.name}. " +
			"They ate together, and {f.pet} the {f.animal} got " + w.pick("a little piece", "nothing, as always", "the last piece") + "."
	case 2:
		text += "{f.name} came to {town} because {f.he} needed help. \"" + w.pick("My roof has a hole", "My "+thing+" is broken", "I cannot carry this alone") +
			",\" {f.he} said. {name} the {job} " + w.pick("smiled", "nodded", "thought for a moment") + ". \"" +
			w.pick("We can do it together.", "That is no problem.", "Give me one hour.") + "\" By the evening " + w.pick("it was done.", "everything was well again.")
	default:
		text += "{pet} the {animal} " + w.pick("ran away", "was not at home", "jumped over the fence") + ". {name} " +
			w.pick("called {his} name", "was worried", "went out with a lamp") + " and walked to the " + w.pick("river", "forest", "market", "old tower") +
			". There sat {pet}, " + w.pick("asleep", "wet and hungry", "looking at the moon", "with a "+thing) + " " + place + "."
	}
	return w.tell(p, text+" {name} was "+w.pick(moods[:]...)+". "+w.pick(morals[:]...))
}

// townText describes a town by its sight and the people who live there.
func (w *world) townText(town string) string {
	i := 0
	for towns[i] != town {
		i++
	}
	text := w.pick(town+" is a small town.", "Have you ever been to "+town+"?", "Many people like "+town+".") + " It has " + sights[i] + "."
	for k := range w.people {
		if p := &w.people[k]; p.town == town {
			text += " " + w.tell(p, w.pick("{name} lives there.", "{name} is a {job} there.", "The {colour} house belongs to {name}.", "You can meet {name} and {pet} there."))
		}
	}
	return text
}

// talk is a dialogue between two friends.
func (w *world) talk() string {
	p := &w.people[w.roll(len(w.people))]
	return w.tell(p, w.pick(
		"\"Good morning, {name},\" said {f.name}. \"How is {pet}?\"\n\"{pet} is fine,\" said {name}. \"And how is {f.pet}?\"\n\"My {f.animal} sleeps all day,\" said {f.name}.",
		"\"What do you want to eat?\" asked {f.name}.\n\"I like {food},\" said {name}.\n\"I like {f.food} more,\" said {f.name}, and they laughed.",
		"\"Where are you going?\" asked {name}.\n\"To {f.town}, I live there,\" said {f.name}.\n\"I stay here in {town},\" said {name}.",
		"\"What do you do in the evening?\" asked {f.name}.\n\"I love {hobby},\" said {name}. \"And you?\"\n\"I enjoy {f.hobby},\" said {f.name}."))
}

// questions is a few questions with their answers, as plain text.
func (w *world) questions() string {
	var lines []string
	for range 2 + w.roll(3) {
		q, a := w.question(&w.people[w.roll(len(w.people))])
		lines = append(lines, "Question: "+q+"\nAnswer: "+a)
	}
	return strings.Join(lines, "\n")
}

// question returns one that the world answers, with its answer.
func (w *world) question(p *person) (q, a string) {
	if w.roll(8) == 0 {
		x, y := 2+w.roll(8), 1+w.roll(9)
		thing := w.pick(things[:]...) + "s"
		return w.tell(p, fmt.Sprintf("{name} has %d %s and gets %d more. How many %s does {he} have?", x, thing, y, thing)),
			w.tell(p, "{name} has "+strconv.Itoa(x+y)+" "+thing+".")
	}
	all := [...][3]string{
		{"Where does {name} live?", "In which town does {name} live?", "{name} lives in {town}."},
		{"What is the job of {name}?", "What does {name} do for work?", "{name} is a {job}. {He} {work}."},
		{"What animal does {name} have?", "Does {name} have an animal?", "{name} has a {animal} named {pet}."},
		{"What colour is the house of {name}?", "Which colour does {name}'s house have?", "The house of {name} is {colour}."},
		{"What does {name} like to eat?", "What is the favourite food of {name}?", "{name} likes {food} best."},
		{"Who is the friend of {name}?", "Who is {name}'s best friend?", "The best friend of {name} is {f.name}."},
		{"Who is {pet}?", "Tell me who {pet} is.", "{pet} is the {animal} of {name}."},
		{"What does {name} do in the evening?", "What is the hobby of {name}?", "{name} loves {hobby}."},
	}
	k := all[w.roll(len(all))]
	return w.tell(p, k[w.roll(2)]), w.tell(p, k[2])
}
