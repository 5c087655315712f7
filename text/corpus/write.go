package corpus

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"weft/internal/atomicfile"
)

// Encoder is what this package needs of a tokenizer.
type Encoder interface {
	Encode(text string) []int32 // words only; adds no markers
	Err() error                 // what Encode could not do, of all texts so far
	Special(name string) (int32, bool)
	IsSpecial(id int32) bool
	Bytes(id int32) []byte // text of one token
	BOS() (int32, bool)
	EOS() (int32, bool)
	VocabSize() int
	Hash() string
}

// ShardOptions says how documents become ids. The zero value is the default.
type ShardOptions struct {
	SeqLen    int            // refuse a corpus with fewer predictions than this; no limit
	MaxTokens int            // ids per shard; a document is never divided; 1<<24
	Begin     string         // special token before each document; the tokenizer's BOS, if any
	End       string         // special token behind each document; the tokenizer's EOS, if any
	Workers   int            // documents tokenised at once; GOMAXPROCS
	Progress  func(Progress) // called now and then, from one goroutine; none
}

// Progress counts what has been written so far.
type Progress struct {
	Docs, Tokens, Bytes int64
}

// Stats describes a finished set of shards; it is the file shards.json.
type Stats struct {
	Version   int    `json:"version"`
	Tokenizer string `json:"tokenizer"` // hash
	Docs      int64  `json:"docs"`
	Tokens    int64  `json:"tokens"` // ids, markers counted
	Bytes     int64  `json:"bytes"`  // text
	Empty     int64  `json:"empty"`  // documents left out because they had no text
	Shards    int    `json:"shards"`
	Reused    int    `json:"-"` // shards of an earlier run that were still right
}

const manifestName = "shards.json"

func shardName(i int) string { return fmt.Sprintf("shard-%05d.bin", i) }

