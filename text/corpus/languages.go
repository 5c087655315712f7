package corpus

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
)

// Language is one text of a collection in many languages.
type Language struct {
	Key    string // of the file: "eng", "cmn_hans"
	Name   string // "English"; the key when the file does not say
	Script string // Unicode name of the script of most of its letters: "Latin"; "" without letters
	Text   string
}

// maxLanguage bounds one file of a collection.
const maxLanguage = 64 << 20 // bytes

// Languages reads a collection with one text per file: a folder, or a .tar, .tgz
// or .tar.gz of one, in the order of the names in the folder or the archive. A
// .xml file is a translation of the Universal Declaration of Human Rights as
// unicode.org/udhr has it, whose titles and paragraphs become lines; a .txt or
// .md file is a text as it is. Other files are left out. A collection without
// any is an error wrapping ErrEmpty.
func Languages(from string) iter.Seq2[Language, error] {
	return func(yield func(Language, error) bool) {
		found, stopped := false, false
		err := languageFiles(from, func(name string, r io.Reader) error {
			l, err := readLanguage(name, r)
			if err != nil || l.Text == "" {
				return err
			}
			found = true
			if stopped = !yield(l, nil); stopped {
				return fs.SkipAll
			}
			return nil
		})
		switch {
		case stopped:
		case err != nil:
			yield(Language{}, fmt.Errorf("corpus: %s: %w", from, err))
		case !found:
			yield(Language{}, fmt.Errorf("corpus: %s: %w: want .xml files of the UDHR, or .txt or .md files", from, ErrEmpty))
		}
	}
}

// languageFiles opens every file of a folder or archive; fs.SkipAll from read ends it.
func languageFiles(from string, read func(name string, r io.Reader) error) error {
	low := strings.ToLower(from)
	packed := strings.HasSuffix(low, ".tar.gz") || strings.HasSuffix(low, ".tgz")
	if packed || strings.HasSuffix(low, ".tar") {
		return archived(from, packed, read)
	}
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || languageKind(p) == "" || strings.HasPrefix(d.Name(), ".") {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		return read(p, f)
	})
}

// archived reads the files of a tar archive.
func archived(from string, packed bool, read func(name string, r io.Reader) error) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if packed {
		if r, err = gzip.NewReader(f); err != nil {
			return err
		}
	}
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case h.Typeflag != tar.TypeReg || languageKind(h.Name) == "" || strings.HasPrefix(path.Base(h.Name), "."):
			continue
		}
		if err := read(h.Name, t); err != nil {
			if errors.Is(err, fs.SkipAll) {
				return nil
			}
			return err
		}
	}
}

// languageKind is ".xml", ".txt" or "" for a file that is left out.
func languageKind(name string) string {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".xml", ".txt":
		return ext
	case ".md":
		return ".txt"
	}
	return ""
}

// readLanguage reads one file.
func readLanguage(name string, r io.Reader) (Language, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLanguage+1))
	if err == nil && len(data) > maxLanguage {
		err = fmt.Errorf("more than %d MiB", maxLanguage>>20)
	}
	base := filepath.Base(name)
	l := Language{Key: strings.TrimPrefix(strings.TrimSuffix(base, filepath.Ext(base)), "udhr_"), Text: string(data)}
	if err == nil && languageKind(name) == ".xml" {
		err = l.readUDHR(data)
	}
	if err != nil {
		return l, fmt.Errorf("%s: %w", name, err)
	}
	if l.Name == "" {
		l.Name = l.Key
	}
	l.Script = scriptOf(l.Text)
	return l, nil
}

// readUDHR takes the language's name and the text of titles and paragraphs.
func (l *Language) readUDHR(data []byte) error {
	var out, line strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			l.Text = out.String()
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			for _, a := range t.Attr {
				if t.Name.Local == "udhr" && a.Name.Local == "n" {
					l.Name = a.Value
				}
			}
			line.Reset()
		case xml.CharData:
			line.Write(t)
		case xml.EndElement:
			if text := strings.Join(strings.Fields(line.String()), " "); text != "" {
				out.WriteString(text + "\n")
			}
			line.Reset()
		}
	}
}

// scriptOf names the script of most letters of a text; of equals, the first by name.
func scriptOf(text string) string {
	counts := map[string]int{}
	last := "Latin" // most often the next letter is of the same script
	for _, r := range text {
		switch {
		case !unicode.IsLetter(r):
			continue
		case unicode.Is(unicode.Scripts[last], r):
			counts[last]++
			continue
		}
		for name, table := range unicode.Scripts {
			if unicode.Is(table, r) {
				last = name
				counts[name]++
				break
			}
		}
	}
	best := ""
	for name, n := range counts {
		if name != "Common" && name != "Inherited" && (best == "" || n > counts[best] || n == counts[best] && name < best) {
			best = name
		}
	}
	return best
}
