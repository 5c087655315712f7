package world

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed grammar/*.txt
var grammarFiles embed.FS

// form is what a phrase is for.
type form uint8

// The forms of a section; see docs/WORLD.md.
const (
	formSay    form = iota // what follows the subject: "<live> in {v}"
	formFull               // a sentence of its own
	formAsk                // a question
	formClause             // a question within another: "where {n} lives"
	formNP                 // what is asked for: "the street of {n}"
	formAnswer             // a reply
	formCount
)

var formNames = [formCount]string{"say", "full", "ask", "clause", "np", "answer"}

// section is all the phrases for one thing, those of training and those held
// out apart.
type section struct {
	name    string
	phrases [2][formCount][]phrase // of Train and of Held
}

// of returns the phrases of a form in a split.
func (s *section) of(split Split, f form) []phrase { return s.phrases[btoi(split == Held)][f] }

// grammar is every section by name. It is read once and never changed.
var grammar = sync.OnceValue(func() map[string]*section {
	g, err := readGrammar(grammarFiles)
	if err != nil {
		panic(err) // the files are part of the program: a test reads them
	}
	return g
})

// sec returns a section that must be there.
func sec(name string) *section {
	s, ok := grammar()[name]
	if !ok {
		panic("world: no section " + name + " in grammar")
	}
	return s
}

// readGrammar reads all files: "# name" begins a section, a line is
// "[held] form phrase".
func readGrammar(files fs.FS) (map[string]*section, error) {
	all := map[string]*section{}
	names, err := fs.Glob(files, "grammar/*.txt")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var at *section
		for i, line := range strings.Split(string(data), "\n") {
			if line == "" {
				continue
			}
			if id, ok := strings.CutPrefix(line, "# "); ok {
				at = &section{name: id}
				all[id] = at
				continue
			}
			if err := at.add(line); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
			}
		}
	}
	return all, nil
}

// add reads one line of a section.
func (s *section) add(line string) error {
	line, held := strings.CutPrefix(line, "held ")
	word, text, _ := strings.Cut(line, " ")
	for f, name := range formNames {
		if name != word {
			continue
		}
		if s == nil {
			return fmt.Errorf("%q stands before any section", line)
		}
		p, err := parsePhrase(strings.ReplaceAll(text, "§", "\n"))
		if err != nil {
			return err
		}
		list := &s.phrases[btoi(held)][f]
		*list = append(*list, p)
		return nil
	}
	return fmt.Errorf("%q begins with no form: want one of %s", line, strings.Join(formNames[:], ", "))
}
