package data

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/halfgrad/halfgrad/tensor"
)

// Header says whether the first line of a CSV file names the columns.
type Header int

// HeaderAuto takes the first line for names if nothing in it is a number, and for values
// if it has numbers wherever the second line has some. Anything else is an error.
const (
	HeaderAuto Header = iota
	HeaderYes
	HeaderNo
)

// CSVConfig says what the columns of a CSV file are. A column is called by its name in the
// header or, if no column has that name, by its number from 1.
//
// If it names no targets, the last column is a target of classes, and numbers that are not
// integers are refused as such. All columns that it does not name are inputs.
type CSVConfig struct {
	Classes []string // targets that are classes, as texts or integers; each is a target of its own
	Numbers []string // targets that are numbers; together they are one target of the shape [columns], called "numbers" or, of one column, as that
	Drop    []string // columns that are not read, such as a running number

	// Like, unless nil, is the table of the training part, for the reading of another one:
	// its columns are looked up by their names, and its classes keep their numbers.
	// Classes, Numbers and Drop are to be empty then. Other columns are not read.
	Like *Table

	Header  Header
	Comma   rune // between columns; 0 means ','
	Ignores bool // an empty class is Ignored, and not an error

	MaxBytes int64 // the most that is read; 0 means 1 GiB
}

// ReadCSVFile reads the CSV file at path as [ReadCSV] does. It opens regular files only.
func ReadCSVFile(path string, cfg CSVConfig) (*Table, error) {
	f, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadCSV(f, path, cfg)
}

// ReadCSV reads comma-separated values (RFC 4180, by package encoding/csv) into memory: one
// sample a line. The name serves for error messages only. Space around values does not
// count, and neither do empty lines.
//
// Inputs are numbers, and together they are the input "numbers": [columns]. They come as
// they are; [MeanStd] and [Standardize] bring them to one scale. A class is any text. The
// classes are those that occur, numbered in ascending order: by their values if all are
// integers, else as texts by their bytes. So the labels 0 to 9 keep their numbers if all
// of them occur.
//
// A number takes 4 bytes of memory, and so does a class. A line takes up to 48 bytes for
// each of its values while it is read. CSVConfig.MaxBytes bounds the file.
//
// The error is a [*FormatError] with line and column if the content is wrong: no number
// where one is wanted, one that float32 cannot hold, no class, another number of columns,
// a quote that does not end, a column that is not there, no samples, or too many bytes.
func ReadCSV(r io.Reader, name string, cfg CSVConfig) (*Table, error) {
	most := cmp.Or(cfg.MaxBytes, maxText)
	buffered := bufio.NewReader(&atMost{r, most, &FormatError{
		File: name, Found: fmt.Sprintf("more than %d bytes", most), Want: "no more (CSVConfig.MaxBytes)",
	}})
	if head, _ := buffered.Peek(len(byteOrderMark)); string(head) == byteOrderMark {
		buffered.Discard(len(byteOrderMark))
	}
	c := &csvReader{r: csv.NewReader(buffered), name: name, cfg: cfg}
	c.r.Comma = cmp.Or(cfg.Comma, ',')
	c.r.FieldsPerRecord = -1 // counted here, for a message that tells both numbers
	c.r.TrimLeadingSpace = true
	return c.read()
}

// maxText is the most bytes that ReadCSV accepts unless told otherwise, 1 GiB.
const maxText = 1 << 30

// atMost reads from r and returns err once it has had more bytes than are left.
type atMost struct {
	r    io.Reader
	left int64
	err  error
}

func (a *atMost) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	if a.left -= int64(n); a.left < 0 {
		return 0, a.err
	}
	return n, err
}

// byteOrderMark begins the UTF-8 that spreadsheets write.
const byteOrderMark = "\ufeff"

// numbersField is the name of the one input, and of the target of several numbers.
const numbersField = "numbers"

// csvReader reads one file.
type csvReader struct {
	r    *csv.Reader
	name string
	cfg  CSVConfig

	columns []string // the names of all columns, from the header, or their numbers
	inputs  []int    // columns
	numbers []int    // columns of the target of numbers
	classes []*csvClasses
	guessed bool // whether the class was not named

	inputValues, numberValues []float32
}

