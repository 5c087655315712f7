package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"

	"weft/internal/mapfile"
)

// Dataset is tokenised text at rest: shards in memory or mapped from files. It
// is safe for concurrent readers until Close.
type Dataset struct {
	shards []*shard
	docs   []int64 // [shards+1] documents before each shard
	pairs  []int64 // [shards+1] predictions before each shard
	stats  Stats
	id     string // of the contents, for cursors
}

// Open maps the shards of a folder that WriteShards has finished. hash is that
// of the tokenizer in use. Every checksum, offset and id is verified here.
func Open(dir, hash string) (*Dataset, error) {
	data, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("corpus: %s has no %s: its shards were never finished; run the command that makes them again, it goes on where it stopped", dir, manifestName)
	} else if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	var stats Stats
	if err := json.NewDecoder(bytes.NewReader(data)).Decode(&stats); err != nil {
		return nil, fmt.Errorf("corpus: %s: %w: %s: %v", dir, ErrCorrupt, manifestName, err)
	}
	if stats.Tokenizer != hash {
		return nil, fmt.Errorf("corpus: %s: %w (%.12s, now %.12s): open it with that one, or tokenise the text again into another folder",
			dir, ErrTokenizer, stats.Tokenizer, hash)
	}
	var shards []*shard
	fail := func(err error) (*Dataset, error) {
		return nil, errors.Join(err, newDataset(shards).Close())
	}
	for i := range stats.Shards {
		s, err := openShard(filepath.Join(dir, shardName(i)))
		if err != nil {
			return fail(err)
		}
		shards = append(shards, s)
		if s.tokenizer() != hash {
			return fail(s.bad("made with tokenizer %.12s, the set with %.12s", s.tokenizer(), hash))
		}
	}
	d := newDataset(shards)
	if d.stats.Docs != stats.Docs || d.stats.Tokens != stats.Tokens || d.stats.Docs == 0 {
		return fail(fmt.Errorf("corpus: %s: %w: shards hold %d documents and %d tokens, %s says %d and %d",
			dir, ErrCorrupt, d.stats.Docs, d.stats.Tokens, manifestName, stats.Docs, stats.Tokens))
	}
	d.stats.Empty = stats.Empty
	return d, nil
}

// openShard maps and checks one file.
func openShard(path string) (*shard, error) {
	data, release, err := mapfile.Open(path)
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	s, err := parseShard(path, data)
	if err != nil {
		return nil, errors.Join(err, release())
	}
	s.release = release
	return s, nil
}

// newDataset adds up what the shards hold.
func newDataset(shards []*shard) *Dataset {
	d := &Dataset{shards: shards, docs: []int64{0}, pairs: []int64{0}}
	sum := newTextSum()
	for i, s := range shards {
		d.docs = append(d.docs, d.docs[i]+int64(s.Docs))
		d.pairs = append(d.pairs, d.pairs[i]+s.pairs(int(s.Docs)))
		d.stats.Docs += int64(s.Docs)
		d.stats.Tokens += int64(s.IDs)
		d.stats.Bytes += int64(s.TextBytes)
		d.stats.Version, d.stats.Tokenizer = shardVersion, s.tokenizer()
		sum.add(fmt.Sprintf("%s %d %08x", s.tokenizer(), s.IDs, s.BodySum))
	}
	d.stats.Shards = len(shards)
	d.id = fmt.Sprintf("%.16x", sum.sum())
	return d
}

// Close unmaps the shards. Nothing may read the data set afterwards.
func (d *Dataset) Close() error {
	var errs []error
	for _, s := range d.shards {
		if s.release != nil {
			errs = append(errs, s.release())
		}
	}
	d.shards = nil
	return errors.Join(errs...)
}

// Stats returns the totals.
func (d *Dataset) Stats() Stats { return d.stats }

// Docs is the number of documents.
func (d *Dataset) Docs() int64 { return d.stats.Docs }

// Tokens is the number of ids, markers counted.
func (d *Dataset) Tokens() int64 { return d.stats.Tokens }

// Bytes is the number of bytes of text.
func (d *Dataset) Bytes() int64 { return d.stats.Bytes }

// Predictions is the number of (input, target) pairs: an epoch.
func (d *Dataset) Predictions() int64 { return d.pairs[len(d.shards)] }

// ID identifies the contents; a cursor carries it.
func (d *Dataset) ID() string { return d.id }

// doc finds a document: its shard and its number there.
func (d *Dataset) doc(i int64) (*shard, int) {
	n := sort.Search(len(d.shards), func(k int) bool { return d.docs[k+1] > i })
	return d.shards[n], int(i - d.docs[n])
}

// at finds the document that holds prediction p, and where in it.
func (d *Dataset) at(p int64) (s *shard, doc int, offset int64) {
	n := sort.Search(len(d.shards), func(k int) bool { return d.pairs[k+1] > p })
	s, p = d.shards[n], p-d.pairs[n]
	doc = s.find(p)
	return s, doc, p - s.pairs(doc)
}
