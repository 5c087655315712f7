package template

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"weft/chat"
	"weft/text/jinja"
)

// learned finds what an assistant is to learn: the {% generation %} blocks
// where a template has them. Otherwise, for each answer: from where the prompt
// for it ends, which must be what stands in front of it in the conversation,
// to the special token that ends its turn. An answer's end is found by saying
// something else in its place and seeing from where on nothing changes.
func (x *script) learned(msgs []chat.Message, o Options, list []jinja.Segment, marks []mark, f *family) ([]Span, error) {
	if spans := blocksOf(list); spans != nil {
		return spans, nil
	}
	full := jinja.Text(list)
	s := x.found().shape
	var spans []Span
	for i, m := range msgs {
		if m.Role != chat.Assistant {
			continue
		}
		prompt := o
		prompt.GenerationPrompt, prompt.Continue = true, false
		before, err := x.run(msgs[:i], prompt, s)
		if err != nil {
			return nil, fmt.Errorf("%w: message %d: the prompt for it cannot be rendered: %w", ErrMask, i, err)
		}
		from := len(jinja.Text(before))
		if !strings.HasPrefix(full, jinja.Text(before)) {
			at := common([]byte(full), []byte(jinja.Text(before)))
			return nil, fmt.Errorf("%w: message %d: what the template writes in front of an answer is not what it wrote when it asked for it; they part at %q and %q: use a template with {%% generation %%} blocks, or conversations with this answer last",
				ErrMask, i, short(full[at:]), short(jinja.Text(before)[at:]))
		}
		to := len(full)
		if !(o.Continue && i == len(msgs)-1) {
			if to, err = x.endOf(msgs, i, o, full, marks, f); err != nil {
				return nil, err
			}
		}
		if to < from {
			return nil, fmt.Errorf("%w: message %d does not stand behind the prompt for it", ErrMask, i)
		}
		spans = append(spans, Span{from, to})
	}
	return spans, nil
}

// blocksOf is what stands in {% generation %}, nil if the template has none.
func blocksOf(list []jinja.Segment) []Span {
	var spans []Span
	at := 0
	for _, s := range list {
		if n := len(spans); s.Learn && n > 0 && spans[n-1].To == at {
			spans[n-1].To += len(s.Text)
		} else if s.Learn {
			spans = append(spans, Span{at, at + len(s.Text)})
		}
		at += len(s.Text)
	}
	return spans
}

// endOf returns where the turn of message i ends: behind the special token
// that follows its last words.
func (x *script) endOf(msgs []chat.Message, i int, o Options, full string, marks []mark, f *family) (int, error) {
	other := slices.Clone(msgs)
	r := '\ue000'
	for strings.ContainsRune(full, r) {
		r++
	}
	odd := string(r)
	m := &other[i]
	called := len(m.ToolCalls) > 0
	if called {
		m.ToolCalls = slices.Clone(m.ToolCalls)
		m.ToolCalls[len(m.ToolCalls)-1].Arguments = `{"` + odd + `": "` + odd + `"}`
	} else {
		m.Content = odd
	}
	o.GenerationPrompt = o.GenerationPrompt && !o.Continue
	list, err := x.run(other, o, x.found().shape)
	if err != nil {
		return 0, fmt.Errorf("%w: message %d: its end is not found: %w", ErrMask, i, err)
	}
	end := len(full) - commonEnd(full, jinja.Text(list)) // of the words, or of the last argument
	at := end
	for _, k := range marks {
		switch {
		case k.at < at:
		case f.inside(full[k.at:k.end]):
			if !called && strings.TrimSpace(full[end:k.at]) == "" {
				end = k.end // learned even if nothing ends the turn
			}
			at = k.end
		case called || strings.TrimSpace(full[at:k.at]) == "":
			return k.end, nil
		}
	}
	if !called {
		return end, nil
	}
	return x.endInWords(msgs, i, o, full, end)
}

// endInWords is endOf for a call that no special token follows: behind what the
// template writes behind answers, or where the conversation up to here ends.
func (x *script) endInWords(msgs []chat.Message, i int, o Options, full string, end int) (int, error) {
	behind := strings.TrimSpace(x.found().end)
	if at := strings.Index(full[end:], behind); behind != "" && at >= 0 {
		return end + at + len(behind), nil
	}
	o.GenerationPrompt = false
	upTo, err := x.run(msgs[:i+1], o, x.found().shape)
	if text := jinja.Text(upTo); err == nil && len(text) >= end && strings.HasPrefix(full, text) {
		return len(text), nil
	}
	return 0, fmt.Errorf("%w: message %d: no special token ends its turn", ErrMask, i)
}

// common is the length of what two lists begin with.
func common[T comparable](a, b []T) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// commonEnd is the length of what two texts end with, in whole characters.
func commonEnd(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	for n > 0 && !utf8.RuneStart(a[len(a)-n]) {
		n--
	}
	return n
}

func short(s string) string {
	if len(s) > 40 {
		return s[:40]
	}
	return s
}
