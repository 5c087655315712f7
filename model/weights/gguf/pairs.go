package gguf

// Paired reports whether files of an architecture have the rows of queries and keys
// in pairs: rows 2i and 2i+1 of a head turn together, where other layouts turn rows
// i and half+i (LlamaModel.permute of llama.cpp's convert_hf_to_gguf.py).
func Paired(arch string) bool { return arch == "llama" || arch == "smollm3" }

// PairOrder lists where each row of a matrix whose heads are in halves is stored in
// one of pairs.
func PairOrder(rows, heads int) []int32 {
	dim := rows / heads
	order := make([]int32, rows)
	for i := range order {
		head, j := i/dim*dim, i%dim
		order[i] = int32(head + 2*(j%(dim/2)) + j/(dim/2))
	}
	return order
}
