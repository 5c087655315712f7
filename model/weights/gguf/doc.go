// Package gguf reads and writes GGUF, the file format of llama.cpp: metadata by
// key, and tensors in any of ggml's types, in a file that is mapped as it lies.
//
//	+-------+---------+---------+----------+----------------+-----------------+
//	| GGUF  | u32     | u64     | u64      | metadata: key, | directory: name,|
//	| magic | version | tensors | metadata | type, value    | shape, type, at |
//	+-------+---------+---------+----------+----------------+-----------------+
//	| padding to general.alignment (32) | tensors, each at a multiple of it   |
//	+-----------------------------------+-------------------------------------+
//
// Numbers are little-endian; a string is a u64 length and its bytes; an array is
// a u32 type, a u64 count and its elements. Versions 2 and 3 have this layout.
//
// Files come from strangers: every length, count and offset is checked against
// the file before it is used, so that what is read takes memory of the file's
// order. The package knows names, numbers and where they lie; it knows nothing
// of models, and does not decode or encode quantised blocks. A model split over
// several files (NAME-00001-of-00003.gguf) opens as one, and SaveSplit writes one.
// Writing streams: one tensor at a time, and Save leaves the whole file or none.
//
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
package gguf