// csvClasses is a target of classes.
type csvClasses struct {
	column int
	number map[string]int32 // of a class; in order of appearance, unless fixed
	names  []string         // by number
	fixed  bool             // whether the names are those of the training part
	values []int32
}

func (c *csvReader) wrong(line, column int, found, want string) error {
	place := fmt.Sprintf("line %d", line)
	if column >= 0 {
		place += fmt.Sprintf(", column %q", c.columns[column])
	}
	return &FormatError{File: c.name, Place: place, Found: found, Want: want}
}

// next returns the next record, with space around its values removed, and its line. It
// returns io.EOF after the last.
func (c *csvReader) next() (record []string, line int, err error) {
	record, err = c.r.Read()
	var parse *csv.ParseError
	var format *FormatError
	switch {
	case err == io.EOF || errors.As(err, &format):
		return nil, 0, err
	case errors.As(err, &parse):
		return nil, 0, &FormatError{
			File: c.name, Place: fmt.Sprintf("line %d", parse.Line), Err: err,
			Found: fmt.Sprintf("%v at byte %d", parse.Err, parse.Column), Want: "comma-separated values",
		}
	case err != nil:
		return nil, 0, fmt.Errorf("data: %s: %w", c.name, err)
	}
	line, _ = c.r.FieldPos(0)
	for i, v := range record {
		record[i] = strings.TrimSpace(v)
	}
	if c.columns != nil && len(record) != len(c.columns) {
		return nil, 0, c.wrong(line, -1, count(len(record), "column"), fmt.Sprintf("%d as in the first line", len(c.columns)))
	}
	return record, line, nil
}

// count returns a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func (c *csvReader) read() (*Table, error) {
	if !validComma(c.r.Comma) {
		return nil, fmt.Errorf("data: %s: %q cannot be between columns", c.name, c.r.Comma)
	}
	first, line, err := c.next()
	if err == io.EOF {
		return nil, &FormatError{File: c.name, Found: "an empty file", Want: "comma-separated values"}
	}
	if err != nil {
		return nil, err
	}
	for i := range first {
		c.columns = append(c.columns, strconv.Itoa(i+1))
	}
	second, secondLine, err := c.next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	header, headerErr := c.header(first, second, line)
	if headerErr != nil {
		return nil, headerErr
	}
	if header {
		if err := c.nameColumns(first, line); err != nil {
			return nil, err
		}
		first, line = nil, 0
	}
	if err := c.assign(); err != nil {
		return nil, err
	}
	if first != nil {
		if err := c.add(first, line); err != nil {
			return nil, err
		}
	}
	for record, line := second, secondLine; err == nil; record, line, err = c.next() {
		if err := c.add(record, line); err != nil {
			return nil, err
		}
	}
	if err != io.EOF {
		return nil, err
	}
	if len(c.inputValues) == 0 {
		return nil, &FormatError{File: c.name, Found: "only the names of columns", Want: "at least one line of values"}
	}
	return c.table()
}

// validComma returns whether encoding/csv takes a character between columns.
func validComma(r rune) bool {
	return r > 0 && r != '"' && r != '\r' && r != '\n' && r != '\ufffd' && r <= '\U0010ffff' && !(r >= 0xd800 && r < 0xe000)
}

