package compare

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/bench/report"
)

// Roofline is what bounds a machine with so many threads: no arithmetic of intensity x
// is faster than the least of the peak and x times the bandwidth of the memory that
// its operands come from (Williams, Waterman and Patterson, "Roofline", 2009).
type Roofline struct {
	Report  int     `json:"report"`
	Threads string  `json:"threads"`          // as the rows have it
	Peak    float64 `json:"peak"`             // GFLOPS, the most that any kernel has
	Memory  []Roof  `json:"memory,omitempty"` // the fastest first
}

// Roof is the bandwidth of a level of memory.
type Roof struct {
	Level     string  `json:"level"`     // L1, L2, L3, DRAM, or the size measured where no caches are known
	Bandwidth float64 `json:"bandwidth"` // GB/s, the most that any operation and kernel has
}

// rooflines returns those of all machines of which a peak was measured.
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

// intensity returns the arithmetic done per byte that must move at the least, each
// array once for each pass over it, in flop/B. It is 0 where that is not known.
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

// stepIntensity is that of a training step of a fully connected network with P weights
// and biases, whose layers take in widths w₀, w₁, …, and put out w₁, w₂, …:
//
//   - the weights are read in fp16 forward and, but for the first layer's, backward;
//   - their gradients, in fp32, are written, and read by the optimizer, which reads and
//     writes the master weights and each of its slots, and writes the fp16 copy;
//   - of each image's activations, each layer's input is read forward and backward, and
//     its output written; the gradients of the outputs are written and read, in fp16.
//
// In fp32 there is no copy, and all is of four bytes.
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

// finite returns x, or 0 if it is no number above 0.
func finite(x float64) float64 {
	if !positive(x) {
		return 0
	}
	return x
}

// dtypeSize returns an element's bytes, 0 where they are not known.
func dtypeSize(name report.Name) float64 {
	return map[string]float64{"fp16": 2, "bf16": 2, "fp32": 4, "fp64": 8}[name.Get("dtype")]
}
