// Package quant keeps float32 values in blocks of few bits and gives them back:
// the formats of GGUF.
//
//	Format              Q4_K: its GGUF id, name, values and bytes of a block
//	  Decode            blocks -> float32, bit for bit what ggml gives
//	  Encode            float32 -> blocks, byte for byte what ggml writes
//	  Fit               the format that stands in where rows are no whole blocks
//	  Grid, Steps, PutCodes  codes that the caller chooses, for scales that are set
//	Mixture             Q4_K_M: which format each tensor of a model gets
//	Q8Encode, Q8Decode  Q8_0 with integers and scales apart
//
// A row of a matrix is a whole number of blocks; a matrix is its rows one after
// the other. The layout of each block stands at its decoder, in blocks.go (32
// values) and superblocks.go (256). All arithmetic is in float32, one rounding
// per operation and never a fused multiply-add, so that every machine reads
// and writes the same bits.
//
// Encoding rounds to the nearest code of the best scale found, value by value.
// With the importance of columns the search minimises the error that matters
// to them; corrections across columns (GPTQ, AWQ) are made before it.
//
// The package knows slices only: nothing of files, of matrices that are
// multiplied in blocks (compute/kernel), or of how importance is measured.
package quant
