package tune

import "errors"

// ErrLineage says that a model's tokenizer or template is not the one it was
// trained with.
var ErrLineage = errors.New("the model folder does not fit together")

var (
	errNoBase = errors.New("tune: no base model is given: name a model folder")
	errNoData = errors.New("tune: no conversations are given: name a .jsonl file of them")
)
