package data_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/tensor"
)

func readCSV(t *testing.T, content string, cfg data.CSVConfig) *data.Table {
	t.Helper()
	table, err := data.ReadCSV(strings.NewReader(content), "f.csv", cfg)
	if err != nil {
		t.Fatalf("%v in\n%s", err, content)
	}
	return table
}

// csvColumn is what a test wants of a column.
type csvColumn struct {
	Field   data.Field
	F32     []float32
	I32     []int32
	Columns []string
	Names   []string
}

func columnsOf(t *data.Table) (all []csvColumn) {
	for _, c := range slices.Concat(t.InputColumns(), t.TargetColumns()) {
		column := csvColumn{Field: c.Field, Columns: c.Columns, Names: c.Names}
		if c.DType == tensor.I32 {
			column.I32 = c.Values.I32()
		} else {
			column.F32 = c.Values.F32()
		}
		all = append(all, column)
	}
	return all
}

func TestReadCSV(t *testing.T) {
	ignoring := data.Classes("kind", 2)
	ignoring.Ignores = true
	train := readCSV(t, "x,y,kind,cost\n1,2,b,5\n3,4,a,6\n5,6,c,7\n", data.CSVConfig{Classes: []string{"kind"}, Numbers: []string{"cost"}})
	for _, tt := range []struct {
		name, content string
		cfg           data.CSVConfig
		want          []csvColumn
	}{
		{"header, class last", "a,b,kind\n1,2,x\n-3.5,4e2,y\n", data.CSVConfig{}, []csvColumn{
			{Field: data.Numbers("numbers", 2), F32: []float32{1, 2, -3.5, 400}, Columns: []string{"a", "b"}},
			{Field: data.Classes("kind", 2), I32: []int32{0, 1}, Names: []string{"x", "y"}},
		}},
		{"no header", "5.1,3.5,setosa\n4.9,3,virginica\n", data.CSVConfig{}, []csvColumn{
			{Field: data.Numbers("numbers", 2), F32: []float32{5.1, 3.5, 4.9, 3}, Columns: []string{"1", "2"}},
			{Field: data.Classes("3", 2), I32: []int32{0, 1}, Names: []string{"setosa", "virginica"}},
		}},
		{"numbers only, as they are", "7,1\n0,2\n7,10\n", data.CSVConfig{Classes: []string{"1"}}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{1, 2, 10}, Columns: []string{"2"}},
			{Field: data.Classes("1", 2), I32: []int32{1, 0, 1}, Names: []string{"0", "7"}},
		}},
		{"integers sort by value", "0,10\n0,9\n0,-1\n0,09\n", data.CSVConfig{}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{0, 0, 0, 0}, Columns: []string{"1"}},
			{Field: data.Classes("2", 4), I32: []int32{3, 2, 0, 1}, Names: []string{"-1", "09", "9", "10"}},
		}},
		{"regression", "id,x,y,z\n1,2,3,4\n5,6,7,8\n", data.CSVConfig{Numbers: []string{"z", "x"}, Drop: []string{"id"}}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{3, 7}, Columns: []string{"y"}},
			{Field: data.Numbers("numbers", 2), F32: []float32{4, 2, 8, 6}, Columns: []string{"z", "x"}},
		}},
		{"several targets", "x,kind,cost,colour\n2,b,1.5,red\n3,a,2.5,red\n", data.CSVConfig{Numbers: []string{"cost"}, Classes: []string{"colour", "kind"}}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{2, 3}, Columns: []string{"x"}},
			{Field: data.Classes("colour", 1), I32: []int32{0, 0}, Names: []string{"red"}},
			{Field: data.Classes("kind", 2), I32: []int32{1, 0}, Names: []string{"a", "b"}},
			{Field: data.Numbers("cost", 1), F32: []float32{1.5, 2.5}, Columns: []string{"cost"}},
		}},
		{"an odd file", "\ufeff\"a \"\"quoted\"\" name\"; kind\r\n\r\n 1 ; x y \r\n2;\"x y\"", data.CSVConfig{Comma: ';'}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{1, 2}, Columns: []string{`a "quoted" name`}},
			{Field: data.Classes("kind", 1), I32: []int32{0, 0}, Names: []string{"x y"}},
		}},
		{"names that are numbers", "label,0,1\n3,4,5\n", data.CSVConfig{Header: data.HeaderYes, Classes: []string{"label"}}, []csvColumn{
			{Field: data.Numbers("numbers", 2), F32: []float32{4, 5}, Columns: []string{"0", "1"}},
			{Field: data.Classes("label", 1), I32: []int32{0}, Names: []string{"3"}},
		}},
		{"a nameless column", ",x,kind\n1,2,a\n", data.CSVConfig{Drop: []string{"1"}}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{2}, Columns: []string{"x"}},
			{Field: data.Classes("kind", 1), I32: []int32{0}, Names: []string{"a"}},
		}},
		{"an ignored class", "x,kind\n1,b\n2,\n3,a\n", data.CSVConfig{Ignores: true}, []csvColumn{
			{Field: data.Numbers("numbers", 1), F32: []float32{1, 2, 3}, Columns: []string{"x"}},
			{Field: ignoring, I32: []int32{1, -1, 0}, Names: []string{"a", "b"}},
		}},
		{"like another", "cost,more,kind,y,x\n9,?,c,8,7\n", data.CSVConfig{Like: train}, []csvColumn{
			{Field: data.Numbers("numbers", 2), F32: []float32{7, 8}, Columns: []string{"x", "y"}},
			{Field: data.Classes("kind", 3), I32: []int32{2}, Names: []string{"a", "b", "c"}},
			{Field: data.Numbers("cost", 1), F32: []float32{9}, Columns: []string{"cost"}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, columnsOf(readCSV(t, tt.content, tt.cfg))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestReadCSVErrors(t *testing.T) {
	train := readCSV(t, "x,kind\n1,a\n2,b\n", data.CSVConfig{})
	for _, tt := range []struct {
		content string
		cfg     data.CSVConfig
		want    string
	}{
		{"", data.CSVConfig{}, "data: f.csv: found an empty file, expected comma-separated values"},
		{"a,b\n", data.CSVConfig{}, "data: f.csv: found only the names of columns, expected at least one line of values"},
		{"a,b\n1,x\nfour,y\n", data.CSVConfig{}, `data: f.csv: line 3, column "a": found "four", expected a number`},
		{"a,b\n1,x\n\n,y\n", data.CSVConfig{}, `data: f.csv: line 4, column "a": found nothing, expected a number`},
		{"a,b\nNaN,x\n", data.CSVConfig{}, `data: f.csv: line 2, column "a": found "NaN", expected a finite number`},
		{"a,b\n-inf,x\n", data.CSVConfig{}, `data: f.csv: line 2, column "a": found "-inf", expected a finite number`},
		{"a,b\n4e38,x\n", data.CSVConfig{}, `data: f.csv: line 2, column "a": found "4e38", expected a number of magnitude up to 3.4e+38`},
		{"a,b\n1,\n", data.CSVConfig{}, `data: f.csv: line 2, column "b": found nothing, expected a class`},
		{"a,b\n1,2.5\n", data.CSVConfig{}, `data: f.csv: line 2, column "b": found "2.5", expected a class, because no target is named (CSVConfig.Classes or Numbers)`},
		{"a,b\n1,2,3\n", data.CSVConfig{}, "data: f.csv: line 2: found 3 columns, expected 2 as in the first line"},
		{"a,b\n1,x\n1\n", data.CSVConfig{}, "data: f.csv: line 3: found 1 column, expected 2 as in the first line"},
		{"a,b\n1,\"x\n", data.CSVConfig{}, "data: f.csv: line 2: found extraneous or missing \" in quoted-field at byte 6, expected comma-separated values"},
		{"a,b\n1,x\"y\n", data.CSVConfig{}, "data: f.csv: line 2: found bare \" in non-quoted-field at byte 4, expected comma-separated values"},
		{"a,a\n1,x\n", data.CSVConfig{}, `data: f.csv: line 1: found the name "a" of both column 1 and column 2, expected different names`},
		{"2,,c\n1,x,y\n", data.CSVConfig{Header: data.HeaderYes}, `data: f.csv: line 1: found the name "2" of both column 1 and column 2, expected different names`},
		{"label,0,1\n3,4,5\n", data.CSVConfig{}, `data: f.csv: line 1, column "1": found "label" above a number, beside numbers, expected either names of columns or values: tell which it is (CSVConfig.Header)`},
		{"a,b\n1,x\n", data.CSVConfig{Classes: []string{"c"}}, `data: f.csv: found no column "c", expected one of "a", "b"`},
		{"a,b\n1,x\n", data.CSVConfig{Classes: []string{"3"}}, `data: f.csv: found no column "3", expected one of "a", "b"`},
		{"a,b\n1,2\n", data.CSVConfig{Classes: []string{"a"}, Drop: []string{"1"}}, `data: f.csv: the column "a" is named twice`},
		{"a,b\n1,2\n", data.CSVConfig{Numbers: []string{"a", "b"}}, `data: f.csv: found no column that is an input among "a", "b", expected at least one beside the targets`},
		{"1\n2\n", data.CSVConfig{}, `data: f.csv: found no column that is an input among "1", expected at least one beside the targets`},
		{"a,b\n1,\n", data.CSVConfig{Ignores: true}, `data: f.csv: column "b": found no class, expected at least one`},
		{"x,kind\n1,c\n", data.CSVConfig{Like: train}, `data: f.csv: line 2, column "kind": found "c", expected one of the classes of the training part: "a", "b"`},
		{"y,kind\n1,a\n", data.CSVConfig{Like: train}, `data: f.csv: found no column "x", expected one of "y", "kind"`},
		{"x,kind\n1,a\n", data.CSVConfig{Like: train, Drop: []string{"x"}}, "data: f.csv: columns are named although they are to be like those of another table"},
		{"a,b\n1,x\n", data.CSVConfig{Comma: '"'}, `data: f.csv: '"' cannot be between columns`},
	} {
		_, err := data.ReadCSV(strings.NewReader(tt.content), "f.csv", tt.cfg)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%q: error\n%v, want\n%s", tt.content, err, tt.want)
		}
	}
	var format *data.FormatError
	if _, err := data.ReadCSV(strings.NewReader("a,b\nx,y\n"), "f.csv", data.CSVConfig{}); !errors.As(err, &format) || format.Place != `line 2, column "a"` || format.File != "f.csv" {
		t.Errorf("error %#v", err)
	}

	// A quote that never ends, in a file that never ends.
	_, err := data.ReadCSV(io.MultiReader(strings.NewReader("a,b\n1,\""), forever('x')), "f.csv", data.CSVConfig{MaxBytes: 1 << 16})
	if want := "data: f.csv: found more than 65536 bytes, expected no more (CSVConfig.MaxBytes)"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := data.ReadCSV(strings.NewReader("1,x\n"), "f.csv", data.CSVConfig{MaxBytes: 4}); err != nil {
		t.Errorf("a file as long as the limit: error %v", err)
	}

	var many strings.Builder
	many.WriteString("x,kind\n")
	for i := range data.MaxClasses + 1 {
		fmt.Fprintf(&many, "1,%d\n", i)
	}
	if _, err := data.ReadCSV(strings.NewReader(many.String()), "f.csv", data.CSVConfig{}); err == nil || !strings.Contains(err.Error(), `line 65538, column "kind": found class 65537, "65536", expected at most 65536 classes`) {
		t.Errorf("too many classes: error %v", err)
	}
}

// forever reads as one byte again and again.
type forever byte

func (f forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(f)
	}
	return len(p), nil
}

func TestReadCSVFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.csv")
	if err := os.WriteFile(path, []byte("x,kind\n1,a\n2,b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	table, err := data.ReadCSVFile(path, data.CSVConfig{})
	if err != nil || table.Len() != 2 {
		t.Errorf("%v samples, error %v", table, err)
	}
	if _, err := data.ReadCSVFile(path+"x", data.CSVConfig{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: error %v", err)
	}
	var format *data.FormatError
	if _, err := data.ReadCSVFile(filepath.Dir(path), data.CSVConfig{}); !errors.As(err, &format) || format.Found != "a folder" {
		t.Errorf("a folder: error %v", err)
	}
}

// Whatever is read can be dealt out, and is the same when read again.
func FuzzReadCSV(f *testing.F) {
	f.Add("a,b,kind\n1,2,x\n-3.5,4e2,y\n", byte(0), ',')
	f.Add("\ufeff1;\"2\n3\";\n", byte(4), ';')
	f.Add("label,0\n3,4\n", byte(1), ',')
	f.Fuzz(func(t *testing.T, content string, options byte, comma rune) {
		cfg := data.CSVConfig{Header: data.Header(options % 3), Ignores: options&4 != 0, Comma: comma}
		if options&8 != 0 {
			cfg.Numbers = []string{"1"}
		}
		table, err := data.ReadCSV(strings.NewReader(content), "f.csv", cfg)
		if err != nil {
			if strings.Count(err.Error(), "\n") > 0 {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		l, err := data.NewLoader(table, data.LoaderConfig{BatchSize: 3, DType: tensor.F32})
		if err != nil {
			t.Fatal(err)
		}
		for _, ok := l.Next(); ok; _, ok = l.Next() {
		}
		if l.Err() != nil {
			t.Error(l.Err())
		}
		mean, std, err := data.MeanStd(table)
		if err != nil {
			t.Fatal(err)
		}
		for j := range mean {
			if x := float64(mean[j]) + float64(std[j]); math.IsNaN(x) || std[j] < 0 {
				t.Errorf("mean %v and std %v", mean[j], std[j])
			}
		}
		again, err := data.ReadCSV(strings.NewReader(content), "f.csv", cfg)
		if err != nil || again.SHA256() != table.SHA256() {
			t.Errorf("read again, it differs: %v", err)
		}
	})
}

// What python3 makes of it, where text(s) is struct.pack(">I", len(s)) + s:
//
//	h = struct.pack(">I", 1) + text(b"numbers") + text(b"fp32") + struct.pack(">4I", 1, 2, 0, 2) + struct.pack(">4f", 1, 2, -3.5, 400)
//	h += struct.pack(">I", 1) + text(b"kind") + text(b"int32") + struct.pack(">2I", 0, 2) + text(b"x") + text(b"y") + struct.pack(">I2i", 2, 1, 0)
//	hashlib.sha256(h).hexdigest()
func TestTableSHA256(t *testing.T) {
	const content = "a,b,kind\n1,2,y\n-3.5,4e2,x\n"
	const want = "6d933c90b55f511b94904cbb372057c3127fb0d529d960bdcb1c1703c4d40f2a"
	if got := readCSV(t, content, data.CSVConfig{}).SHA256(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, other := range []string{"a,b,kind\n1,2,y\n-3.5,401,x\n", "a,b,kind\n1,2,y\n-3.5,4e2,y\n", "a,b,sort\n1,2,y\n-3.5,4e2,x\n", "a,b,kind\n1,2,z\n-3.5,4e2,x\n"} {
		if got := readCSV(t, other, data.CSVConfig{}).SHA256(); got == want {
			t.Errorf("%q has the same digest", other)
		}
	}
}

func TestNewTable(t *testing.T) {
	x := data.Column{Field: data.Numbers("x", 2), Values: tensor.Of([]float32{1, 2, 3, 4, 5, 6})}
	y := data.Column{Field: data.Classes("y", 3), Values: tensor.Of([]int32{2, 0, 1})}
	table, err := data.NewTable([]data.Column{x}, []data.Column{y})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader(t, table, data.LoaderConfig{BatchSize: 2, DType: tensor.F32})
	l.Next()
	if b, ok := l.Next(); !ok || !slices.Equal(b.Inputs[0].F32(), []float32{5, 6}) || !slices.Equal(b.Targets[0].I32(), []int32{1}) || b.First != 2 {
		t.Errorf("the second batch is %+v", b)
	}
	with := func(c data.Column, change func(*data.Column)) []data.Column {
		change(&c)
		return []data.Column{c}
	}
	same := func(*data.Column) {}
	for _, tt := range []struct {
		inputs, targets []data.Column
		want            string
	}{
		{nil, nil, "data: the data set has no inputs: want at least 1"},
		{with(x, func(c *data.Column) { c.Values = y.Values }), nil, `data: the values of the input "x" are of int32: want fp32`},
		{with(x, func(c *data.Column) { c.Shape = []int{4} }), nil, `data: the input "x" has 6 values: want a multiple of 4`},
		{with(x, func(c *data.Column) { c.Shape = nil }), with(y, same), `data: the target "y" has values for 3 samples: want 6 as the input "x" has`},
		{with(x, func(c *data.Column) { c.Columns = []string{"one"} }), nil, `data: the input "x" has 1 names for 2 values`},
		{with(x, same), with(y, func(c *data.Column) { c.Names = []string{"one"} }), `data: the target "y" has 1 names for 3 classes`},
		{with(x, same), with(y, func(c *data.Column) { c.Classes = 2 }), `data: sample 0: the target "y" is 2: want one from 0 to 1`},
		{with(x, func(c *data.Column) { c.Values = tensor.Of([]float32{}) }), nil, "data: the data set is empty: want at least 1 sample"},
	} {
		if _, err := data.NewTable(tt.inputs, tt.targets); err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

func TestMeanStdOfADataSet(t *testing.T) {
	table := readCSV(t, "a,b,c,kind\n1,16777216,0.1,x\n2,16777217,0.1,x\n6,16777218,0.1,x\n7,16777219,0.1,y\n", data.CSVConfig{})
	mean, std, err := data.MeanStd(table)
	if err != nil {
		t.Fatal(err)
	}
	// statistics.pstdev of python3; b is stored as 16777216, 16777216, 16777218, 16777220.
	wantMean, wantStd := []float32{4, 16777217.5, 0.1}, []float32{2.5495098, 1.6583124, 0}
	for j := range mean {
		if mean[j] != wantMean[j] || math.Abs(float64(std[j]-wantStd[j])) > 1e-6 {
			t.Errorf("value %d: mean %v and std %v, want %v and %v", j, mean[j], std[j], wantMean[j], wantStd[j])
		}
	}
	ds := data.Standardize(table, mean, std)
	to := data.NewSample(ds)
	for i := range ds.Len() {
		if err := ds.Sample(i, to); err != nil {
			t.Fatal(err)
		}
		raw := table.InputColumns()[0].Values.F32()[3*i:]
		x := to.Inputs[0].F32()
		for j := range 2 {
			if want := float32((float64(raw[j]) - float64(mean[j])) / float64(std[j])); x[j] != want {
				t.Errorf("sample %d: value %d is %v, want %v", i, j, x[j], want)
			}
		}
		if x[2] != 0 { // the same everywhere, less its mean, by 1
			t.Errorf("sample %d: a constant becomes %v, want 0", i, x[2])
		}
	}

	if _, _, err := data.MeanStd(faulty{counter(4), map[int]bool{2: true}, func() error { return os.ErrClosed }}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	nan := form{2, []data.Field{data.Numbers("x", 2)}, nil, func(to *data.Sample) { to.Inputs[0].F32()[1] = float32(math.NaN()) }}
	if _, _, err := data.MeanStd(nan); err == nil || err.Error() != `data: sample 0: the input "x" is NaN at 1: want a finite number` {
		t.Errorf("error %v", err)
	}
	if _, _, err := data.MeanStd(form{2, []data.Field{data.Classes("x", 2)}, nil, nil}); err == nil {
		t.Error("the mean of classes")
	}
	if _, _, err := data.MeanStd(form{0, []data.Field{data.Numbers("x", 2)}, nil, nil}); !errors.Is(err, data.ErrEmpty) {
		t.Errorf("error %v", err)
	}
	mustPanic(t, "few means", func() { data.Standardize(table, mean[:2], std) })
	mustPanic(t, "std < 0", func() { data.Standardize(table, mean, []float32{1, -1, 1}) })
}
