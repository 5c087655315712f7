// Package kv is the paged key/value cache (Kwon 2023, vLLM): one pool of
// equal pages, and per sequence a table of the pages that hold its positions.
//
//	sequence 7, 40 positions, PageLen 16     pages   0 1 2 3 4 5 6 ...
//	table [4 1 5] -> positions 0-15 in 4,    refs    1 2 0 0 1 1 0
//	                 16-31 in 1, 32-39 in 5               free: 2 3 6
//
// A page holds PageLen positions of every layer, so one table serves all
// layers. A page may belong to several sequences (Fork); whoever grows into a
// shared page first gets a copy of it. The last page of a sequence is the only
// waste: at most PageLen-1 positions.
//
// Cache implements op.KV for attention. It knows nothing of tokens, requests
// or scheduling: who grows, who waits and who is thrown out is the engine's
// affair. Methods are for one goroutine at a time, except that Blocks may be
// called from many while nobody else changes the cache.
package kv
