package quant

import "errors"

var (
	// ErrRange says that a value cannot be kept in blocks of a format: it is no
	// finite number, or larger than the block's scale can be.
	ErrRange = errors.New("value outside the range of the format")
	// ErrFormat says that a name or an id is no format of this package.
	ErrFormat = errors.New("unknown block format")
	// ErrShape says that a row is no whole number of blocks.
	ErrShape = errors.New("row is no whole number of blocks")
)
