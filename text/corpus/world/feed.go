package world

import (
	"fmt"
	"iter"
	"strings"

	"weft/text/corpus"
)

// Docs is Corpus as a trainer reads documents. It can be read again.
func (w *World) Docs(size int) iter.Seq2[corpus.Doc, error] {
	return func(yield func(corpus.Doc, error) bool) {
		n := 0
		for text := range w.Corpus(size) {
			if n++; !yield(corpus.Doc{Text: text, Source: fmt.Sprintf("world#%d", n)}, nil) {
				return
			}
		}
	}
}

// Text is Corpus as the content of a file, corpus.Separator after each document.
func (w *World) Text(size int) string {
	var b strings.Builder
	for doc := range w.Corpus(size) {
		b.WriteString(doc + "\n" + corpus.Separator + "\n")
	}
	return b.String()
}

// ItemsOf yields the first n items of a task that have a level.
func (w *World) ItemsOf(task Task, split Split, level, n int) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		if n <= 0 {
			return
		}
		for it := range w.Items(task, split, levelSearch*n) {
			if it.Level != level {
				continue
			}
			if n--; !yield(it) || n == 0 {
				return
			}
		}
	}
}

// levelSearch bounds how many items are looked at for one of a level.
const levelSearch = 40
