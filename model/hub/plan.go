package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"weft/internal/atomicfile"
)

// Plan says what fetching a name would do. Making one writes nothing.
type Plan struct {
	Name     Name
	Commit   string    // Hugging Face: what the revision is now
	Path     string    // where the model will lie: a folder, or a GGUF
	Items    []*Item   // in the order of fetching, weights last
	Variants []Variant // all that the repository offers
	Notes    []string  // what a user should know

	seals []seal
}

// Item is one file of a plan.
type Item struct {
	File
	Weights bool // a file of weights, or a part of one
	Have    bool // it is on this machine

	url  string
	blob string // where its bytes go, by their digest
	link string // the name that points there; empty: none
}

// seal is a small file that makes the whole visible; seals are written last.
type seal struct {
	path string
	data []byte
}

// Bytes are those of all files; missing those still to fetch.
func (p *Plan) Bytes() (all, missing int64) {
	for _, it := range p.Items {
		all += it.Size
		if !it.Have {
			missing += it.Size
		}
	}
	return all, missing
}

// WeightBytes are those of the weights.
func (p *Plan) WeightBytes() (n int64) {
	for _, it := range p.Items {
		if it.Weights {
			n += it.Size
		}
	}
	return n
}

// Item finds a file by its path; nil: the plan has none.
func (p *Plan) Item(path string) *Item {
	for _, it := range p.Items {
		if it.Path == path {
			return it
		}
	}
	return nil
}

// Plan asks the registry what a name is, and says what fetching it would do.
func (c *Client) Plan(ctx context.Context, n Name) (*Plan, error) {
	var p *Plan
	var err error
	if c.o.Caches.HuggingFace == "" || len(c.o.Caches.Ollama) == 0 {
		err = errors.New("no cache folders are given")
	} else if n.Source == Ollama {
		p, err = c.planOllama(ctx, n)
	} else {
		p, err = c.planHF(ctx, n)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", n, err)
	}
	return p, nil
}

// Peek reads the first bytes of a file of a plan, at most n, from the disk if it
// is there.
func (c *Client) Peek(ctx context.Context, it *Item, n int64) ([]byte, error) {
	n = min(n, it.Size)
	if n == 0 {
		return nil, nil
	}
	if !it.Have {
		return c.ask(ctx, it.url, span{0, n, it.Size}, "", n)
	}
	f, err := os.Open(it.path())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, n))
}

// path is where the file is, once it is there.
func (it *Item) path() string {
	if it.link != "" && there(it.link, it.Size) {
		return it.link
	}
	return it.blob
}

// Fetch carries a plan out. Interrupted at any moment, it goes on where it was
// when it is planned and fetched again; the name means the model only once all
// of it is there and checked.
func (c *Client) Fetch(ctx context.Context, p *Plan) error {
	all, missing := p.Bytes()
	var moved atomic.Int64
	moved.Store(all - missing)
	stop := c.report(&moved, all)
	defer stop()
	for _, it := range p.Items {
		if !it.Have {
			if err := c.fetch(ctx, it, &moved); err != nil {
				return fmt.Errorf("%s: fetch %s: %w", p.Name, it.Path, err)
			}
		}
		if err := it.name(); err != nil {
			return fmt.Errorf("%s: name %s: %w", p.Name, it.Path, err)
		}
		it.Have = true
	}
	for _, s := range p.seals {
		if err := writeSeal(s); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

func writeSeal(s seal) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o755); err != nil {
		return err
	}
	return explain(atomicfile.WriteBytes(s.path, s.data))
}

// report calls Progress until stop is called, and once more then.
func (c *Client) report(moved *atomic.Int64, total int64) (stop func()) {
	if c.o.Progress == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second / 4)
		defer tick.Stop()
		for {
			c.o.Progress(moved.Load(), total)
			select {
			case <-end:
				c.o.Progress(moved.Load(), total)
				return
			case <-tick.C:
			}
		}
	}()
	return func() { close(end); <-ended }
}

// name lets the item's link point to its blob.
func (it *Item) name() error {
	if it.link == "" || there(it.link, it.Size) {
		return nil
	}
	dir := filepath.Dir(it.link)
	target, err := filepath.Rel(dir, it.blob)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	fresh := it.link + ".weft-link"
	_ = os.Remove(fresh) // of a run that was killed here
	if err := os.Symlink(target, fresh); err != nil {
		if hard := os.Link(it.blob, fresh); hard != nil { // systems where links are for administrators
			return errors.Join(err, hard)
		}
	}
	return os.Rename(fresh, it.link)
}
