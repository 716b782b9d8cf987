// Package tensorboard writes scalars into event files, which TensorBoard draws.
//
// An event file is a sequence of TFRecords, each of which holds an Event of
// tensorflow/core/util/event.proto:
//
//	uint64 length       little endian
//	uint32 masked CRC32C of the length
//	byte   data[length]
//	uint32 masked CRC32C of the data
//
// It knows no histograms, images or graphs.
package tensorboard

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of the fields in event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string, in the first event of a file
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog

	summaryValue = 1 // repeated Summary.Value
	valueTag     = 1 // string
	valueSimple  = 2 // float

	sessionStatus = 1 // enum
	sessionStart  = 1
)

// Scalar is a value of a curve.
type Scalar struct {
	Tag   string // the name of the curve; TensorBoard groups by what precedes a slash
	Value float64
}

// Writer writes one event file. It is not safe for concurrent use.
type Writer struct {
	file    *os.File
	buf     *bufio.Writer
	flushed time.Time
	event   []byte // reused
	err     error  // the first one
}

// flushEvery is how long TensorBoard waits for new values at most, while there are any.
const flushEvery = time.Second

// Create makes an event file in dir, and dir where there is none. What other files in
// dir hold of the steps from firstStep on is hidden by TensorBoard: a run that is
// continued repeats the steps after its checkpoint.
func Create(dir string, at time.Time, firstStep int64) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	// TensorBoard looks for "tfevents" and reads the files by the order of their names.
	name := fmt.Sprintf("events.out.tfevents.%010d.%s.%d", at.Unix(), host, os.Getpid())
	w := &Writer{flushed: at}
	for n := 0; ; n++ {
		w.file, err = os.OpenFile(filepath.Join(dir, fmt.Sprintf("%s.%d", name, n)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("tensorboard: %w", err)
	}
	w.buf = bufio.NewWriter(w.file)

	w.begin(at, 0)
	w.event = protowire.AppendTag(w.event, eventFileVersion, protowire.BytesType)
	w.event = protowire.AppendString(w.event, "brain.Event:2")
	w.end()
	w.begin(at, firstStep)
	w.event = protowire.AppendTag(w.event, eventSessionLog, protowire.BytesType)
	w.event = protowire.AppendBytes(w.event, protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart))
	w.end()
	if err := w.flush(at); err != nil {
		return nil, errors.Join(err, w.file.Close())
	}
	return w, nil
}

// Path returns the path of the file.
func (w *Writer) Path() string { return w.file.Name() }

// Add writes the values that scalars have after step. An error is returned by
// Close, too.
func (w *Writer) Add(at time.Time, step int64, scalars ...Scalar) error {
	w.begin(at, step)
	var summary []byte
	for _, s := range scalars {
		var value []byte
		value = protowire.AppendTag(value, valueTag, protowire.BytesType)
		value = protowire.AppendString(value, s.Tag)
		value = protowire.AppendTag(value, valueSimple, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(s.Value)))
		summary = protowire.AppendTag(summary, summaryValue, protowire.BytesType)
		summary = protowire.AppendBytes(summary, value)
	}
	w.event = protowire.AppendTag(w.event, eventSummary, protowire.BytesType)
	w.event = protowire.AppendBytes(w.event, summary)
	w.end()
	if at.Sub(w.flushed) >= flushEvery {
		return w.flush(at)
	}
	return w.err
}

// Close writes what is left and closes the file. It returns the first error that there
// has been.
func (w *Writer) Close() error {
	err := w.flush(w.flushed)
	if closing := w.file.Close(); err == nil && closing != nil {
		err = fmt.Errorf("tensorboard: %w", closing)
	}
	return err
}

// begin starts an event.
func (w *Writer) begin(at time.Time, step int64) {
	w.event = protowire.AppendTag(w.event[:0], eventWallTime, protowire.Fixed64Type)
	w.event = protowire.AppendFixed64(w.event, math.Float64bits(float64(at.UnixMicro())/1e6))
	if step != 0 {
		w.event = protowire.AppendTag(w.event, eventStep, protowire.VarintType)
		w.event = protowire.AppendVarint(w.event, uint64(step))
	}
}

// end writes the event as a record.
func (w *Writer) end() {
	if w.err != nil {
		return
	}
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:], uint64(len(w.event)))
	binary.LittleEndian.PutUint32(head[8:], maskedCRC(head[:8]))
	var tail [4]byte
	binary.LittleEndian.PutUint32(tail[:], maskedCRC(w.event))
	for _, part := range [][]byte{head[:], w.event, tail[:]} {
		if _, err := w.buf.Write(part); err != nil {
			w.err = fmt.Errorf("tensorboard: %w", err)
			return
		}
	}
}

func (w *Writer) flush(at time.Time) error {
	w.flushed = at
	if w.err == nil {
		if err := w.buf.Flush(); err != nil {
			w.err = fmt.Errorf("tensorboard: %w", err)
		}
	}
	return w.err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC returns the CRC32C of b, rotated and shifted so that the checksum of data
// that holds checksums is sound (tensorflow/core/lib/hash/crc32c.h).
func maskedCRC(b []byte) uint32 {
	crc := crc32.Checksum(b, castagnoli)
	return (crc>>15 | crc<<17) + 0xa282ead8
}
