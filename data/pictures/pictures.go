// Package pictures reads folders of pictures by class: one subfolder for each class, whose
// name is the class's, with the pictures of the class in it.
//
// It is not an input pipeline: pictures are decoded once, into memory, a byte for each
// value. [data.Images] then standardises them and deals them out as fast as MNIST. Where
// they do not fit, let [Config] scale them, or write a [data.Dataset] that reads one
// picture at a time.
package pictures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/data/digit"
)

// Config says what becomes of the pictures. The zero Config wants them all to be of one
// size, and keeps it.
type Config struct {
	// Height and Width, unless both are 0, are the size that every picture is scaled to.
	// Each pixel becomes the mean of those around its place, weighted by a triangle as
	// wide as two pixels of the smaller of the two pictures. Pillow and torchvision call
	// that bilinear with antialiasing.
	Height, Width int

	// Crop keeps the proportions of a picture that is scaled: the largest rectangle of the
	// right proportions is taken from its middle. Without it the picture is stretched.
	Crop bool

	// Channels is 1 for grey and 3 for red, green and blue. 0 means 1 if all pictures are
	// stored as grey ones, and 3 otherwise. Colours turn to grey by ITU-R BT.601.
	Channels int

	// MaxBytes is the most bytes that all images may have together; 0 means
	// DefaultMaxBytes. Memory may be twice as much while they are read.
	MaxBytes int64
}

// DefaultMaxBytes is 4 GiB.
const DefaultMaxBytes = 4 << 30

// extensions are those of the pictures that package digit decodes.
var extensions = []string{".png", ".jpg", ".jpeg", ".gif", ".webp", ".tif", ".tiff", ".bmp"}

// otherParts are parts that people have beside train and test.
var otherParts = []string{"val", "valid", "validation", "dev"}

// Open reads the pictures in dir. If dir has the subfolders train and test, and no others,
// they are the two parts, each with a subfolder for each class. With train alone, test is
// nil. Otherwise the subfolders of dir are the classes, and test is nil too. Other parts,
// such as val, are an error: open their folders, or hold out samples by [data.Split].
//
// The classes are the subfolders of the training part, in ascending order of their names,
// byte by byte; the test part may lack some, but has no others. The pictures of a class are
// all files in its subfolder and the folders in it, in ascending order of their paths. They
// are PNG, JPEG, GIF, WebP, TIFF or BMP and have one of the usual extensions. Names that
// begin with a dot are left out, and so are Thumbs.db and desktop.ini. JPEG and TIFF are
// turned upright by what the camera noted, transparent parts are black, and of several
// pictures in a file it is the first. Beside the folders may lie files, but no pictures.
//
// The Images have the names of the classes and the path of each picture. They are the same
// bytes on every machine.
//
// The error is a [*data.FormatError] that names the file or folder, unless the file system
// or ctx failed: for a folder that is not of this form, a file that is no picture, or a
// damaged one, a picture of another size than the first, or more than cfg.MaxBytes.
func Open(ctx context.Context, dir string, cfg Config) (train, test *data.Images, err error) {
	switch {
	case cfg.Height < 0 || cfg.Width < 0 || (cfg.Height == 0) != (cfg.Width == 0):
		return nil, nil, fmt.Errorf("pictures: a size of %d×%d: want both from 1, or both 0 to keep the pictures' own", cfg.Height, cfg.Width)
	case max(cfg.Height, cfg.Width) > digit.MaxSide:
		return nil, nil, fmt.Errorf("pictures: a size of %d×%d: want at most %d", cfg.Height, cfg.Width, digit.MaxSide)
	case cfg.Channels != 0 && cfg.Channels != 1 && cfg.Channels != 3:
		return nil, nil, fmt.Errorf("pictures: %d channels: want 1, 3, or 0 for what the pictures have", cfg.Channels)
	case cfg.Crop && cfg.Height == 0:
		return nil, nil, errors.New("pictures: pictures are cropped only to a size: want a height and a width")
	case cfg.MaxBytes < 0:
		return nil, nil, fmt.Errorf("pictures: at most %d bytes: want at least 0", cfg.MaxBytes)
	case cfg.MaxBytes == 0:
		cfg.MaxBytes = DefaultMaxBytes
	}
	names, err := subfolders(dir)
	if err != nil {
		return nil, nil, err
	}
	parts := []string{dir}
	switch train, test := slices.Contains(names, "train"), slices.Contains(names, "test"); {
	case train && test && len(names) == 2:
		parts = []string{filepath.Join(dir, "train"), filepath.Join(dir, "test")}
	case train && len(names) == 1:
		parts = []string{filepath.Join(dir, "train")}
	case train && (test || slices.ContainsFunc(names, func(s string) bool { return slices.Contains(otherParts, s) })):
		// Taken for classes, the parts are what a network would learn to tell apart.
		return nil, nil, &data.FormatError{File: dir, Found: "the folders " + strings.Join(first(names), ", "), Want: "train and test alone, train alone, or classes"}
	}
	r := reader{ctx: ctx, cfg: cfg, dir: dir}
	for _, part := range parts {
		if err := r.scan(part); err != nil {
			return nil, nil, err
		}
	}
	if err := r.decodeAll(); err != nil {
		return nil, nil, err
	}
	images := r.assemble()
	if len(images) == 1 {
		return images[0], nil, nil
	}
	return images[0], images[1], nil
}

