package world

// pick draws one.
func pick[T any](r *rng, from []T) T { return from[r.IntN(len(from))] }

// say draws a way to say something from a section of the grammar and fills its
// slots from pairs of name and text. Sentences get their capitals; nothing is
// put at the end.
func say(r *rng, s Split, section string, pairs ...string) string {
	return utter(r, sec(section).of(s, formSay), pairs)
}

// reply is say for the answers of a section, which are the same in both splits.
func reply(r *rng, section string, pairs ...string) string {
	return utter(r, sec(section).of(Train, formAnswer), pairs)
}

// noun draws a noun phrase of a section.
func noun(r *rng, s Split, section string) string {
	return string(pick(r, sec(section).of(s, formNP)).say(nil, r, &env{}))
}

func utter(r *rng, ways []phrase, pairs []string) string {
	var e env
	e.set(pairs...)
	out := pick(r, ways).say(nil, r, &e)
	n := len(out)
	return string(finish(out, 0)[:n])
}
