// Package kv is the paged key/value cache (Kwon 2023, vLLM): one pool of
// equal pages, and per sequence a table of the pages that hold its positions.
//
//	sequence 7, 40 positions, PageLen 16     pages   0 1 2 3 4 5 6 ...
//	table [4 1 5] -> positions 0-15 in 4,    refs    1 2 0 0 1 1 0
//	                 16-31 in 1, 32-39 in 5               free: 2 3 6
//
// A page holds PageLen positions of every layer, so one table serves all
// layers. Where layers look back differently far (sliding windows in some of
// them), they are put into groups of equally many layers that look equally far;
// a page then holds the layers of one group, a sequence has a table for each, and
// all groups share the one pool. Pages that the window of their group has passed go
// back to it while their sequence runs (Slide), but for those of sinks.
//
// A page may belong to several sequences (Fork); whoever grows into a
// shared page first gets a copy of it. The last page of a sequence is the only
// waste: at most PageLen-1 positions.
//
// Whole pages can be kept under the tokens they stand for (Keep), in a radix tree
// (Zheng 2023, SGLang). A sequence that begins with the same tokens starts with
// those pages (Match); of layers with a window, those that the window shows from
// its end are enough. Pages that only the tree holds are cached: they are given up,
// what was used longest ago first, when the free ones run out. Every page is free,
// used or cached. What is kept in one space is never found from another.
//
// Options.Type says how keys and values are rounded when they are stored; pages of
// another type are other pages, also on disk.
//
// Cache implements op.KV for attention. It knows nothing of requests or
// scheduling: who grows, who waits and who is thrown out is the engine's affair.
// Methods are for one goroutine at a time, except that Blocks may be called from
// many while nobody else changes the cache.
package kv
