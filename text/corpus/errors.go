package corpus

import "errors"

// Sentinels; the errors of this package wrap them where they apply.
var (
	ErrEmpty     = errors.New("the corpus is empty")
	ErrTooSmall  = errors.New("the corpus is smaller than one sequence")
	ErrTokenizer = errors.New("the shards were made with another tokenizer")
	ErrCorrupt   = errors.New("the shard is damaged")
	ErrCursor    = errors.New("the cursor belongs to another run")
	ErrTooLong   = errors.New("an example is longer than the sequence")
)
