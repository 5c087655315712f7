package world

// World is the town and its neighbour: every fact there is to know, fixed by a
// seed. It is immutable and safe for concurrent use.
type World struct {
	seed        uint64
	train, held *town
	drill       bool // strangers have names that are mostly made up
}

// New builds the world of a seed.
func New(seed uint64) *World {
	w := &World{seed: seed}
	w.train = buildTown(w.rng("town", "train"), Train, townSize{people: 120, shops: 30, places: 24, trips: 8, recipes: 10, events: 10})
	w.held = buildTown(w.rng("town", "held"), Held, townSize{people: 40, shops: 15, places: 16, trips: 6, recipes: 4, events: 4})
	return w
}

// drilled is the same world with strangers whose names are mostly made up.
func (w *World) drilled() *World {
	return &World{seed: w.seed, train: w.train, held: w.held, drill: true}
}

// town returns the town whose entities belong to a split: the corpus tells of
// that of Train; that of Held is met only in held-out passages and tools.
func (w *World) town(split Split) *town {
	if split == Held {
		return w.held
	}
	return w.train
}

// town is everything that is so in one town.
type town struct {
	name, river string
	streets     []string
	people      []*person
	shops       []*shop
	places      []*place
	trips       []*trip
	recipes     []*recipe
	events      []*event
	facts       []*fact // of all of them, in order
}

// person is somebody of a town. Each has a job and a workplace, which is a shop
// or a place.
type person struct {
	first, last string
	she         bool
	age         int // years
	job         string
	shop        *shop  // workplace, or nil
	place       *place // workplace, or nil
	street      string
	animal, pet string // "cat" and its name, or "" and ""
	food, hobby string // "pear cake", "playing chess"
	friend      *person
	kin         *person // or nil
	kinship     string  // what kin is: "sister", "brother", "wife", "husband"
	entity      *entity
}

func (p *person) name() string { return p.first + " " + p.last }

func (p *person) he() string  { return choose(p.she, "she", "he") }
func (p *person) him() string { return choose(p.she, "her", "him") }
func (p *person) his() string { return choose(p.she, "her", "his") }

// shop sells goods at whole coins.
type shop struct {
	name   string // with its article, for the middle of a sentence: "the Golden Crumb"
	kind   string // "bakery"
	owner  *person
	street string
	goods  []good
	hours  [7]span // from Monday
	entity *entity
}

// good is something sold.
type good struct {
	name  string // one of it, without article: "rye loaf"; see withA and plural
	price int    // whole coins
}

// span is the hours of a day, in whole hours of 24; both are 0 when closed.
type span struct{ open, close int }

// closed tells that a shop is shut all day.
func (s span) closed() bool { return s.open == s.close }

// weekdays from Monday, as shop.hours.
var weekdays = [7]string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"}

// place is somewhere to go.
type place struct {
	name   string // "the Old Mill"
	kind   string // "mill"
	street string
	built  int    // year
	fame   string // what it is known for: "its three blue doors"
	entity *entity
}

// trip is a way out of town.
type trip struct {
	to      string
	by      string // "bus", "boat", "train"
	minutes int
	price   int // whole coins
	leaves  int // hour
	entity  *entity
}

// recipe is how a dish is made.
type recipe struct {
	dish    string
	parts   []part
	minutes int // in the oven or on the fire
	entity  *entity
}

// part is an ingredient: 3 eggs.
type part struct {
	amount int
	what   string // in the plural, with its measure: "cups of flour"
}

// event is a day of the town's year.
type event struct {
	name   string // "the Pear Fair"
	month  string
	place  *place
	entity *entity
}

func choose[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}
