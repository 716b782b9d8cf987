//go:build !purego

package amd64

import "github.com/halfgrad/halfgrad/kernels/micro"

var Elementwise []micro.Elementwise
