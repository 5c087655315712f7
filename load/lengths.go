package load

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Lengths is a mix of lengths in tokens. The zero value is not valid.
type Lengths struct{ parts []part }

// part is one range of a mix, both ends included.
type part struct {
	low, high int
	weight    float64
}

// maxLength bounds a prompt or an answer, in tokens.
const maxLength = 1 << 20

// ParseLengths reads a mix as "128", "64-512" (any between, alike) or
// "128:3,1024-2048:1" (three times out of four 128).
func ParseLengths(s string) (Lengths, error) {
	var l Lengths
	for _, text := range strings.Split(s, ",") {
		span, weight, weighted := strings.Cut(text, ":")
		low, high, ranged := strings.Cut(span, "-")
		if !ranged {
			high = low
		}
		p := part{weight: 1}
		var err1, err2, err3 error
		p.low, err1 = strconv.Atoi(strings.TrimSpace(low))
		p.high, err2 = strconv.Atoi(strings.TrimSpace(high))
		if weighted {
			p.weight, err3 = strconv.ParseFloat(strings.TrimSpace(weight), 64)
		}
		if err1 != nil || err2 != nil || err3 != nil || p.low < 1 || p.high < p.low || p.high > maxLength || !(p.weight > 0 && p.weight < 1e9) {
			return Lengths{}, fmt.Errorf("%w: %q is no mix of lengths, want one as 128, 64-512 or 128:3,1024:1, of 1 to %d tokens", ErrOptions, s, maxLength)
		}
		l.parts = append(l.parts, p)
	}
	return l, nil
}

// draw takes one length.
func (l Lengths) draw(rng *rand.Rand) int {
	var sum float64
	for _, p := range l.parts {
		sum += p.weight
	}
	at := rng.Float64() * sum
	for i, p := range l.parts {
		if at -= p.weight; at < 0 || i == len(l.parts)-1 {
			return p.low + rng.IntN(p.high-p.low+1)
		}
	}
	return 0
}

// String is the mix as ParseLengths reads it.
func (l Lengths) String() string {
	var parts []string
	for _, p := range l.parts {
		s := strconv.Itoa(p.low)
		if p.high > p.low {
			s += "-" + strconv.Itoa(p.high)
		}
		if len(l.parts) > 1 {
			s += ":" + strconv.FormatFloat(p.weight, 'g', -1, 64)
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ",")
}

// MarshalText implements encoding.TextMarshaler.
func (l Lengths) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
