// Package engine serves one model to many requests at once: token ids in, a
// stream of token ids out. It knows no text, tokenizer, template or wire
// format; it is the two-phase engine of Orca (Yu 2022) and vLLM (Kwon 2023) on
// one goroutine.
//
// The life of a request:
//
//  1. Generate checks it: params, ids, and that prompt and answer fit the
//     context and the pool of pages (*ContextError). Nothing is cut off.
//  2. It waits in a bounded queue (ErrBusy when full): the tenant that has had
//     least comes first, among its requests the oldest.
//  3. Admitted when a batch slot is free and the pages of its whole prompt fit
//     above the watermark. It starts behind the longest prefix that the cache
//     knows or a running request has, whose pages it shares until either writes
//     into one; one that begins like a prompt under way waits for its pages.
//  4. Prefill: its prompt is fed in chunks. Each iteration is one pass over one
//     flat batch, decodes first, then prompt chunks within Options.Chunk rows,
//     fewer where these would keep the decodes waiting; see pace.go.
//  5. The last prompt row's logits give the first token; sampling uses the
//     request's own generator.
//  6. Decode: one row per iteration, its page table growing by a page at a time.
//     With Options.Ngram or Draft, tokens are guessed and checked as further
//     rows of the pass (speculation), which changes no token; see draft.go. With
//     Request.Beam, several texts go on together, forked from each other. Layers
//     with a window give back the pages behind it.
//  7. Out of pages, cached ones are given up first. Then the youngest request is
//     preempted: its pages are freed, its tokens and generator kept; it goes back
//     to the head of the queue and is computed again. The oldest never waits for
//     a page, so all get done.
//  8. The token that meets a stop id or the limit carries Finish and Usage. The
//     end, a cancelled context or a broken-off range frees the pages before the
//     next iteration.
//
// The same request gives the same tokens and log-probabilities, bit for bit,
// whatever the batch, Chunk, PageLen, prefix hits, guesses or preemptions: rows
// never mix.
//
// Requests may go through adapters (AddAdapter), each through its own, in passes
// that they share: matrices are applied to all rows at once, and the rows of an
// adapter then get what it adds. Prefixes are shared within an adapter alone. One
// that is removed goes when its last request has ended, its prefixes with it.
//
// A request's deadline is its context's: past it, waiting or running, it ends
// with context.DeadlineExceeded before the next iteration.
//
// A slow reader never slows the batch: tokens wait in its own stream, at most
// as many as it asked for. Close lets everything admitted or queued finish.
package engine
