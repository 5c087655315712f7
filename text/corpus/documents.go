package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// Separator divides the documents of one text file.
const Separator = "<|endoftext|>"

// maxDoc bounds one document, so that a compressed file cannot fill the memory.
const maxDoc = 1 << 30 // bytes

// Doc is one document.
type Doc struct {
	Text   string
	Source string // file, with the line or part where a file holds several
}

// Documents reads a file or folder, in name order. A .txt or .md file is one
// document, or several with Separator between them; a .jsonl file has one
// document per line in the field "text"; each may be compressed (.gz). Other
// files of a folder, and names that begin with a dot, are left out. Empty
// documents are left out; a path that yields none is an error wrapping
// ErrEmpty, and a binary file is an error. Invalid UTF-8 in text files is kept; a
// byte order mark is not. The sequence can be read again.
func Documents(path string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		files, err := textFiles(path)
		if err != nil {
			yield(Doc{}, err)
			return
		}
		found, stopped := false, false
		for _, file := range files {
			err := readFile(file, func(d Doc) bool {
				found = true
				stopped = !yield(d, nil)
				return !stopped
			})
			if stopped {
				return
			}
			if err != nil {
				yield(Doc{}, fmt.Errorf("corpus: %w", err))
				return
			}
		}
		if !found {
			yield(Doc{}, fmt.Errorf("corpus: %s: %w: no text in %d file(s)", path, ErrEmpty, len(files)))
		}
	}
}

// ParseText yields the documents of a text at hand, as of a .txt file.
func ParseText(text, source string) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		found := false
		if err := readText(strings.NewReader(text), source, func(d Doc) bool {
			found = true
			return yield(d, nil)
		}); err != nil {
			yield(Doc{}, fmt.Errorf("corpus: %w", err))
		} else if !found {
			yield(Doc{}, fmt.Errorf("corpus: %s: %w", source, ErrEmpty))
		}
	}
}

// Texts yields only the texts, as a tokenizer trainer wants them.
func Texts(docs iter.Seq2[Doc, error]) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for d, err := range docs {
			if !yield(d.Text, err) || err != nil {
				return
			}
		}
	}
}

// textFiles lists what Documents reads.
func textFiles(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if !st.IsDir() {
		if kind(path) == "" {
			return nil, fmt.Errorf("corpus: %s: want a .txt, .md or .jsonl file (each also .gz), or a folder of them", path)
		}
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(d.Name(), ".") && p != path
		if d.IsDir() {
			if hidden {
				return fs.SkipDir
			}
			return nil
		}
		if !hidden && kind(p) != "" {
			files = append(files, p)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("corpus: folder %s: %w: no .txt, .md or .jsonl file in it", path, ErrEmpty)
	}
	return files, nil
}

// kind is the reader of a file name: ".txt", ".jsonl" or "" for none.
func kind(path string) string {
	switch filepath.Ext(strings.TrimSuffix(strings.ToLower(path), ".gz")) {
	case ".txt", ".md":
		return ".txt"
	case ".jsonl":
		return ".jsonl"
	}
	return ""
}

// readFile calls fn for each document until it returns false.
func readFile(path string, fn func(Doc) bool) error {
	return reading(path, func(r io.Reader) error {
		if kind(path) == ".jsonl" {
			return readLines(r, path, fn)
		}
		br := bufio.NewReaderSize(r, 1<<16)
		head, _ := br.Peek(binaryHead) // an error comes again when the rest is read
		if i := bytes.IndexByte(head, 0); i >= 0 {
			return fmt.Errorf("%s: byte %d is zero: want text in UTF-8, not a binary file or UTF-16", path, i)
		}
		return readText(br, path, fn)
	})
}

// binaryHead is where a zero byte means that a file is no text, as for git.
const binaryHead = 8000

// reading opens a file for fn, looking through the compression that its name
// tells of.
func reading(path string, fn func(io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if !strings.HasSuffix(strings.ToLower(path), ".gz") {
		return fn(f)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: not gzip data: %w", path, err)
	}
	return fn(z)
}

// readText cuts a text at separators; line breaks beside one belong to it.
func readText(r io.Reader, path string, fn func(Doc) bool) error {
	br := bufio.NewReaderSize(r, 1<<16)
	skipBOM(br)
	for part := 1; ; part++ {
		text, more, err := readUntil(br, Separator)
		if err != nil {
			return fmt.Errorf("%s: document %d: %w", path, part, err)
		}
		source := path
		if more || part > 1 {
			source = fmt.Sprintf("%s#%d", path, part)
			text = bytes.Trim(text, "\r\n")
		}
		if len(bytes.TrimSpace(text)) > 0 && !fn(Doc{Text: string(text), Source: source}) {
			return nil
		}
		if !more {
			return nil
		}
	}
}

// readUntil reads up to and past sep; more is false at the end of the input.
func readUntil(br *bufio.Reader, sep string) (text []byte, more bool, err error) {
	for {
		chunk, err := br.ReadSlice(sep[len(sep)-1])
		text = append(text, chunk...)
		if len(text) > maxDoc {
			return nil, false, fmt.Errorf("longer than %d bytes: divide it with %s or into files", maxDoc, sep)
		}
		switch {
		case errors.Is(err, io.EOF):
			return text, false, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return nil, false, err
		case err == nil && bytes.HasSuffix(text, []byte(sep)):
			return text[:len(text)-len(sep)], true, nil
		}
	}
}

// readLines reads one JSON object per line and takes its field "text".
func readLines(r io.Reader, path string, fn func(Doc) bool) error {
	return eachLine(r, path, func(line []byte, where string) (bool, error) {
		var row struct {
			Text *string `json:"text"`
		}
		if err := json.Unmarshal(line, &row); err != nil {
			return false, fmt.Errorf("%s: %w", where, err)
		}
		if row.Text == nil {
			return false, fmt.Errorf("%s: no field \"text\" (its fields: %s)", where, fields(line))
		}
		return strings.TrimSpace(*row.Text) == "" || fn(Doc{Text: *row.Text, Source: where}), nil
	})
}

// eachLine calls fn with each line that is not blank and its place, until fn
// returns false. JSON must be UTF-8: decoding would replace other bytes.
func eachLine(r io.Reader, path string, fn func(line []byte, where string) (bool, error)) error {
	br := bufio.NewReaderSize(r, 1<<16)
	skipBOM(br)
	for n := 1; ; n++ {
		line, more, err := readUntil(br, "\n")
		where := fmt.Sprintf("%s:%d", path, n)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			if !utf8.Valid(line) {
				return fmt.Errorf("%s: not valid UTF-8, which JSON must be", where)
			}
			if ok, err := fn(line, where); err != nil || !ok {
				return err
			}
		}
		if !more {
			return nil
		}
	}
}

// fields names the fields of a JSON object, for an error.
func fields(line []byte) string {
	var row map[string]json.RawMessage
	if json.Unmarshal(line, &row) != nil || len(row) == 0 {
		return "none"
	}
	return strings.Join(sortedKeys(row), ", ")
}

func skipBOM(br *bufio.Reader) {
	if head, _ := br.Peek(3); string(head) == "\ufeff" {
		_, _ = br.Discard(3)
	}
}
