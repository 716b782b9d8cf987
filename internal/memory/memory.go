// Package memory tells how much memory this process may use, in bytes. On Linux the
// limits of control groups count, as containers and batch systems set them.
package memory

// Total returns the memory of the machine, or the limit on this process where that is
// less. It is 0 where it is not known.
func Total() uint64 { return total() }

// Available returns how much memory can be allocated now without swapping, about: what
// is free, and what the system would give back. It is 0 where it is not known.
func Available() uint64 { return available() }
