package data

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/halfgrad/halfgrad/tensor"
)

// Column is a field of a [Table] with its values for all samples.
type Column struct {
	Field
	Values  tensor.Elements // [n, shape of the field]: n samples one after the other, in the field's type
	Columns []string        // the names of the single values; nil if they have none
	Names   []string        // [Classes]: the names of the classes; nil if they have none
}

// Table is a [Dataset] in memory: [ReadCSV] makes one of a file, [NewTable] of slices.
type Table struct {
	n               int
	inputs, targets []Column
	fields          [2][]Field // those of inputs and of targets
}

// NewTable returns a data set of the given columns, whose values it shares: any number of
// inputs from 1, and any number of targets. The error says which column has values of
// another type or number than the others or its field tell, a class out of range, or a
// target that is not finite. It is [ErrEmpty] without samples.
func NewTable(inputs, targets []Column) (*Table, error) {
	t := &Table{inputs: slices.Clone(inputs), targets: slices.Clone(targets), n: -1}
	for role, columns := range [2][]Column{t.inputs, t.targets} {
		for _, c := range columns {
			t.fields[role] = append(t.fields[role], c.Field)
		}
	}
	if err := checkFields(t.fields[0], t.fields[1]); err != nil {
		return nil, err
	}
	for role, columns := range [2][]Column{t.inputs, t.targets} {
		role := [2]string{"input", "target"}[role]
		for _, c := range columns {
			size, n := c.Size(), c.Values.Len()
			switch {
			case c.Values.DType() != c.DType:
				return nil, fmt.Errorf("data: the values of the %s %q are of %v: want %v", role, c.Name, c.Values.DType(), c.DType)
			case n%size != 0:
				return nil, fmt.Errorf("data: the %s %q has %d values: want a multiple of %d", role, c.Name, n, size)
			case t.n >= 0 && n/size != t.n:
				return nil, fmt.Errorf("data: the %s %q has values for %d samples: want %d as the input %q has", role, c.Name, n/size, t.n, t.inputs[0].Name)
			case c.Columns != nil && len(c.Columns) != size:
				return nil, fmt.Errorf("data: the %s %q has %d names for %d values", role, c.Name, len(c.Columns), size)
			case c.Names != nil && len(c.Names) != c.Classes:
				return nil, fmt.Errorf("data: the %s %q has %d names for %d classes", role, c.Name, len(c.Names), c.Classes)
			}
			t.n = n / size
			for i := range t.n {
				if err := c.checkValues(role, c.Values.Slice(i*size, (i+1)*size)); err != nil {
					return nil, &SampleError{i, err}
				}
			}
		}
	}
	if t.n == 0 {
		return nil, ErrEmpty
	}
	return t, nil
}

// Len implements [Dataset].
func (t *Table) Len() int { return t.n }

// Inputs implements [Dataset].
func (t *Table) Inputs() []Field { return t.fields[0] }

// Targets implements [Dataset].
func (t *Table) Targets() []Field { return t.fields[1] }

// InputColumns returns the inputs with all their values. The caller must not change them.
func (t *Table) InputColumns() []Column { return t.inputs }

// TargetColumns returns the targets, likewise.
func (t *Table) TargetColumns() []Column { return t.targets }

// Sample implements [Dataset].
func (t *Table) Sample(i int, to *Sample) error {
	for k := range t.inputs {
		t.inputs[k].copy(to.Inputs[k], i)
	}
	for k := range t.targets {
		t.targets[k].copy(to.Targets[k], i)
	}
	return nil
}

// copy sets to to sample i.
func (c *Column) copy(to tensor.Elements, i int) {
	n := to.Len()
	if c.DType == tensor.I32 {
		copy(to.I32(), c.Values.I32()[i*n:(i+1)*n])
	} else {
		copy(to.F32(), c.Values.F32()[i*n:(i+1)*n])
	}
}

// SHA256 returns a digest of the table in hexadecimal. It is the SHA-256 of the inputs and
// then the targets. Of each it has their number and, for each, the field's name, the type's
// name, the number of dimensions, the dimensions, the number of names of classes, these
// names, the number of samples and the values. Numbers are big-endian uint32, values are
// the big-endian bits of int32 or float32, and each text has its length in bytes before it.
func (t *Table) SHA256() string {
	hash := sha256.New()
	var b []byte
	number := func(n int) { b = binary.BigEndian.AppendUint32(b, uint32(n)) }
	text := func(s string) {
		number(len(s))
		b = append(b, s...)
	}
	for _, columns := range [2][]Column{t.inputs, t.targets} {
		number(len(columns))
		for _, c := range columns {
			text(c.Name)
			text(c.DType.String())
			number(len(c.Shape))
			for _, d := range c.Shape {
				number(d)
			}
			number(len(c.Names))
			for _, name := range c.Names {
				text(name)
			}
			number(t.n)
			hash.Write(b)
			b = b[:0]
			if c.DType == tensor.I32 {
				binary.Write(hash, binary.BigEndian, c.Values.I32()) // a hash never fails
			} else {
				binary.Write(hash, binary.BigEndian, c.Values.F32())
			}
		}
	}
	hash.Write(b) // the number of targets, if it is 0
	return hex.EncodeToString(hash.Sum(nil))
}
