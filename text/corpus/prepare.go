package corpus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
)

// PrepareOptions says how a corpus becomes training data. The zero value is
// the default.
type PrepareOptions struct {
	ShardOptions
	Dir string  // holds train/ and val/; in memory
	Val float64 // share held out; 0.1; negative: none
}

// Data is a corpus made ready.
type Data struct {
	Train, Val *Dataset // Val is nil when nothing was held out
	Split      Split
}

// Prepare splits documents, tokenises both sides and opens them. docs is read
// several times. ShardOptions.SeqLen bounds the training side only.
func Prepare(ctx context.Context, tok Encoder, docs iter.Seq2[Doc, error], o PrepareOptions) (*Data, error) {
	split, err := PlanSplit(docs, o.Val)
	if err != nil {
		return nil, err
	}
	data := &Data{Split: split}
	if data.Train, err = o.make(ctx, "train", tok, split.Train(docs), o.ShardOptions); err != nil {
		return nil, err
	}
	if split.Method == SplitNone {
		return data, nil
	}
	val := o.ShardOptions
	val.SeqLen = 1
	if data.Val, err = o.make(ctx, "val", tok, split.Val(docs), val); err != nil {
		return nil, errors.Join(fmt.Errorf("held-out text: %w", err), data.Train.Close())
	}
	return data, nil
}

func (o PrepareOptions) make(ctx context.Context, side string, tok Encoder, docs iter.Seq2[Doc, error], s ShardOptions) (*Dataset, error) {
	if o.Dir == "" {
		return Build(ctx, tok, docs, s)
	}
	dir := filepath.Join(o.Dir, side)
	if _, err := WriteShards(ctx, dir, tok, docs, s); err != nil {
		return nil, err
	}
	return Open(dir, tok.Hash())
}

// Close closes both sides.
func (d *Data) Close() error {
	err := d.Train.Close()
	if d.Val != nil {
		err = errors.Join(err, d.Val.Close())
	}
	return err
}
