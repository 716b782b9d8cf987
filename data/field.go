package data

import (
	"fmt"

	"github.com/halfgrad/halfgrad/tensor"
)

// Ignored is the target that losses and metrics leave out, where [Field.Ignores] allows
// it: a token that is padding, or a sample whose class is not known.
const Ignored = -1

// Field describes an input or a target of a sample. [Numbers] and [Classes] make the
// common ones.
type Field struct {
	Name  string // such as "image": no other input, or no other target, has the same
	Shape []int  // of one sample, outermost first, such as 28, 28, 1; none for a single value

	// DType is tensor.F32 for numbers or tensor.I32 for classes and tokens. A [Loader]
	// rounds inputs of numbers to its own type.
	DType tensor.DType

	Classes int  // values of an I32 field are in [0, Classes); 0 allows all
	Ignores bool // values of an I32 target may also be Ignored
}

// Numbers returns a field of numbers.
func Numbers(name string, shape ...int) Field {
	return Field{Name: name, Shape: shape, DType: tensor.F32}
}

// Classes returns a field of classes in [0, classes), without a shape a single one. It is
// also how tokens of a vocabulary are described.
func Classes(name string, classes int, shape ...int) Field {
	return Field{Name: name, Shape: shape, DType: tensor.I32, Classes: classes}
}

// Size returns the number of values that a sample has in this field, the product of the
// shape.
func (f Field) Size() int {
	n := 1
	for _, d := range f.Shape {
		n *= d
	}
	return n
}

// check returns what is wrong with f, if anything is. role is "input" or "target".
func (f Field) check(role string) error {
	switch {
	case f.Name == "":
		return fmt.Errorf("data: an %s has no name", role)
	case f.DType != tensor.F32 && f.DType != tensor.I32:
		return fmt.Errorf("data: the %s %q is of %v: want fp32 or int32", role, f.Name, f.DType)
	case f.Classes < 0 || f.DType == tensor.F32 && f.Classes > 0:
		return fmt.Errorf("data: the %s %q is of %v and has %d classes: want an int32 for classes, and not less than 0 of them", role, f.Name, f.DType, f.Classes)
	case f.Ignores && (f.DType == tensor.F32 || role == "input"):
		return fmt.Errorf("data: the %s %q of %v cannot be ignored: only targets of int32 can", role, f.Name, f.DType)
	}
	for _, d := range f.Shape {
		if d < 1 {
			return fmt.Errorf("data: the %s %q has the shape %v: want dimensions of at least 1", role, f.Name, f.Shape)
		}
	}
	return nil
}

// checkFields returns what is wrong with the fields of a data set, if anything is.
func checkFields(inputs, targets []Field) error {
	if len(inputs) == 0 {
		return fmt.Errorf("data: the data set has no inputs: want at least 1")
	}
	for i, fields := range [][]Field{inputs, targets} {
		role, names := [...]string{"input", "target"}[i], map[string]bool{}
		for _, f := range fields {
			if err := f.check(role); err != nil {
				return err
			}
			if names[f.Name] {
				return fmt.Errorf("data: two %ss are called %q", role, f.Name)
			}
			names[f.Name] = true
		}
	}
	return nil
}

// checkValues returns an error if a value of a sample is out of the range of its field.
// Inputs of numbers may be anything: see [Batch.Finite].
func (f Field) checkValues(role string, values tensor.Elements) error {
	switch {
	case f.DType == tensor.I32 && f.Classes > 0:
		for i, v := range values.I32() {
			if uint(v) >= uint(f.Classes) && !(f.Ignores && v == Ignored) {
				return f.wrong(role, i, v)
			}
		}
	case f.DType == tensor.F32 && role == "target":
		for i, v := range values.F32() {
			if v-v != 0 {
				return f.wrong(role, i, v)
			}
		}
	}
	return nil
}

// wrong returns the error for value i of a sample.
func (f Field) wrong(role string, i int, v any) error {
	place := ""
	if len(f.Shape) > 0 {
		place = fmt.Sprintf(" at %d", i)
	}
	want := "a finite number"
	switch {
	case f.Ignores:
		want = fmt.Sprintf("one from 0 to %d, or %d to be ignored", f.Classes-1, Ignored)
	case f.DType == tensor.I32:
		want = fmt.Sprintf("one from 0 to %d", f.Classes-1)
	}
	return fmt.Errorf("the %s %q is %v%s: want %s", role, f.Name, v, place, want)
}
