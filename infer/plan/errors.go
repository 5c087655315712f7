package plan

import "errors"

// ErrConfig is wrapped by every complaint about a config.json.
var ErrConfig = errors.New("config that cannot be planned for")