// first returns the first names of many, for messages.
func first(names []string) []string {
	const most = 8
	if len(names) > most {
		return append(slices.Clone(names[:most]), fmt.Sprintf("and %d more", len(names)-most))
	}
	return names
}

// isPicture returns whether a file has the extension of a picture.
func isPicture(name string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

// subfolders returns the names of the folders in dir, also of links to folders, sorted.
// The error may be that there is a picture beside them.
func subfolders(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("pictures: %w", err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, fmt.Errorf("pictures: %w", err)
		case info.IsDir():
			names = append(names, e.Name())
		case isPicture(e.Name()):
			return nil, &data.FormatError{File: path, Found: "a picture beside folders", Want: "each in the folder of its class"}
		}
	}
	return names, nil
}

// reader reads the pictures of all parts.
type reader struct {
	ctx     context.Context
	cfg     Config
	dir     string
	classes []string // of the first part
	parts   []int    // the index of each part's first picture
	files   []string
	labels  []int32

	pixels [][]byte // of each file: [H, W, its channels]
	c      []int    // the channels of each file
	h, w   int      // of all images
}

// scan notes the pictures of a part.
func (r *reader) scan(part string) error {
	names, err := subfolders(part)
	if err != nil {
		return err
	}
	training := len(r.parts) == 0
	switch {
	case len(names) == 0:
		return &data.FormatError{File: part, Found: "no folder", Want: "a folder of pictures for each class"}
	case len(names) > data.MaxClasses:
		return &data.FormatError{File: part, Found: fmt.Sprintf("%d folders", len(names)), Want: fmt.Sprintf("at most %d classes", data.MaxClasses)}
	case training:
		r.classes = names
	}
	r.parts = append(r.parts, len(r.files))
	for _, name := range names {
		label, known := slices.BinarySearch(r.classes, name)
		folder := filepath.Join(part, name)
		if !known {
			return &data.FormatError{File: folder, Found: "a class that the training part does not have", Want: "one of " + strings.Join(first(r.classes), ", ")}
		}
		before := len(r.files)
		if err := r.scanClass(folder, int32(label)); err != nil {
			return err
		}
		if training && len(r.files) == before {
			return &data.FormatError{File: folder, Found: "no picture", Want: "at least one of " + strings.Join(extensions, ", ")}
		}
	}
	if len(r.files) == r.parts[len(r.parts)-1] {
		return &data.FormatError{File: part, Found: "no picture", Want: "at least one of " + strings.Join(extensions, ", ")}
	}
	return nil
}

// scanClass notes the pictures in the folder of a class.
func (r *reader) scanClass(folder string, label int32) error {
	// The separator at the end has a link to a folder followed.
	return filepath.WalkDir(folder+string(filepath.Separator), func(path string, e fs.DirEntry, err error) error {
		switch name := filepath.Base(path); {
		case err != nil:
			return fmt.Errorf("pictures: %w", err)
		case r.ctx.Err() != nil:
			return fmt.Errorf("pictures: %s: %w", r.dir, r.ctx.Err())
		case filepath.Clean(path) == filepath.Clean(folder): // its name may be any
		case strings.HasPrefix(name, "."):
			if e.IsDir() {
				return fs.SkipDir
			}
		case e.IsDir() || name == "Thumbs.db" || name == "desktop.ini":
		case !isPicture(name):
			return &data.FormatError{File: path, Found: "a file of another kind", Want: "pictures alone: " + strings.Join(extensions, ", ")}
		default:
			r.files = append(r.files, path)
			r.labels = append(r.labels, label)
		}
		return nil
	})
}

