package tokenizer

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// encode appends the ids of text, cutting out first the added tokens of m: those
// that are matched in the text as it is, then, after normalising what stands
// between them, the others.
func (t *Tokenizer) encode(dst []int32, text string, m *matcher) []int32 {
	return m.raw.split(dst, text, func(dst []int32, text string) []int32 {
		if t.nfc {
			text = norm.NFC.String(text)
		}
		return m.normal.split(dst, text, t.words)
	})
}

// words appends the ids of text without added tokens.
func (t *Tokenizer) words(dst []int32, text string) []int32 {
	if t.spm {
		text = " " + text
	}
	for i := 0; i < len(text); {
		end := t.pattern.next(text, i)
		dst = t.chunk(dst, text[i:end])
		i = end
	}
	return dst
}

// chunk appends the ids of one chunk, from the cache if it can.
func (t *Tokenizer) chunk(dst []int32, chunk string) []int32 {
	slot := t.cache.slot(chunk)
	if slot != nil {
		if c := slot.Load(); c != nil && c.text == chunk {
			return append(dst, c.ids...)
		}
	}
	from := len(dst)
	if id, ok := t.vocab[chunk]; ok && t.whole {
		dst = append(dst, id)
	} else {
		dst = t.symbols(dst, chunk)
		dst = dst[:from+len(t.table.apply(dst[from:]))]
	}
	if slot != nil {
		t.cache.put(slot, chunk, dst[from:])
	}
	return dst
}

// symbols appends what merging starts from: one id per byte, or per character
// with one per byte for characters that the vocabulary lacks.
func (t *Tokenizer) symbols(dst []int32, chunk string) []int32 {
	if t.spm {
		for len(chunk) > 0 {
			_, n := utf8.DecodeRuneInString(chunk)
			if id, ok := t.vocab[chunk[:n]]; ok {
				dst = append(dst, id)
			} else {
				for i := range n {
					dst = append(dst, t.bytes[chunk[i]])
				}
			}
			chunk = chunk[n:]
		}
		return dst
	}
	for i := range len(chunk) {
		if id := t.bytes[chunk[i]]; id >= 0 {
			dst = append(dst, id)
		}
	}
	return dst
}

// EncodeBatch is Encode for many texts at once, on all cores.
func (t *Tokenizer) EncodeBatch(texts []string) [][]int32 {
	out := make([][]int32, len(texts))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(texts), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(texts); i = int(next.Add(1)) - 1 {
				out[i] = t.Encode(texts[i])
			}
		})
	}
	wg.Wait()
	return out
}
