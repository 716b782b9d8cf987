package files

import "errors"

// ErrLocked reports that a file is locked through another handle, usually by another
// process.
var ErrLocked = errors.New("locked by another process")
