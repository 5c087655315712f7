// Package plan computes what a model costs before a byte of it is loaded:
// memory, operations, and the least time that a machine can take.
//
//	config.json -> Shape: layers, heads, experts, window
//	  Tensors     every weight by its GGUF name; from them parameters, bytes, FLOPs
//	  KVBytes     of a request: 2 * layers * kv heads * head width * bytes * positions
//	  Prefill     2 FLOPs per weight and position, in the last layer of keys and values
//	              alone, and the causal half of attention
//	  Decode      the same for one position; it reads all weights, and the cache
//	Machine.Floor  max(FLOPs/peak, bytes/bandwidth): the roofline (Williams 2009)
//	New            all of it as one Report, with what fits into memory
//
// A floor is what no program can beat at these rates, not a forecast: overheads
// come on top, while a model that fits the last-level cache is not held by
// memory at all. Shape knows decoders with gated feed-forwards: grouped-query,
// windowed or latent attention, dense or with experts. It is read more
// generously than a model to be run: what it assumes stands in Shape.Notes.
//
// The package knows formulas only: nothing of files, kernels or clocks.
package plan
