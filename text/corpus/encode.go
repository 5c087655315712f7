package corpus

import (
	"context"
	"iter"
	"runtime"
	"sync"
)

// encoded is a tokenised document, without markers.
type encoded struct {
	text string
	ids  []int32
}

// group is a run of documents that one worker takes.
type group struct {
	docs []encoded
	err  error // of reading, behind docs
	done chan struct{}
}

const groupBytes = 1 << 18 // text per group: enough to hide the hand-over

// encodeAll tokenises documents with several workers and yields them in their
// order. It returns only after its goroutines have ended.
func encodeAll(ctx context.Context, tok Encoder, docs iter.Seq2[Doc, error], workers int) iter.Seq2[encoded, error] {
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return func(yield func(encoded, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for g := range encodeGroups(ctx, &wg, tok, docs, workers) {
			select {
			case <-g.done:
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			if err := tok.Err(); err != nil {
				yield(encoded{}, err)
				return
			}
			for _, d := range g.docs {
				if !yield(d, nil) {
					return
				}
			}
			if g.err != nil {
				yield(encoded{}, g.err)
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(encoded{}, err)
		}
	}
}

// encodeGroups starts the reader and the workers. Groups come in order, each
// of them finished when its done is closed.
func encodeGroups(ctx context.Context, wg *sync.WaitGroup, tok Encoder, docs iter.Seq2[Doc, error], workers int) <-chan *group {
	todo := make(chan *group)
	order := make(chan *group, 2*workers) // bounds what is read ahead
	wg.Go(func() {
		defer close(order)
		defer close(todo)
		for g := range groups(docs) {
			for _, to := range []chan *group{order, todo} {
				select {
				case to <- g:
				case <-ctx.Done():
					return
				}
			}
		}
	})
	for range workers {
		wg.Go(func() {
			for g := range todo {
				for i := range g.docs {
					g.docs[i].ids = tok.Encode(g.docs[i].text)
				}
				close(g.done)
			}
		})
	}
	return order
}

// groups gathers documents; the last group carries the error that ended them.
func groups(docs iter.Seq2[Doc, error]) iter.Seq[*group] {
	return func(yield func(*group) bool) {
		g, size := &group{done: make(chan struct{})}, 0
		for d, err := range docs {
			if err != nil {
				g.err = err
				break
			}
			g.docs = append(g.docs, encoded{text: d.Text})
			if size += len(d.Text); size >= groupBytes {
				if !yield(g) {
					return
				}
				g, size = &group{done: make(chan struct{})}, 0
			}
		}
		if len(g.docs) > 0 || g.err != nil {
			yield(g)
		}
	}
}