// decodeAll decodes the first picture, which tells the size of all, and then the others in
// parallel. The error is that of the first file that has one.
func (r *reader) decodeAll() error {
	n := len(r.files)
	r.pixels, r.c = make([][]byte, n), make([]int, n)
	r.h, r.w = r.cfg.Height, r.cfg.Width
	if err := r.decode(0); err != nil {
		return err
	}
	var next, failed atomic.Int64
	next.Store(1)
	errs := make([]error, n)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			// Files are begun in order, so all before one that fails have been begun.
			for failed.Load() == 0 {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if errs[i] = r.ctx.Err(); errs[i] == nil {
					errs[i] = r.decode(i)
				}
				if errs[i] != nil {
					failed.Add(1)
				}
			}
		})
	}
	workers.Wait()
	if err := r.ctx.Err(); err != nil {
		return fmt.Errorf("pictures: %s: %w", r.dir, err)
	}
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkBytes returns an error if all images of so many channels are too large.
func (r *reader) checkBytes(c int) error {
	n := int64(len(r.files))
	size := int64(r.h) * int64(r.w) * int64(c) // at most 3·2²⁸
	if size > r.cfg.MaxBytes/n {
		return &data.FormatError{
			File: r.dir, Found: fmt.Sprintf("%d pictures of %d×%d pixels in %d channels, %d bytes in all", n, r.h, r.w, c, n*size),
			Want: fmt.Sprintf("at most %d bytes: scale them (Config.Height and Width), or raise Config.MaxBytes", r.cfg.MaxBytes),
		}
	}
	return nil
}

// decode decodes picture i.
func (r *reader) decode(i int) error {
	path := r.files[i]
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("pictures: %w", err)
	}
	if !info.Mode().IsRegular() { // opening a pipe would wait for somebody to write to it
		return &data.FormatError{File: path, Found: "a folder or special file", Want: "a picture"}
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("pictures: %w", err)
	}
	defer f.Close()
	m, err := digit.Decode(f)
	var format *digit.FormatError
	var size *digit.SizeError
	switch {
	case errors.As(err, &format):
		return &data.FormatError{File: path, Found: fmt.Sprintf("no picture, or a damaged one (%v)", format.Err), Want: "PNG, JPEG, GIF, WebP, TIFF or BMP", Err: err}
	case errors.As(err, &size):
		found := fmt.Sprintf("a picture of %d×%d pixels", size.Height, size.Width)
		if size.Width == 0 {
			found = "a file that is too long"
		}
		return &data.FormatError{File: path, Found: found, Want: size.Want, Err: err}
	case err != nil:
		return fmt.Errorf("pictures: %s: %w", path, err)
	}

	h, w := m.Bounds().Dy(), m.Bounds().Dx()
	if r.h == 0 {
		r.h, r.w = h, w
	}
	if r.cfg.Height == 0 && (h != r.h || w != r.w) {
		return &data.FormatError{File: path, Found: fmt.Sprintf("a picture of %d×%d pixels (rows×columns)", h, w),
			Want: fmt.Sprintf("%d×%d as in %s, or a size to scale all to (Config.Height and Width)", r.h, r.w, r.files[0])}
	}
	r.c[i] = r.cfg.Channels
	if r.c[i] == 0 {
		r.c[i] = 3
		if isGrey(m) {
			r.c[i] = 1
		}
	}
	if err := r.checkBytes(r.c[i]); err != nil {
		return err
	}
	p := newPlane(m, r.c[i])
	if r.cfg.Crop {
		p = p.crop(r.h, r.w)
	}
	r.pixels[i] = p.scale(r.h, r.w).pixels
	return nil
}

// assemble makes the images of each part.
func (r *reader) assemble() (images []*data.Images) {
	c := slices.Max(r.c)
	size := r.h * r.w * c
	for k, from := range r.parts {
		to := len(r.files)
		if k+1 < len(r.parts) {
			to = r.parts[k+1]
		}
		im := &data.Images{
			N: to - from, H: r.h, W: r.w, C: c, Classes: len(r.classes), Names: r.classes,
			Pixels: make([]byte, (to-from)*size), Labels: r.labels[from:to:to], Files: r.files[from:to:to],
		}
		for i := from; i < to; i++ {
			dst := im.Pixels[(i-from)*size:][:size]
			if r.c[i] == c {
				copy(dst, r.pixels[i])
			} else { // grey among coloured ones
				for j, v := range r.pixels[i] {
					dst[3*j], dst[3*j+1], dst[3*j+2] = v, v, v
				}
			}
			r.pixels[i] = nil
		}
		images = append(images, im)
	}
	return images
}
