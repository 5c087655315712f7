package sample

import "errors"

// ErrNotFinite says that the model produced NaN or infinity, or that no token
// was left to choose from.
var ErrNotFinite = errors.New("sample: the logits are not finite numbers (hint: the weights are damaged or training diverged)")
