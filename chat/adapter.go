package chat

import "time"

// Adapter is a change of a model (LoRA) that requests ask for by name
// (Request.Adapter).
type Adapter struct {
	Name    string
	Path    string    // where it was read from
	Created time.Time // when it was loaded
}