// header returns whether the first record has names. second is nil if there is none.
func (c *csvReader) header(first, second []string, line int) (bool, error) {
	if c.cfg.Header != HeaderAuto {
		return c.cfg.Header == HeaderYes, nil
	}
	numbers := 0
	for _, v := range first {
		if isNumber(v) {
			numbers++
		}
	}
	if numbers == 0 {
		return true, nil
	}
	for i, v := range second {
		if isNumber(v) && !isNumber(first[i]) {
			return false, c.wrong(line, i, fmt.Sprintf("%q above a number, beside numbers", first[i]),
				"either names of columns or values: tell which it is (CSVConfig.Header)")
		}
	}
	return false, nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

func isInteger(s string) bool {
	_, err := strconv.ParseInt(s, 10, 64)
	return err == nil
}

// nameColumns takes the names of columns from the header. A column without one is called
// by its number.
func (c *csvReader) nameColumns(header []string, line int) error {
	at := map[string]int{}
	for i, name := range header {
		name = cmp.Or(name, c.columns[i])
		if before, ok := at[name]; ok {
			return &FormatError{File: c.name, Place: fmt.Sprintf("line %d", line),
				Found: fmt.Sprintf("the name %q of both column %d and column %d", name, before+1, i+1), Want: "different names"}
		}
		at[name] = i
		c.columns[i] = strings.Clone(name)
	}
	return nil
}

// column returns the column of a name or number.
func (c *csvReader) column(name string) (int, error) {
	if i := slices.Index(c.columns, name); i >= 0 {
		return i, nil
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 1 && n <= len(c.columns) {
		return n - 1, nil
	}
	return 0, &FormatError{File: c.name, Found: "no column " + strconv.Quote(name), Want: "one of " + list(c.columns)}
}

// list returns the first of some names, for messages.
func list(names []string) string {
	const most = 8
	quoted := make([]string, 0, most)
	for _, name := range names[:min(len(names), most)] {
		quoted = append(quoted, strconv.Quote(name))
	}
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(quoted, ", "), more)
	}
	return strings.Join(quoted, ", ")
}

// assign says what each column is.
func (c *csvReader) assign() error {
	cfg := c.cfg
	if cfg.Like != nil {
		return c.assignLike(cfg.Like)
	}
	used := make([]bool, len(c.columns))
	take := func(names []string) (columns []int, err error) {
		for _, name := range names {
			i, err := c.column(name)
			if err != nil {
				return nil, err
			}
			if used[i] {
				return nil, fmt.Errorf("data: %s: the column %q is named twice", c.name, name)
			}
			used[i] = true
			columns = append(columns, i)
		}
		return columns, nil
	}
	if _, err := take(cfg.Drop); err != nil {
		return err
	}
	if len(cfg.Classes) == 0 && len(cfg.Numbers) == 0 {
		last := len(c.columns) - 1
		for last > 0 && used[last] {
			last--
		}
		cfg.Classes, c.guessed = []string{c.columns[last]}, true
	}
	classes, err := take(cfg.Classes)
	if err != nil {
		return err
	}
	for _, i := range classes {
		c.classes = append(c.classes, &csvClasses{column: i, number: map[string]int32{}})
	}
	if c.numbers, err = take(cfg.Numbers); err != nil {
		return err
	}
	for i := range c.columns {
		if !used[i] {
			c.inputs = append(c.inputs, i)
		}
	}
	if len(c.inputs) == 0 {
		return &FormatError{File: c.name, Found: "no column that is an input among " + list(c.columns), Want: "at least one beside the targets"}
	}
	return nil
}

// assignLike says what each column is by another table.
func (c *csvReader) assignLike(like *Table) error {
	if len(c.cfg.Classes)+len(c.cfg.Numbers)+len(c.cfg.Drop) > 0 {
		return fmt.Errorf("data: %s: columns are named although they are to be like those of another table", c.name)
	}
	lookUp := func(names []string) (columns []int, err error) {
		for _, name := range names {
			i, err := c.column(name)
			if err != nil {
				return nil, err
			}
			columns = append(columns, i)
		}
		return columns, nil
	}
	var err error
	if c.inputs, err = lookUp(like.inputs[0].Columns); err != nil {
		return err
	}
	for _, target := range like.targets {
		if target.DType == tensor.F32 {
			if c.numbers, err = lookUp(target.Columns); err != nil {
				return err
			}
			continue
		}
		i, err := c.column(target.Name)
		if err != nil {
			return err
		}
		classes := &csvClasses{column: i, number: map[string]int32{}, names: target.Names, fixed: true}
		for k, name := range target.Names {
			classes.number[name] = int32(k)
		}
		c.classes = append(c.classes, classes)
	}
	if len(c.inputs) == 0 {
		return fmt.Errorf("data: %s: the table that it is to be like is not of a CSV file", c.name)
	}
	return nil
}

