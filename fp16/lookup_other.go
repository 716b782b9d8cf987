//go:build !amd64 || purego

package fp16

func lookup(dst []Float16, table *[256]Float16, src []byte) { lookupGo(dst, table, src) }
