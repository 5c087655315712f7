// Package ptq quantises trained models: it puts the matrices of a model to rest in
// block formats (compute/quant) so that as little as possible is lost, and
// measures what was lost.
//
//	text --> model, its matrices watched --> Moments of what goes into each
//	                                           |
//	  Scale: AWQ or SmoothQuant, folded into the norm or matrix before
//	  Round: to nearest, by importance, or GPTQ --> blocks --> the model, at rest
//	                                                             |
//	  parent --------------- Compare --------------------------> Report
//
// Matrices are found through the model's Walk and watched by swapping leaves; no
// family knows of it. Which matrices share an input is found by one probing pass.
// The package knows nothing of tokenizers, templates or of how a model is saved.
package ptq
