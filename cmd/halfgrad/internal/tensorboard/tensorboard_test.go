package tensorboard

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// eventType is the part of TensorFlow's event.proto and summary.proto that is in use.
const eventType = `
name: "event.proto" package: "tensorflow" syntax: "proto3"
message_type { name: "Event"
  field { name: "wall_time" number: 1 type: TYPE_DOUBLE label: LABEL_OPTIONAL }
  field { name: "step" number: 2 type: TYPE_INT64 label: LABEL_OPTIONAL }
  field { name: "file_version" number: 3 type: TYPE_STRING label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "summary" number: 5 type: TYPE_MESSAGE type_name: ".tensorflow.Summary" label: LABEL_OPTIONAL oneof_index: 0 }
  field { name: "session_log" number: 7 type: TYPE_MESSAGE type_name: ".tensorflow.SessionLog" label: LABEL_OPTIONAL oneof_index: 0 }
  oneof_decl { name: "what" } }
message_type { name: "SessionLog"
  field { name: "status" number: 1 type: TYPE_ENUM type_name: ".tensorflow.SessionLog.SessionStatus" label: LABEL_OPTIONAL }
  enum_type { name: "SessionStatus" value { name: "STATUS_UNSPECIFIED" number: 0 } value { name: "START" number: 1 } } }
message_type { name: "Summary"
  field { name: "value" number: 1 type: TYPE_MESSAGE type_name: ".tensorflow.Summary.Value" label: LABEL_REPEATED }
  nested_type { name: "Value"
    field { name: "tag" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }
    field { name: "simple_value" number: 2 type: TYPE_FLOAT label: LABEL_OPTIONAL } } }`

// crcOf is CRC32C bit by bit, from its polynomial.
func crcOf(b []byte) uint32 {
	crc := ^uint32(0)
	for _, v := range b {
		crc ^= uint32(v)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78&-(crc&1)
		}
	}
	return ^crc
}

// readEvents decodes an event file by the description of its messages.
func readEvents(t *testing.T, path string) (events []proto.Message) {
	t.Helper()
	var file descriptorpb.FileDescriptorProto
	if err := prototext.Unmarshal([]byte(eventType), &file); err != nil {
		t.Fatal(err)
	}
	described, err := protodesc.NewFile(&file, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte, masked uint32) {
		if crc := masked - 0xa282ead8; crc<<15|crc>>17 != crcOf(data) {
			t.Errorf("checksum %#x of %q", masked, data)
		}
	}
	for len(b) > 0 {
		n := binary.LittleEndian.Uint64(b)
		check(b[:8], binary.LittleEndian.Uint32(b[8:]))
		data := b[12 : 12+n]
		check(data, binary.LittleEndian.Uint32(b[12+n:]))
		m := dynamicpb.NewMessage(described.Messages().ByName("Event"))
		if err := (proto.UnmarshalOptions{}).Unmarshal(data, m); err != nil {
			t.Fatal(err)
		}
		if len(m.GetUnknown()) > 0 {
			t.Errorf("unknown fields in %v", m)
		}
		events = append(events, m)
		b = b[16+n:]
	}
	return events
}

func field(m protoreflect.Message, name string) protoreflect.Value {
	return m.Get(m.Descriptor().Fields().ByName(protoreflect.Name(name)))
}

// summaries returns the steps and values of the events after the first two.
func summaries(events []proto.Message) (all []map[string]float64) {
	for _, e := range events[2:] {
		m := e.ProtoReflect()
		values := map[string]float64{"step": float64(field(m, "step").Int()), "time": field(m, "wall_time").Float()}
		list := field(field(m, "summary").Message(), "value").List()
		for i := range list.Len() {
			v := list.Get(i).Message()
			values[field(v, "tag").String()] = field(v, "simple_value").Float()
		}
		all = append(all, values)
	}
	return all
}

func TestWriter(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	at := time.UnixMicro(1_700_000_000_250_000)
	w, err := Create(dir, at, 41)
	if err != nil {
		t.Fatal(err)
	}
	add := func(after time.Duration, step int64, s ...Scalar) {
		t.Helper()
		if err := w.Add(at.Add(after), step, s...); err != nil {
			t.Fatal(err)
		}
	}
	add(0, 41, Scalar{"step/loss", 0.5}, Scalar{"step/lr", 0.1})
	if n := len(readEvents(t, w.Path())); n != 2 {
		t.Errorf("%d events at once, want 2", n)
	}
	add(2*time.Second, 1<<40, Scalar{"step/loss", math.Inf(1)})
	if n := len(readEvents(t, w.Path())); n != 4 {
		t.Errorf("%d events after two seconds, want 4", n)
	}
	add(2*time.Second, 0, Scalar{"é", -0.25})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	events := readEvents(t, w.Path())
	version, session := events[0].ProtoReflect(), events[1].ProtoReflect()
	if field(version, "file_version").String() != "brain.Event:2" || field(version, "step").Int() != 0 {
		t.Errorf("the file begins with %v", version)
	}
	if field(session, "step").Int() != 41 || field(field(session, "session_log").Message(), "status").Enum() != 1 {
		t.Errorf("the session begins with %v", session)
	}
	want := []map[string]float64{
		{"step": 41, "time": 1_700_000_000.25, "step/loss": 0.5, "step/lr": float64(float32(0.1))},
		{"step": 1 << 40, "time": 1_700_000_002.25, "step/loss": math.Inf(1)},
		{"step": 0, "time": 1_700_000_002.25, "é": -0.25},
	}
	if diff := cmp.Diff(want, summaries(events)); diff != "" {
		t.Error(diff)
	}
	if name := filepath.Base(w.Path()); !strings.HasPrefix(name, "events.out.tfevents.1700000000.") {
		t.Errorf("the file is called %s", name)
	}
	// Another file of the same second has another name.
	again, err := Create(dir, at, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil || again.Path() == w.Path() {
		t.Errorf("%v; a second file %s", err, again.Path())
	}
}

// Checksums that others have computed: the check value of CRC32C, and what TensorFlow
// and tensorboard_logger write for records of 24 and 25 bytes, and for the event of
// the time 256.5, step 1 and v/1 = 1.5.
func TestChecksums(t *testing.T) {
	if crc := crcOf([]byte("123456789")); crc != 0xe3069283 {
		t.Errorf("CRC32C %#x", crc)
	}
	w, err := Create(t.TempDir(), time.UnixMicro(256_500_000), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.Add(time.UnixMicro(256_500_000), 1, Scalar{"v/1", 1.5})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(w.Path())
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) uint32 { return binary.LittleEndian.Uint32(b[i:]) }
	last := len(b) - 16 - 25
	for _, tt := range []struct{ got, want uint32 }{{at(0), 24}, {at(8), 0x224b7fa3}, {at(12 + 24), 0x2b2198bc}, {at(last), 25}, {at(last + 8), 0x2808f18b}, {at(len(b) - 4), 0x87c0ec2c}} {
		if tt.got != tt.want {
			t.Errorf("%#x, want %#x", tt.got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := Create(dir, time.Now(), 0); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	w, err := Create(t.TempDir(), time.Now(), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	if err := w.Add(time.Now().Add(time.Hour), 1, Scalar{"a", 1}); err == nil {
		t.Error("no error from a file that is closed")
	}
	if err := w.Close(); err == nil {
		t.Error("the error is forgotten")
	}
}
