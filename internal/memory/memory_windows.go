package memory

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var globalMemoryStatusEx = windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")

// status is MEMORYSTATUSEX.
type status struct {
	length, load                          uint32
	totalPhysical, availablePhysical      uint64
	totalPageFile, availablePageFile      uint64
	totalVirtual, availableVirtual, extra uint64
}

func measure() status {
	s := status{length: uint32(unsafe.Sizeof(status{}))}
	if ok, _, _ := globalMemoryStatusEx.Call(uintptr(unsafe.Pointer(&s))); ok == 0 {
		return status{}
	}
	return s
}

func total() uint64     { return measure().totalPhysical }
func available() uint64 { return measure().availablePhysical }
