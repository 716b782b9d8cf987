package interchange_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/halfgrad/halfgrad/interchange"
)

// archive is a zip archive of empty files.
func archive(t *testing.T, names ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		if _, err := w.Create(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// The names in an archive are those of PyTorch 2 (torch/csrc/jit/serialization); the
// first bytes of the old form are the pickle of its magic number.
func TestCheckTorch(t *testing.T) {
	for name, tt := range map[string]struct {
		content []byte
		torch   bool
	}{
		"new form":          {archive(t, "model/data.pkl", "model/byteorder", "model/data/0"), true},
		"old form":          {[]byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."), true},
		"arrays of NumPy":   {archive(t, "a.npy", "b.npy"), false},
		"half an archive":   {archive(t, "model/data.pkl")[:20], false},
		"safetensors":       {append([]byte{2, 0, 0, 0, 0, 0, 0, 0}, "{}"...), false},
		"a header of 0x280": {append([]byte{0x80, 2, 0, 0, 0, 0, 0, 0}, "{}"+strings.Repeat(" ", 0x27e)...), false},
		"nothing":           {nil, false},
	} {
		path := filepath.Join(t.TempDir(), "net.pt")
		if err := os.WriteFile(path, tt.content, 0o644); err != nil {
			t.Fatal(err)
		}
		err := interchange.CheckTorch(path)
		var torch *interchange.TorchFileError
		if errors.As(err, &torch) != tt.torch {
			t.Errorf("%s: error %v", name, err)
		}
		if tt.torch && (!strings.Contains(err.Error(), `torch.load("net.pt"`) || !strings.Contains(err.Error(), `"net.safetensors"`) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v: want one line with the names", name, err)
		}
	}
	if err := interchange.CheckTorch(t.TempDir()); err != nil {
		t.Error(err)
	}
}
