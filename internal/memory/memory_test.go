package memory

import (
	"runtime"
	"testing"
)

func TestThisMachine(t *testing.T) {
	total, available := Total(), Available()
	switch runtime.GOOS {
	case "linux", "windows":
		if available == 0 {
			t.Error("the memory available is not known")
		}
		fallthrough
	case "darwin", "freebsd":
		if total < 16<<20 || total > 1<<50 {
			t.Errorf("a total of %d bytes", total)
		}
	}
	if available > total {
		t.Errorf("%d bytes available of %d", available, total)
	}
}
