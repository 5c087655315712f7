package engine

import (
	"context"
	"sync"
)

// stream carries tokens from the loop to one reader. The loop never waits:
// tokens pile up here, at most the request's limit of them.
type stream struct {
	mu    sync.Mutex
	buf   []Token
	ended bool
	err   error
	ready chan struct{} // holds one signal: buf or ended has changed
}

func (s *stream) push(t Token) {
	s.mu.Lock()
	s.buf = append(s.buf, t)
	s.mu.Unlock()
	s.signal()
}

func (s *stream) end(err error) {
	s.mu.Lock()
	s.ended, s.err = true, err
	s.mu.Unlock()
	s.signal()
}

func (s *stream) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// read yields tokens until the end, an error, or until the reader breaks off.
// Two buffers swap places, so that a steady stream does not allocate.
func (s *stream) read(ctx context.Context, yield func(Token, error) bool) {
	var batch []Token
	for {
		s.mu.Lock()
		batch, s.buf = s.buf, batch[:0]
		ended, err := s.ended, s.err
		s.mu.Unlock()
		for _, t := range batch {
			if !yield(t, nil) {
				return
			}
		}
		if ended {
			if err != nil {
				yield(Token{}, err)
			}
			return
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			yield(Token{}, ctx.Err())
			return
		}
	}
}
