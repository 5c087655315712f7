// Package kernel is the arithmetic of weft: float32 slices in, slices out.
//
// It knows nothing of tensors, tapes, sequences or models. Each operation has
// a contract and a generic Go form; on amd64 an assembly form is chosen once
// by CPU feature (AVX-512, AVX2), and the tag purego leaves the generic form
// alone. The generic form is the oracle that the assembly is fuzzed against.
//
// The rule that everything above relies on: the summation order of a result
// never depends on how many rows, threads or sequences share the call. A
// matrix product is, for every element, one chain of fused multiply-adds in
// ascending k; attention walks the keys from position 0 in tiles of fixed
// size. So a request gets the same bits alone, in a batch, in chunks.
//
// Weights in blocks of integers (GemmInt) are multiplied as integers, exactly
// inside a block; only the sums of blocks are float32, in ascending k. Those
// products have the same bits in every tier, plain Go included. Weights of 16-bit
// floats (GemmHalf) are widened in registers: the bits are those of their values.
package kernel
