package kernels

import "github.com/halfgrad/halfgrad/tensor"

// pack copies the k×n matrix m into panels, widening it to fp32.
//
// A panel is width columns of m, row after row: element (p, j) goes to
// dst[(j/width)·k·width + p·width + j%width]. The last panel is filled up with
// zeros. dst holds at least k·n elements, n rounded up to whole panels.
//
// Packing A is the same with A transposed: its panels are MR rows, column
// after column. run is scratch of at least k elements.
func pack(dst []float32, m tensor.Matrix, width int, run []float32) {
	k := m.Rows
	for j := 0; j < m.Cols; j += width {
		panel := dst[:k*width]
		dst = dst[k*width:]
		cols := min(width, m.Cols-j)
		if cols < width {
			clear(panel)
		}
		if m.Trans {
			packColumns(panel, m.Block(0, j, k, cols), width, run)
		} else {
			packRows(panel, m.Block(0, j, k, cols), width)
		}
	}
}

// packRows packs one panel where its rows are contiguous in memory.
func packRows(panel []float32, m tensor.Matrix, width int) {
	for p := range m.Rows {
		m.LoadRow(panel[p*width:], p)
	}
}

// packColumns packs one panel where its columns are contiguous in memory.
func packColumns(panel []float32, m tensor.Matrix, width int, run []float32) {
	columns := m.T()
	run = run[:m.Rows]
	for j := range m.Cols {
		columns.LoadRow(run, j)
		to := panel[j:]
		for p, x := range run {
			to[p*width] = x
		}
	}
}
