// Package registry keeps named models in one process: which of them are in
// memory, and for how long.
//
//	request -> in memory? -> runs                              last one done -> idle timer -> unloaded
//	              | no
//	           the line (bounded, in order of arrival) -> room? -> load -> runs
//	                                                        | no
//	                                     idle models leave, the longest unused first;
//	                                     then busy ones take no new requests until they are idle
//
// A model with running requests is never unloaded. Loads and unloads are made
// one at a time. Who waits for room makes others wait: a busy model that has to
// leave sends its next requests to the end of the line, so that no model keeps
// another out for ever.
//
// The package knows models only as chat.Model and sizes only as numbers: what a
// load reads and what it takes is said by whoever makes the entries.
package registry
