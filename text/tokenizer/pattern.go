package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// pattern is a way to cut text into the chunks that merges never cross: a
// scanner for a known regular expression, which covers all of a text, or any
// other expression, compiled. See each for what is common to both.
type pattern struct {
	name string
	next func(s string, i int) int // end of the chunk of s that starts at i; nil when compiled
	re   *regexp2.Regexp           // nil for a scanner
	wait time.Duration             // for re on an empty text; see timePerByte
	// regex lists the spellings by which files name this pattern in a Split
	// pre-tokenizer; the first is the one that is written. Without any, the
	// pattern is written as the ByteLevel pre-tokenizer's own.
	regex  []string
	digits bool // written with a Digits pre-tokenizer in front
}

// patterns lists every known pattern. The expressions with possessive
// quantifiers are tiktoken's faster spelling of the same.
func patterns() []*pattern {
	const (
		fold       = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
		ends       = `\s*[\r\n]+|\s+(?!\S)|\s+`
		symbols    = ` ?[^\s\p{L}\p{N}]+[\r\n]*|`
		possessive = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|`
		rest       = `| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
		tail       = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
		head       = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
		slashed    = ` ?[^\s\p{L}\p{N}]+[\r\n/]*|`
		kimiTail   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+`
		kimiHead   = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*`
	)
	return []*pattern{
		{name: "gpt2", next: nextGPT2},
		{name: "gpt2-digits", next: nextGPT2Digits, digits: true},
		{name: "cl100k", next: nextCL100K, regex: []string{ // Llama 3 too
			fold + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|` + symbols + ends,
			possessive + `\p{N}{1,3}` + rest,
		}},
		{name: "tiktoken", next: nextTiktoken, regex: []string{ // cl100k_base
			`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
		}},
		{name: "qwen2", next: nextQwen2, regex: []string{ // Qwen 3 too
			fold + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|` + symbols + ends,
			possessive + `\p{N}` + rest,
		}},
		{name: "qwen3.5", next: nextQwen35, regex: []string{
			fold + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|` + ends,
		}},
		{name: "o200k", next: nextO200K, regex: []string{ // gpt-oss and Llama 4 too
			tail + fold + `?|` + head + fold + `?|\p{N}{1,3}|` + slashed + ends,
		}},
		{name: "tekken", next: nextTekken, regex: []string{ // Mistral NeMo
			tail + `|` + head + `|\p{N}|` + slashed + ends,
		}},
		{name: "kimi-k2", next: nextKimi, regex: []string{
			`[\p{Han}]+|` + kimiTail + fold + `?|` + kimiHead + fold + `?|\p{N}{1,3}|` + symbols + ends,
		}},
	}
}

// gpt2Regex is the pattern that the ByteLevel pre-tokenizer has built in.
const gpt2Regex = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

// gpt2Possessive is tiktoken's spelling of the same (r50k_base, p50k_base).
const gpt2Possessive = `'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s`

// Patterns lists the names of the known patterns.
func Patterns() []string {
	var names []string
	for _, p := range patterns() {
		names = append(names, p.name)
	}
	return names
}

// patternNamed finds a pattern by name, or one that tiktoken's caller spells as a
// regular expression; "" means "gpt2".
func patternNamed(name string) (*pattern, error) {
	if name == "" {
		name = "gpt2"
	}
	for _, p := range patterns() {
		if p.name == name {
			return p, nil
		}
	}
	if strings.ContainsAny(name, `\[(|`) {
		return patternIn(name, rust)
	}
	return nil, fmt.Errorf("tokenizer: pattern %q: %w; want a regular expression or one of %s", name, ErrUnsupported, strings.Join(Patterns(), ", "))
}

// patternOf finds the pattern that a tokenizer.json spells as a regular
// expression: a scanner for the known ones, otherwise the expression compiled.
func patternOf(regex string) (*pattern, error) { return patternIn(regex, onig) }

// patternIn is patternOf for either dialect.
func patternIn(regex string, d dialect) (*pattern, error) {
	if regex == gpt2Regex || regex == gpt2Possessive {
		return patternNamed("gpt2")
	}
	for _, p := range patterns() {
		if slices.Contains(p.regex, regex) {
			return p, nil
		}
	}
	return compile(regex, d)
}
