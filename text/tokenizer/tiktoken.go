package tokenizer

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// tiktokenSpec reads a file of tiktoken ranks (github.com/openai/tiktoken): one
// token a line, its bytes in base64 and its rank, which is its id. The merges that
// the ranks stand for are recovered; see recover.go.
func tiktokenSpec(data []byte, pattern string, specials map[string]int32) (*spec, error) {
	// A chunk that is a token is taken whole before any merge is tried.
	pat, err := patternNamed(pattern)
	if err != nil {
		return nil, err
	}
	s := &spec{preTokenizer: preTokenizerOf(pat), decoder: json.RawMessage(byteLevelDecoder), modelSpec: modelSpec{whole: true}}
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	most := len(lines) + len(specials) + maxHoles
	for n, line := range lines {
		text, id, err := readRank(line)
		if err == nil {
			err = s.place(int64(id), text, plain, most)
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(specials)) {
		id := specials[name]
		if err := s.place(int64(id), name, special, most); err != nil {
			return nil, fmt.Errorf("special token: %w", err)
		}
		s.added = append(s.added, added{id: id, content: name, special: true})
	}
	s.merges, err = rankMerges(s)
	return s, err
}

// readRank reads one line.
func readRank(line []byte) (text string, id int, err error) {
	code, rank, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\r")), []byte(" "))
	if !ok {
		return "", 0, fmt.Errorf("%w: want base64, a space and a rank", ErrFormat)
	}
	raw, err := base64.StdEncoding.DecodeString(string(code))
	if err != nil {
		return "", 0, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if len(raw) > maxToken {
		return "", 0, fmt.Errorf("%w: a token of %d bytes; want at most %d", ErrFormat, len(raw), maxToken)
	}
	if id, err = strconv.Atoi(string(rank)); err != nil {
		return "", 0, fmt.Errorf("%w: rank: %w", ErrFormat, err)
	}
	return string(raw), id, nil
}

// place sets the token of an id that has none yet.
func (s *spec) place(id int64, text string, k kind, most int) error {
	if id < 0 || id >= int64(min(most, maxVocab)) || text == "" {
		return fmt.Errorf("token %q with id %d: %w; want ids below %d", text, id, ErrFormat, min(most, maxVocab))
	}
	if more := int(id) + 1 - len(s.tokens); more > 0 {
		s.tokens = append(s.tokens, make([]token, more)...)
	}
	if old := s.tokens[id]; old.kind != absent {
		return fmt.Errorf("id %d is both %q and %q: %w", id, old.text, text, ErrFormat)
	}
	s.tokens[id] = token{text: text, kind: k}
	return nil
}

// rankMerges turns ranks into merges.
func rankMerges(s *spec) ([]merge, error) {
	r := ranked{tokens: s.tokens, ids: make(map[string]int32, len(s.tokens)), rank: make([]int32, len(s.tokens))}
	for id, t := range s.tokens {
		r.rank[id] = noRank
		if t.kind != plain {
			continue
		}
		if old, twice := r.ids[t.text]; twice {
			return nil, fmt.Errorf("ids %d and %d are both %q: %w", old, id, t.text, ErrFormat)
		}
		r.ids[t.text], r.rank[id] = int32(id), int32(id)
	}
	for b := range 256 {
		if _, ok := r.ids[string([]byte{byte(b)})]; !ok {
			return nil, fmt.Errorf("no token for byte 0x%02X: %w", b, ErrFormat)
		}
	}
	return r.recoverMerges(func(dst []int32, text string) []int32 {
		for i := range len(text) {
			dst = append(dst, r.ids[text[i:i+1]])
		}
		return dst
	})
}