// add takes one record.
func (c *csvReader) add(record []string, line int) (err error) {
	if c.inputValues, err = c.addNumbers(c.inputValues, c.inputs, record, line); err != nil {
		return err
	}
	if c.numberValues, err = c.addNumbers(c.numberValues, c.numbers, record, line); err != nil {
		return err
	}
	for _, classes := range c.classes {
		v := record[classes.column]
		k, known := classes.number[v]
		switch {
		case v == "" && c.cfg.Ignores:
			k = Ignored
		case v == "":
			return c.wrong(line, classes.column, "nothing", "a class")
		case known:
		case c.guessed && isNumber(v) && !isInteger(v):
			return c.wrong(line, classes.column, strconv.Quote(v), "a class, because no target is named (CSVConfig.Classes or Numbers)")
		case classes.fixed:
			return c.wrong(line, classes.column, strconv.Quote(v), "one of the classes of the training part: "+list(classes.names))
		case len(classes.names) == MaxClasses:
			return c.wrong(line, classes.column, fmt.Sprintf("class %d, %q", MaxClasses+1, v), fmt.Sprintf("at most %d classes (or targets that are numbers: CSVConfig.Numbers)", MaxClasses))
		default:
			v = strings.Clone(v) // without its record
			k = int32(len(classes.names))
			classes.number[v] = k
			classes.names = append(classes.names, v)
		}
		classes.values = append(classes.values, k)
	}
	return nil
}

// addNumbers appends the numbers of some columns of a record to values.
func (c *csvReader) addNumbers(values []float32, columns []int, record []string, line int) ([]float32, error) {
	for _, i := range columns {
		v := record[i]
		x, err := strconv.ParseFloat(v, 32)
		switch {
		case v == "":
			return nil, c.wrong(line, i, "nothing", "a number")
		case errors.Is(err, strconv.ErrRange):
			return nil, c.wrong(line, i, strconv.Quote(v), fmt.Sprintf("a number of magnitude up to %.2g", math.MaxFloat32))
		case err != nil:
			return nil, c.wrong(line, i, strconv.Quote(v), "a number")
		case x-x != 0:
			return nil, c.wrong(line, i, strconv.Quote(v), "a finite number")
		}
		values = append(values, float32(x))
	}
	return values, nil
}

// table makes the table of what has been read.
func (c *csvReader) table() (*Table, error) {
	numbers := func(columns []int, values []float32) Column {
		column := Column{Field: Numbers(numbersField, len(columns)), Values: tensor.Of(values)}
		for _, i := range columns {
			column.Columns = append(column.Columns, c.columns[i])
		}
		return column
	}
	var targets []Column
	for _, classes := range c.classes {
		name := c.columns[classes.column]
		if !classes.fixed {
			classes.sort()
		}
		if len(classes.names) == 0 {
			return nil, &FormatError{File: c.name, Place: fmt.Sprintf("column %q", name), Found: "no class", Want: "at least one"}
		}
		field := Classes(name, len(classes.names))
		field.Ignores = c.cfg.Ignores
		targets = append(targets, Column{Field: field, Values: tensor.Of(classes.values), Names: classes.names})
	}
	if len(c.numbers) > 0 {
		target := numbers(c.numbers, c.numberValues)
		if len(c.numbers) == 1 {
			target.Name = target.Columns[0]
		}
		targets = append(targets, target)
	}
	return NewTable([]Column{numbers(c.inputs, c.inputValues)}, targets)
}

// sort numbers the classes in ascending order.
func (c *csvClasses) sort() {
	order := cmp.Compare[string]
	if !slices.ContainsFunc(c.names, func(s string) bool { return !isInteger(s) }) {
		order = func(a, b string) int {
			x, _ := strconv.ParseInt(a, 10, 64)
			y, _ := strconv.ParseInt(b, 10, 64)
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b)) // "1" and "01" are two classes
		}
	}
	names := slices.SortedFunc(slices.Values(c.names), order)
	was := make([]int32, len(names)) // by number before, the number now
	for k, name := range names {
		was[c.number[name]] = int32(k)
	}
	for i, k := range c.values {
		if k != Ignored {
			c.values[i] = was[k]
		}
	}
	c.names = names
}
