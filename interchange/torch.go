package interchange

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/halfgrad/halfgrad/internal/files"
)

// TorchFileError reports a file that torch.save or Python's pickle wrote. Reading one
// runs what it says, which only Python can.
type TorchFileError struct{ Path string }

func (e *TorchFileError) Error() string {
	name := filepath.Base(e.Path)
	return fmt.Sprintf("%s is a file of torch.save, which only Python can read: want safetensors, as Python writes them by safetensors.torch.save_file(torch.load(%q, weights_only=True), %q)",
		e.Path, name, strings.TrimSuffix(name, filepath.Ext(name))+".safetensors")
}

// CheckTorch returns a [*TorchFileError] if the file path is one that torch.save wrote: a
// zip archive with a pickle in it (since PyTorch 1.6), or a bare pickle. It returns nil
// for any other file, and for one that it cannot read.
func CheckTorch(path string) error {
	f, size, err := files.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	head := make([]byte, 9)
	if _, err := io.ReadFull(f, head); err != nil {
		return nil
	}
	// A pickle begins with its protocol, and may look like the length of a header of
	// safetensors, which is followed by a brace.
	if head[0] == 0x80 && 2 <= head[1] && head[1] <= 5 && !bytes.Equal(head[4:], []byte("\x00\x00\x00\x00{")) {
		return &TorchFileError{path}
	}
	if !bytes.HasPrefix(head, []byte("PK\x03\x04")) {
		return nil
	}
	archive, err := zip.NewReader(f, size)
	if err != nil {
		return nil
	}
	for _, entry := range archive.File {
		if entry.Name == "data.pkl" || strings.HasSuffix(entry.Name, "/data.pkl") {
			return &TorchFileError{path}
		}
	}
	return nil
}
