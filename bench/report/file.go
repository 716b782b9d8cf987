package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/halfgrad/halfgrad/internal/files"
)

// The kinds of problems of a file. An [*Error] is one of them, by [errors.Is].
var (
	ErrForeign   = errors.New("not a halfgrad benchmark report")
	ErrSchema    = errors.New("a benchmark report of another schema version")
	ErrTruncated = errors.New("the file is cut off")
	ErrEdited    = errors.New("the content is not what was written")
	ErrInvalid   = errors.New("the content makes no sense")
)

// Error says what is wrong with a file.
type Error struct {
	Path    string
	Problem error  // one of the above
	Detail  string // what there is and what was expected
}

func (e *Error) Error() string {
	return fmt.Sprintf("report: %s: %v: %s", e.Path, e.Problem, e.Detail)
}

func (e *Error) Unwrap() error { return e.Problem }

// maxSize is room for 4000 benchmarks of a thousand samples each: more than any report.
const maxSize = 128 << 20

// Read reads and checks a report. The error is an [*Error] if the file is not a report
// of this schema, or was changed since it was written.
func Read(path string) (*Report, error) {
	f, _, err := files.Open(path)
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	return Parse(path, data)
}

// Parse is [Read] for a file's content. The error names path.
func Parse(path string, data []byte) (*Report, error) {
	wrong := func(problem error, format string, args ...any) error {
		return &Error{path, problem, fmt.Sprintf(format, args...)}
	}
	if len(data) > maxSize {
		return nil, wrong(ErrForeign, "more than %d MiB: want less", maxSize>>20)
	}
	if len(data) == 0 {
		return nil, wrong(ErrTruncated, "it is empty")
	}
	// Whether it is a report at all is checked first.
	var head struct {
		Kind   string `json:"kind"`
		Schema int    `json:"schema"`
		SHA256 string `json:"sha256"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && syntax.Offset >= int64(len(data)) {
			return nil, wrong(ErrTruncated, "after %d bytes, within a JSON value", len(data))
		}
		return nil, wrong(ErrForeign, "%v", err)
	}
	if head.Kind != Kind {
		return nil, wrong(ErrForeign, "its kind is %.40q: want %q", head.Kind, Kind)
	}
	if head.Schema != Schema {
		return nil, wrong(ErrSchema, "%d: this program reads version %d", head.Schema, Schema)
	}
	r := new(Report)
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		return nil, wrong(ErrInvalid, "%v", err)
	}
	r.Date = r.Date.UTC()
	sum, err := r.sum()
	if err != nil {
		return nil, wrong(ErrInvalid, "%v", err)
	}
	if sum != r.SHA256 {
		return nil, wrong(ErrEdited, "its SHA-256 is %s: want %.64q as the file says", sum, r.SHA256)
	}
	if err := r.check(); err != nil {
		return nil, wrong(ErrInvalid, "%v", err)
	}
	return r, nil
}

// sum returns the checksum of r's content.
func (r *Report) sum() (string, error) {
	content := *r
	content.SHA256 = ""
	b, err := json.Marshal(content)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// Encode sets r's kind, schema and checksum and returns the file's content. The error
// says what is wrong with r.
func (r *Report) Encode() ([]byte, error) {
	r.Kind, r.Schema = Kind, Schema
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	var err error
	if r.SHA256, err = r.sum(); err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	head := *r
	head.Benchmarks = nil
	b, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("report: %w", err)
	}
	// Each benchmark has one line, however many samples.
	b = append(bytes.TrimSuffix(b, []byte("\n}")), ",\n  \"benchmarks\": ["...)
	for i, benchmark := range r.Benchmarks {
		line, err := json.Marshal(benchmark)
		if err != nil {
			return nil, fmt.Errorf("report: %w", err)
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, "\n    "...), line...)
	}
	return append(b, "\n  ]\n}\n"...), nil
}

// Write writes the file whole or not at all.
func (r *Report) Write(path string) error {
	b, err := r.Encode()
	if err != nil {
		return err
	}
	if err := files.WriteFile(path, b); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
