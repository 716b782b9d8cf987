package files

import "errors"

// ErrLocked reports a file that is locked through another opening of it, as a rule by
// another process.
var ErrLocked = errors.New("locked by another process")
