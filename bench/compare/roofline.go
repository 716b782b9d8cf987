package compare

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/bench/report"
)

// Roofline is the bound of a machine with so many threads: arithmetic of intensity x runs
// at most at the peak, and at most at x times the bandwidth of the memory that holds its
// operands (Williams, Waterman and Patterson, "Roofline", 2009).
type Roofline struct {
	Report  int     `json:"report"`
	Threads string  `json:"threads"`          // as the rows have it
	Peak    float64 `json:"peak"`             // GFLOPS, the highest of all kernels
	Memory  []Roof  `json:"memory,omitempty"` // the fastest first
}

// Roof is the bandwidth of a level of memory.
type Roof struct {
	Level     string  `json:"level"`     // L1, L2, L3, DRAM, or the size measured if the caches are unknown
	Bandwidth float64 `json:"bandwidth"` // GB/s, the highest of all operations and kernels
}

// rooflines returns the rooflines of all machines whose peak was measured.
func (c *Comparison) rooflines() []Roofline {
	var list []Roofline
	for i, s := range c.Sources {
		for _, g := range c.Groups {
			if g.Kind != "Peak" {
				continue
			}
			for _, row := range g.Rows {
				r := Roofline{Report: i, Threads: row.Name.Get("threads")}
				for j, cell := range row.Cells {
					if cell != nil && cell.Unit == report.GFLOPS && c.Columns[j].Report == i {
						r.Peak = max(r.Peak, cell.Median)
					}
				}
				if r.Peak > 0 {
					r.Memory = c.memory(i, r.Threads, s.report.Machine.Caches)
					list = append(list, r)
				}
			}
		}
	}
	return list
}

// memory returns the best bandwidth of each level of memory.
func (c *Comparison) memory(source int, threads string, caches report.Caches) []Roof {
	var roofs []Roof
	for _, g := range c.Groups {
		if g.Kind != "Memory" || g.Threads != threads {
			continue
		}
		for _, row := range g.Rows {
			bytes, err := strconv.Atoi(row.Name.Get("bytes"))
			if err != nil {
				continue
			}
			for j, cell := range row.Cells {
				if cell == nil || cell.Unit != "GB/s" || c.Columns[j].Report != source {
					continue
				}
				n, _ := strconv.Atoi(cell.benchmark.Name.Get("threads"))
				level := cmp.Or(caches.Level(bytes, n), byteSize(uint64(max(bytes, 0))))
				k := slices.IndexFunc(roofs, func(r Roof) bool { return r.Level == level })
				if k < 0 {
					k, roofs = len(roofs), append(roofs, Roof{Level: level})
				}
				roofs[k].Bandwidth = max(roofs[k].Bandwidth, cell.Median)
			}
		}
	}
	slices.SortStableFunc(roofs, func(a, b Roof) int { return cmp.Compare(b.Bandwidth, a.Bandwidth) })
	return roofs
}

// intensity returns the arithmetic per byte that must move at least, in flop/B, where
// each pass over an array moves it once. It is 0 if unknown.
func intensity(name report.Name) float64 {
	switch name.Base() {
	case "Gemm":
		m, n, k := number(name.Get("m")), number(name.Get("n")), number(name.Get("k"))
		return finite(2 * m * n * k / (dtypeSize(name) * (m*k + k*n + m*n)))
	case "TrainStep":
		return stepIntensity(name)
	}
	return 0
}

// stepIntensity is the intensity of a training step of a fully connected network:
//
//   - the weights are read in fp16 forward and, except in the first layer, backward;
//   - their gradients are written in fp32 and read by the optimizer, which reads and
//     writes the master weights and each of its slots, and writes the fp16 copy;
//   - each layer's input is read forward and backward, its output is written, and the
//     gradients of its output are written and read, in fp16.
//
// In fp32 there is no copy, and every element has four bytes.
func stepIntensity(name report.Name) float64 {
	var widths []float64
	for w := range strings.SplitSeq(name.Get("model"), "-") {
		widths = append(widths, number(w))
	}
	slots, known := map[string]float64{"sgd": 1, "adam": 2, "adamw": 2}[name.Get("optimizer")]
	if !known {
		return 0
	}
	batch, size := number(name.Get("batch")), dtypeSize(name)
	flops, bytes := 0.0, 0.0
	for i := range len(widths) - 1 {
		in, out := widths[i], widths[i+1]
		parameters := (in + 1) * out
		passes := 3.0 // forward, and for the gradients of the weights and of the input
		if i == 0 {
			passes = 2
		}
		flops += passes * 2 * batch * in * out
		bytes += parameters * ((passes-1)*size + 4*(2+2+2*slots))
		if size < 4 {
			bytes += parameters * size // the copy
		}
		bytes += batch * size * (2*in + 3*out)
	}
	return finite(flops / bytes)
}

// number returns a count, 0 if s is none.
func number(s string) float64 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return float64(n)
}

// finite returns x if it is a finite number above 0, and 0 otherwise.
func finite(x float64) float64 {
	if !positive(x) {
		return 0
	}
	return x
}

// dtypeSize returns the bytes of an element, 0 if unknown.
func dtypeSize(name report.Name) float64 {
	return map[string]float64{"fp16": 2, "bf16": 2, "fp32": 4, "fp64": 8}[name.Get("dtype")]
}