// WriteShards tokenises docs into dir. Whatever the number of workers, the
// bytes are the same. Interrupted, it leaves whole shards; called again with
// the same documents it keeps those and goes on. docs must then be readable
// more than once. The set counts only when shards.json is there.
func WriteShards(ctx context.Context, dir string, tok Encoder, docs iter.Seq2[Doc, error], o ShardOptions) (Stats, error) {
	w, err := newWriter(tok, o)
	if err != nil {
		return Stats{}, err
	}
	if err := makeFolder(dir); err != nil {
		return Stats{}, fmt.Errorf("corpus: %w", err)
	}
	if err := w.reuse(ctx, dir, docs); err != nil {
		return Stats{}, err
	}
	if err := os.Remove(filepath.Join(dir, manifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Stats{}, fmt.Errorf("corpus: %w", err)
	}
	w.flush = func(i int, parts [][]byte) error {
		return atomicfile.Write(filepath.Join(dir, shardName(i)), func(out io.Writer) error {
			for _, p := range parts {
				if _, err := out.Write(p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := w.run(ctx, docs); err != nil {
		return Stats{}, err
	}
	// Shards of an earlier, longer corpus must not be taken for this one's.
	for i := w.stats.Shards; ; i++ {
		err := os.Remove(filepath.Join(dir, shardName(i)))
		if errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return Stats{}, fmt.Errorf("corpus: %w", err)
		}
	}
	data, err := json.MarshalIndent(w.stats, "", "  ")
	if err != nil {
		return Stats{}, fmt.Errorf("corpus: %w", err)
	}
	return w.stats, atomicfile.WriteBytes(filepath.Join(dir, manifestName), append(data, '\n'))
}

// makeFolder also removes what a killed run left of shards it was writing.
func makeFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".shard-") {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Build is WriteShards into memory.
func Build(ctx context.Context, tok Encoder, docs iter.Seq2[Doc, error], o ShardOptions) (*Dataset, error) {
	w, err := newWriter(tok, o)
	if err != nil {
		return nil, err
	}
	var shards []*shard
	w.flush = func(i int, parts [][]byte) error {
		s, err := parseShard(fmt.Sprintf("shard %d in memory", i), bytes.Join(parts, nil))
		shards = append(shards, s)
		return err
	}
	if err := w.run(ctx, docs); err != nil {
		return nil, err
	}
	return newDataset(shards), nil
}

// writer turns documents into shards, one after the other.
type writer struct {
	tok        Encoder
	o          ShardOptions
	begin, end []int32 // none or one id
	lens       []byte
	stats      Stats
	skip       int64 // documents with text that reused shards hold already
	pairs      int64 // predictions
	told       int64 // bytes at the last call of Progress
	flush      func(i int, parts [][]byte) error
}

// newWriter looks the markers up and measures every token.
func newWriter(tok Encoder, o ShardOptions) (*writer, error) {
	if o.MaxTokens <= 0 {
		o.MaxTokens = 1 << 24
	}
	if len(tok.Hash()) > 64 {
		return nil, fmt.Errorf("corpus: tokenizer hash of %d characters, want at most 64", len(tok.Hash()))
	}
	w := &writer{tok: tok, o: o}
	w.stats.Version, w.stats.Tokenizer = shardVersion, tok.Hash()
	var err error
	if w.begin, err = marker(tok, o.Begin, tok.BOS); err != nil {
		return nil, err
	}
	if w.end, err = marker(tok, o.End, tok.EOS); err != nil {
		return nil, err
	}
	for id := range int32(tok.VocabSize()) {
		n := len(tok.Bytes(id))
		if tok.IsSpecial(id) {
			n = 0
		}
		if n > math.MaxUint16 {
			return nil, fmt.Errorf("corpus: token %d is %d bytes long, want at most %d", id, n, math.MaxUint16)
		}
		w.lens = binary.LittleEndian.AppendUint16(w.lens, uint16(n))
	}
	return w, nil
}

// marker finds a special token by name, or the tokenizer's own.
func marker(tok Encoder, name string, own func() (int32, bool)) ([]int32, error) {
	id, ok := own()
	if name != "" {
		if id, ok = tok.Special(name); !ok {
			return nil, fmt.Errorf("corpus: the tokenizer has no special token %s to mark documents with", name)
		}
	}
	if !ok {
		return nil, nil
	}
	return []int32{id}, nil
}

// run tokenises all documents behind the reused ones.
func (w *writer) run(ctx context.Context, docs iter.Seq2[Doc, error]) error {
	b := newBuilder(w.tok, w.begin, w.lens)
	for d, err := range encodeAll(ctx, w.tok, w.rest(docs), w.o.Workers) {
		if err != nil {
			return err
		}
		ids := slices.Concat(w.begin, d.ids, w.end)
		if b.h.Docs > 0 && b.h.IDs+uint64(len(ids)) > uint64(w.o.MaxTokens) {
			if err := w.finish(b); err != nil {
				return err
			}
			b = newBuilder(w.tok, w.begin, w.lens)
		}
		b.add(d.text, ids)
		w.report(b, 1<<20)
	}
	w.report(b, 0)
	if b.h.Docs > 0 {
		if err := w.finish(b); err != nil {
			return err
		}
	}
	switch {
	case w.stats.Docs == 0:
		return fmt.Errorf("corpus: %w: no document with text", ErrEmpty)
	case w.pairs < int64(w.o.SeqLen):
		return tooSmall(w.pairs, w.o.SeqLen)
	}
	return nil
}

// report calls Progress when at least so many bytes of text are new.
func (w *writer) report(b *builder, every int64) {
	p := Progress{w.stats.Docs + int64(b.h.Docs), w.stats.Tokens + int64(b.h.IDs), w.stats.Bytes + int64(b.h.TextBytes)}
	if w.o.Progress != nil && p.Bytes >= w.told+every {
		w.told = p.Bytes
		w.o.Progress(p)
	}
}

// rest passes on documents that have text and are not yet in a shard.
func (w *writer) rest(docs iter.Seq2[Doc, error]) iter.Seq2[Doc, error] {
	return func(yield func(Doc, error) bool) {
		var seen int64
		for d, err := range docs {
			if err == nil && d.Text == "" {
				w.stats.Empty++
				continue
			}
			if seen++; err == nil && seen <= w.skip {
				continue
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// finish writes a full shard.
func (w *writer) finish(b *builder) error {
	if err := w.flush(w.stats.Shards, b.parts()); err != nil {
		return err
	}
	w.count(&b.h)
	return nil
}

// count adds a shard to the totals.
func (w *writer) count(h *header) {
	w.stats.Shards++
	w.stats.Docs += int64(h.Docs)
	w.stats.Tokens += int64(h.IDs)
	w.stats.Bytes += int64(h.TextBytes)
	w.pairs += int64(h.IDs - h.Docs)
}

// reuse counts the whole shards that an earlier run left, as long as they hold
// the documents that docs yields now.
func (w *writer) reuse(ctx context.Context, dir string, docs iter.Seq2[Doc, error]) error {
	next, stop := iter.Pull2(docs)
	defer stop()
	for i := 0; ; i++ {
		s, err := openShard(filepath.Join(dir, shardName(i)))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
			return nil
		}
		if err != nil {
			return err
		}
		h, hash := s.header, s.tokenizer()
		if err := s.release(); err != nil {
			return fmt.Errorf("corpus: %s: %w", s.name, err)
		}
		if hash != w.tok.Hash() {
			return fmt.Errorf("corpus: %s holds shards for %w (%.12s, now %.12s): choose another folder, or delete this one to tokenise anew",
				dir, ErrTokenizer, hash, w.tok.Hash())
		}
		// The shard is right if it holds the next documents, text for text.
		sum := newTextSum()
		for n := uint64(0); n < h.Docs; {
			d, err, ok := next()
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
			if !ok {
				return nil
			}
			if d.Text != "" {
				sum.add(d.Text)
				n++
			}
		}
		if sum.sum() != h.TextSum {
			return nil
		}
		w.count(&h)
		w.skip += int64(h.Docs)
		w.stats.Reused++
	}
}

// tooSmall says what to do when there is less text than one sequence.
func tooSmall(pairs int64, seqLen int) error {
	return fmt.Errorf("corpus: %w: %d tokens to predict, want at least %d: add text, or train with a sequence length of at most %d",
		ErrTooSmall, pairs, seqLen, max(pairs, 1))
}

// textSum hashes documents, each behind its length, so that borders count.
type textSum struct{ h hash.Hash }

func newTextSum() textSum { return textSum{sha256.New()} }

func (t textSum) add(text string) {
	var n [8]byte
	binary.LittleEndian.PutUint64(n[:], uint64(len(text)))
	t.h.Write(n[:])
	_, _ = io.WriteString(t.h, text)
}

func (t textSum) sum() (sum [32]byte) {
	t.h.Sum(sum[:0])
	return sum
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
