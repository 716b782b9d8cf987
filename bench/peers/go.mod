// The comparison with other libraries is a module of its own: nobody who builds
// halfgrad needs what it needs.
module github.com/halfgrad/halfgrad/bench/peers

go 1.26.0

replace github.com/halfgrad/halfgrad => ../..

require (
	github.com/alecthomas/kong v1.17.0
	github.com/halfgrad/halfgrad v0.0.0-00010101000000-000000000000
	github.com/klauspost/cpuid/v2 v2.4.2
	golang.org/x/sys v0.49.0
	gonum.org/v1/gonum v0.17.0
)

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/google/renameio/v2 v2.0.2 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da // indirect
)
