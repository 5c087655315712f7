package ptq

import "errors"

var (
	// ErrMethod says that nobody here knows a method.
	ErrMethod = errors.New("unknown method of quantisation")
	// ErrText says that a method needs text, or more of it, to calibrate on.
	ErrText = errors.New("no calibration text")
	// ErrFold says that scales cannot be folded into a model without changing it.
	ErrFold = errors.New("scales do not fold into this model")
	// ErrImportance says that a file of importance is none, or is another model's.
	ErrImportance = errors.New("not the importance of this model's columns")
)
