//go:build !amd64 || purego

package amd64

import "github.com/halfgrad/halfgrad/kernels/micro"

// Kernels is empty in this build.
var Kernels []micro.Kernel

// PeakLoops is empty in this build.
var PeakLoops []micro.PeakLoop

// Elementwise is empty in this build.
var Elementwise []micro.Elementwise

// Vectors is empty in this build.
var Vectors []micro.Vector
