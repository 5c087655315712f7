package tensor

// Arena hands out float32 slices and tensors that all die together at Reset,
// or back to a Mark at Release. The zero value is ready; a nil *Arena
// allocates on the Go heap. One goroutine at a time.
type Arena struct {
	chunks [][]float32
	chunk  int // index of the chunk in use
	used   int // floats used in it
	below  int // floats in the chunks before it
	peak   int

	heads [][]Tensor // slabs of tensor headers, so that an op allocates none
	head  int        // headers in use
}

const (
	arenaChunk = 1 << 22 // floats of the first chunk: 16 MiB
	maxChunk   = 1 << 26 // floats up to which chunks grow by themselves: 256 MiB
	headSlab   = 64      // headers per slab
	line       = 16      // floats in a cache line; every slice starts on one
)

// Floats returns n zeroed floats.
func (a *Arena) Floats(n int) []float32 {
	if a == nil {
		return make([]float32, n)
	}
	s := a.Raw(n)
	clear(s)
	return s
}

// Raw returns n floats of any value, for a writer that sets every one.
func (a *Arena) Raw(n int) []float32 {
	if a == nil {
		return make([]float32, n)
	}
	for a.chunk < len(a.chunks) && a.used+n > len(a.chunks[a.chunk]) {
		a.below += len(a.chunks[a.chunk])
		a.chunk, a.used = a.chunk+1, 0
	}
	if a.chunk == len(a.chunks) {
		// As large as all before it: few chunks, so few unused ends.
		a.chunks = append(a.chunks, Alloc(max(n, arenaChunk, min(a.below, maxChunk))))
	}
	s := a.chunks[a.chunk][a.used : a.used+n : a.used+n]
	a.used += (n + line - 1) &^ (line - 1)
	a.peak = max(a.peak, a.below+a.used)
	return s
}

// Tensor returns a [rows, cols] tensor of any value from the arena.
func (a *Arena) Tensor(rows, cols int) *Tensor {
	if a == nil {
		return &Tensor{Rows: rows, Cols: cols, Data: make([]float32, rows*cols)}
	}
	if a.head == len(a.heads)*headSlab {
		a.heads = append(a.heads, make([]Tensor, headSlab))
	}
	t := &a.heads[a.head/headSlab][a.head%headSlab]
	a.head++
	*t = Tensor{Rows: rows, Cols: cols, Data: a.Raw(rows * cols)}
	return t
}

// Peak is the largest number of bytes in use at once since the arena began,
// the unused ends of chunks counted.
func (a *Arena) Peak() int64 { return int64(a.peak) * 4 }

// Mark is a point in an arena's life; Release returns to it.
type Mark struct{ chunk, used, below, head int }

// Mark returns the current point.
func (a *Arena) Mark() Mark {
	if a == nil {
		return Mark{}
	}
	return Mark{a.chunk, a.used, a.below, a.head}
}

// Release frees everything handed out since m; the memory stays.
func (a *Arena) Release(m Mark) {
	if a != nil {
		a.chunk, a.used, a.below, a.head = m.chunk, m.used, m.below, m.head
	}
}

// Reset frees everything and keeps the memory.
func (a *Arena) Reset() { a.Release(Mark{}) }
