package eval

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"weft/text/corpus/world"
)

// answers is a jsonl file of replies. A line holds the key of model, limits and
// item, so one file can hold the answers of many runs and models. Replies are
// kept, not verdicts: a better grader judges them anew.
type answers struct {
	f    *os.File
	path string
	have map[string]answer
}

type answerLine struct {
	Key string `json:"key"`
	ID  string `json:"id"` // of the item, for people
	answer
}

// openAnswers reads the file if it is there. Half a line at its end, left by a
// run that was killed, is cut off; any other line that does not parse is an
// error, because the file may not be ours.
func openAnswers(path string) (*answers, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("eval: answers: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("eval: answers: %w", err)
	}
	a := &answers{f: f, path: path}
	var good int64
	if a.have, good, err = readAnswers(f); err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		_, err = f.Seek(good, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("eval: answers %s: %w", path, err)
	}
	return a, nil
}

// readAnswers returns the answers and the length of all whole lines.
func readAnswers(r io.Reader) (have map[string]answer, good int64, err error) {
	have = map[string]answer{}
	br := bufio.NewReader(r)
	for n := 1; ; n++ {
		line, err := br.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return have, good, nil
		}
		if err != nil {
			return nil, 0, err
		}
		var l answerLine
		if err := json.Unmarshal(line, &l); err != nil || l.Key == "" {
			return nil, 0, fmt.Errorf("line %d is not an answer: move the file away, or name another", n)
		}
		have[l.Key] = l.answer
		good += int64(len(line))
	}
}

func (a *answers) find(key string) (answer, bool) {
	if a == nil {
		return answer{}, false
	}
	got, ok := a.have[key]
	return got, ok
}

// add appends a line in one write: after it, a kill loses nothing of it.
func (a *answers) add(key, id string, got answer) error {
	if a == nil {
		return nil
	}
	var line bytes.Buffer
	if err := json.NewEncoder(&line).Encode(answerLine{key, id, got}); err != nil {
		return fmt.Errorf("eval: answers %s: %w", a.path, err)
	}
	if _, err := a.f.Write(line.Bytes()); err != nil {
		return fmt.Errorf("eval: answers %s: %w", a.path, err)
	}
	return nil
}

func (a *answers) close() error { return a.f.Close() }

// key names what an answer depends on: the model, what is asked of it, and the
// limit. The number of the item and its label do not matter.
func (r *run) key(it world.Item) string {
	if r.kept == nil {
		return ""
	}
	return hash(r.ModelID, r.MaxTokens, it.Tools, it.Messages[:len(it.Messages)-1])
}

// hash is the beginning of the SHA-256 of some values as JSON.
func hash(values ...any) string {
	sum := sha256.New()
	e := json.NewEncoder(sum)
	for _, v := range values {
		if err := e.Encode(v); err != nil { // only what cannot be written down: a tool whose schema is not JSON
			fmt.Fprintf(sum, "%#v", v)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}
