package load

import (
	"math/rand/v2"
	"strings"
	"time"
)

// Job is one request to be made. It is the same for the same seed and number.
type Job struct {
	Number int // from 0, over all steps
	Prompt int // tokens of its own text
	Prefix int // which of the shared beginnings it has; -1: none
	Output int // tokens to generate
}

// The streams of random numbers that a seed gives.
const (
	jobStream = iota
	textStream
	prefixStream
	arrivalStream
)

func (o *Options) rng(stream, number uint64) *rand.Rand {
	return rand.New(rand.NewPCG(o.Seed, stream<<56|number))
}

// job draws request number n.
func (o *Options) job(n int) Job {
	rng := o.rng(jobStream, uint64(n))
	j := Job{Number: n, Prompt: o.Prompt.draw(rng), Output: o.Output.draw(rng), Prefix: -1}
	if o.PrefixTokens > 0 {
		j.Prefix = rng.IntN(o.Prefixes)
	}
	return j
}

// arrivals are the times at which n requests come at random at a rate per
// second: gaps are exponential, so that arrivals are a Poisson process.
func (o *Options) arrivals(rate float64, first, n int) []time.Duration {
	at := make([]time.Duration, n)
	var t float64
	for i := range at {
		t += o.rng(arrivalStream, uint64(first+i)).ExpFloat64() / rate
		at[i] = time.Duration(t * float64(time.Second))
	}
	return at
}

// Words says how many tokens a server makes of plain words: tokens = Fixed +
// PerWord * words.
type Words struct {
	Fixed   float64 `json:"fixed"`
	PerWord float64 `json:"per_word"`
}

// count is how many words make n tokens, at least one; fixed tokens count once
// per prompt.
func (w Words) count(n int, fixed bool) int {
	want := float64(n)
	if fixed {
		want -= w.Fixed
	}
	return max(1, int(want/w.PerWord+0.5))
}

// text is a job's prompt: its shared beginning, and words of its own.
func (o *Options) text(j Job, w Words) string {
	var b strings.Builder
	if j.Prefix >= 0 {
		write(&b, o.rng(prefixStream, uint64(j.Prefix)), w.count(o.PrefixTokens, true))
		b.WriteByte(' ')
	}
	write(&b, o.rng(textStream, uint64(j.Number)), w.count(j.Prompt, j.Prefix < 0))
	return b.String()
}

// write adds n words at random.
func write(b *strings.Builder, rng *rand.Rand, n int) {
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(vocabulary[rng.IntN(len(vocabulary))])
	}
}

// vocabulary are common words, which most tokenizers know as one token each.
var vocabulary = [...]string{
	"time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state", "family", "student", "group",
	"country", "problem", "hand", "part", "place", "case", "week", "company", "system", "program", "question", "work", "government", "number",
	"night", "point", "home", "water", "room", "mother", "area", "money", "story", "fact", "month", "lot", "right", "study", "book", "eye",
	"job", "word", "business", "issue", "side", "kind", "head", "house", "service", "friend", "father", "power", "hour", "game", "line", "end",
	"member", "law", "car", "city", "community", "name", "president", "team", "minute", "idea", "kid", "body", "information", "back", "parent",
	"face", "others", "level", "office", "door", "health", "person", "art", "war", "history", "party", "result", "change", "morning", "reason",
	"research", "girl", "guy", "moment", "air", "teacher", "force", "education", "find", "give", "tell", "ask", "feel", "leave", "call", "good",
	"new", "first", "last", "long", "great", "little", "own", "other", "old", "big", "high", "small", "large", "next", "early", "young", "few",
}
