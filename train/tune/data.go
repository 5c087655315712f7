package tune

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"

	"weft/text/corpus"
	"weft/text/template"
	"weft/train"
)

// rendered is a conversation as the model sees it.
type rendered struct {
	corpus.Example
	hash [sha256.Size]byte // of ids and mask
}

// examples renders all conversations, divides and packs them.
func (r *run) examples(ctx context.Context) error {
	chats := r.Chats
	if chats == nil {
		if r.set.Data == "" {
			return errors.New("tune: the run was made from conversations that are not in a file: give them again to resume")
		}
		chats = corpus.Chats(r.set.Data)
	}
	var all []rendered
	sum := sha256.New()
	for c, err := range chats {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		x, err := r.render(c)
		if err != nil {
			return err
		}
		sum.Write(x.hash[:])
		all = append(all, x)
		r.Observer.Tell(&train.Stage{Name: "conversations", Done: len(all)})
	}
	r.lineage.Data = hex.EncodeToString(sum.Sum(nil))
	learn, held := divide(all, r.set.Val)
	o := corpus.ExampleOptions{Rows: r.set.rows(), SeqLen: r.set.SeqLen, Seed: r.set.Seed, Truncate: r.set.Truncate}
	var err error
	if r.learn, err = corpus.NewExamples(learn, o); err != nil {
		return err
	}
	if n := r.learn.Truncated; n > 0 {
		r.Observer.Tell(&train.Note{Text: fmt.Sprintf("%d of %d conversations were cut to %d tokens, %d of them left out because nothing to learn remained", n, len(learn), r.set.SeqLen, r.learn.Dropped)})
	}
	if len(held) > 0 {
		r.held, err = corpus.NewExamples(held, o)
	}
	r.Observer.Tell(&train.Note{Text: fmt.Sprintf("%d conversations to learn, %d held out", len(learn), len(held))})
	return err
}

func (r *run) render(c corpus.Chat) (x rendered, err error) {
	y, err := r.tmpl.RenderWith(r.tok, c.Messages, template.Options{Tools: c.Tools})
	if err != nil {
		return x, fmt.Errorf("tune: %s: %w", c.Source, err)
	}
	if r.set.AllTokens {
		for i := range y.Mask {
			y.Mask[i] = true
		}
	}
	x.Example = corpus.Example{Name: c.Source, IDs: y.IDs, Mask: y.Mask}
	h := sha256.New()
	for i, id := range y.IDs {
		word := uint64(uint32(id)) << 1
		if y.Mask[i] {
			word |= 1
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], word)
		h.Write(b[:])
	}
	h.Sum(x.hash[:0])
	return x, nil
}

// divide holds out a share of the conversations: those with the smallest
// hashes, so that the choice depends on what they say and not on their order,
// and equal ones are on the same side. Fewer than ten are all learned.
func divide(all []rendered, share float64) (learn, held []corpus.Example) {
	if len(all) < 10 {
		share = 0
	}
	n := int(math.Ceil(share * float64(len(all))))
	hashes := make([]string, len(all))
	for i, x := range all {
		hashes[i] = string(x.hash[:])
	}
	sorted := slices.Sorted(slices.Values(hashes))
	for i, x := range all {
		if n > 0 && hashes[i] <= sorted[n-1] {
			held = append(held, x.Example)
		} else {
			learn = append(learn, x.Example)
		}
	}
	return learn, held
}

// learned is the number of tokens of the conversations trained on.
func (r *run) learned() (n int64) {
	for b, err := range r.learn.Eval() {
		if err != nil {
			return n
		}
		n += int64(len(b.IDs))
	}
	return n
}

// fileHash is the SHA-256 of a file.
func fileHash(dir fs.FS, name string) (string, error) {
	f, err := dir.Open(name)
	if err != nil {
		return "", fmt.Errorf("tune: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("tune: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
