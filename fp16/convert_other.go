//go:build !(amd64 || arm64) || purego

package fp16

func widen(dst []float32, src []Float16)  { widenGo(dst, src) }
func narrow(dst []Float16, src []float32) { narrowGo(dst, src) }
