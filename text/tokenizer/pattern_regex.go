package tokenizer

import (
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

// overrun keeps the first error of the patterns of one tokenizer, or of one fork
// of it, from all goroutines.
type overrun struct{ first atomic.Pointer[error] }

func (o *overrun) note(err error) { o.first.CompareAndSwap(nil, &err) }

// Err returns the first error of a pattern that gave up on a text, which wraps
// ErrPattern, or nil. The rest of that text had been one piece: its ids spell the
// text, but they are not those of the pattern. Known patterns never give up, which
// is why Encode has no error of its own; whoever encodes with the tokenizer of an
// unknown file asks at the end, as with a [bufio.Scanner]. Whose texts fail on
// their own, as the requests of a server do, encodes each with a [Tokenizer.Fork].
func (t *Tokenizer) Err() error {
	if err := t.late.first.Load(); err != nil {
		return *err
	}
	return nil
}

// Fork returns the same tokenizer with an Err of its own, which speaks of what the
// fork encodes and of nothing else.
func (t *Tokenizer) Fork() *Tokenizer {
	fork := *t
	fork.late = &overrun{}
	return &fork
}

// dialect is the language that a regular expression is written in.
type dialect uint8

const (
	onig dialect = iota // Oniguruma as the tokenizers library uses it, in tokenizer.json
	rust                // Rust's fancy-regex, which tiktoken uses
)

const (
	maxPattern   = 1 << 16 // bytes of a regular expression
	maxStack     = 4 << 20 // slots of 8 bytes for backtracking in one match
	clockMatches = 1 << 10 // matches between two looks at the clock

	// The library counts no steps, it only looks at the clock. A sound pattern needs
	// well below a microsecond for a byte, so that the limits leave room for a busy
	// machine: what exceeds them would go on for hours.
	shortestWait = 10 * time.Second
	timePerByte  = 20 * time.Microsecond
)

// compile makes a pattern of a regular expression that no scanner is written
// for. It is about twenty times slower than a scanner.
func compile(regex string, d dialect) (*pattern, error) {
	text, err := translate(regex, d)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", clip([]byte(regex)), err)
	}
	re, err := regexp2.Compile(text, regexp2.OptionMaxBacktrackingStackSize(maxStack))
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w: %w", clip([]byte(regex)), ErrUnsupported, err)
	}
	name := "regex:" + regex
	if d == rust {
		name = "rust:" + regex
	}
	return &pattern{name: name, regex: []string{regex}, re: re, wait: shortestWait}, nil
}

// each cuts s: it calls yield for every match, and with match false for every
// stretch between matches, in order, as byte ranges that together cover s. A
// match may be empty (a look-ahead that marks a border); an empty one that
// touches the match in front of it does not count, and an empty text has none, as
// in the libraries that the patterns were written for. Errors wrap ErrPattern;
// what was yielded before stands.
func (p *pattern) each(s string, yield func(start, end int, match bool)) error {
	if p.next != nil {
		for i := 0; i < len(s); {
			end := p.next(s, i)
			yield(i, end, true)
			i = end
		}
		return nil
	}
	if s == "" {
		return nil
	}
	// Bytes that are not UTF-8 become one U+FFFD each, here and in `bytes`.
	runes := []rune(s)
	limit := p.wait + time.Duration(len(s))*timePerByte
	deadline := time.Now().Add(limit)
	re := *p.re             // shares everything with the other users of the pattern but
	re.MatchTimeout = limit // this: one match may be all of the text
	at := cursor{s: s}
	last, count, late := 0, 0, false
	err := re.FindRunesMatches(runes, 0, func(v regexp2.MatchView) bool {
		from, n, _ := v.GroupRange(0)
		start := at.bytes(from)
		end := at.bytes(from + n)
		if n == 0 && start == last && count > 0 {
			return true
		}
		if start > last {
			yield(last, start, false)
		}
		yield(start, end, true)
		last = end
		count++
		late = count%clockMatches == 0 && time.Now().After(deadline)
		return !late
	})
	if err != nil || late {
		// The library's own message would hold the whole text.
		return fmt.Errorf("pattern %q: at byte %d of %d: %w", clip([]byte(p.regex[0])), last, len(s), ErrPattern)
	}
	if last < len(s) {
		yield(last, len(s), false)
	}
	return nil
}

// cursor turns rune indexes, which only grow, into byte offsets.
type cursor struct {
	s          string
	rune, byte int
}

func (c *cursor) bytes(rune int) int {
	for ; c.rune < rune; c.rune++ {
		if c.s[c.byte] < utf8.RuneSelf {
			c.byte++
			continue
		}
		_, n := utf8.DecodeRuneInString(c.s[c.byte:])
		c.byte += n
	}
	return c.byte
}
