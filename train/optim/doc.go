// Package optim turns gradients into smaller losses: AdamW over a model's
// weights, or Muon over the matrices of its blocks and AdamW over the rest,
// clipping by the global gradient norm, and learning-rate schedules.
//
// Work is cut into chunks of fixed size, each chunk's sum of squares is kept
// apart and the partial sums are added in chunk order, so neither the norm nor
// the update depends on the number of threads. The package knows nothing of
// batches, losses, files or time.
//
//	gradients -> Norm -> clip factor -> Step (moments, weights; clears gradients)
package optim
