package lora

import (
	"fmt"
	"io/fs"
	"strings"

	"weft/internal/mapfile"
)

// Size is what an adapter will take, told by its files alone.
type Size struct {
	Rank  int     // of its largest pair
	sides []sides // of every matrix of the file
}

// sides are a rank, and the width of a matrix on its other side.
type sides struct {
	rank, width int
	isA         bool // [rank, width]; else [width, rank]
}

// Measure reads the shapes of an adapter and none of its values. Whether it suits a
// model, Open says.
func Measure(dir fs.FS) (s Size, err error) {
	if s, err = measure(dir); err != nil {
		err = fmt.Errorf("adapter %s: %w", mapfile.Path(dir, "."), err)
	}
	return s, err
}

func measure(dir fs.FS) (s Size, err error) {
	_, name, err := ggufOf(dir)
	if err == nil && name == "" {
		var text []byte
		if text, err = readConfig(dir); err == nil {
			_, err = ParseConfig(text)
		}
	}
	if err != nil {
		return s, err
	}
	f, release, err := openTensors(dir, nil)
	if err != nil {
		return s, err
	}
	defer release()
	for _, name := range f.names() {
		shape, _ := f.shape(name)
		if len(shape) != 2 {
			continue // Open refuses it
		}
		switch {
		case strings.HasSuffix(name, endA):
			s.add(sides{shape[0], shape[1], true})
		case strings.HasSuffix(name, endB):
			s.add(sides{shape[1], shape[0], false})
		}
	}
	return s, nil
}

func (s *Size) add(m sides) {
	s.sides = append(s.sides, m)
	s.Rank = max(s.Rank, m.rank)
}

// Bytes is the memory that the adapter takes once it is served (Adapter.Memory).
func (s Size) Bytes() int64 { return s.bytes(s.Rank) }

// bytes is that of the same adapter with ranks up to one.
func (s Size) bytes(rank int) (n int64) {
	for _, m := range s.sides {
		if m.isA {
			n += memory(min(m.rank, rank), m.width)
		} else {
			n += memory(m.width, min(m.rank, rank))
		}
	}
	return n
}

// Within is the highest rank with which the adapter takes no more than so many
// bytes; 0: none.
func (s Size) Within(bytes int64) int {
	for rank := s.Rank; rank > 0; rank-- {
		if s.bytes(rank) <= bytes {
			return rank
		}
	}
	return 0
}
