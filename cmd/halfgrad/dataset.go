package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/data/digit"
	"github.com/halfgrad/halfgrad/data/pictures"
)

// dataFlags are the flags of the commands that need images.
type dataFlags struct {
	Data string `help:"Folder with a data set in MNIST's form: four IDX files by MNIST's names, gzipped or not, of any number of classes; or with subfolders train and test of pictures, in a folder for each class. mnist is MNIST itself, from the cache, or fetched. Without it, train takes MNIST, and other commands the data that the checkpoint was trained on." placeholder:"DIR"`
}

// mnistPlace is the place of the published MNIST, in --data and in checkpoints.
const mnistPlace = "mnist"

// The digests of MNIST's two parts, as data.Images.SHA256 computes them.
const (
	mnistTrainDigest = "1afb0bbe1a9b0ee00e192f097bf3d233a5fc5eeaea39e50f780000793240fda7"
	mnistTestDigest  = "82c753c8f7bbdc95e2022cc43965bc76dc7c45b3c817570b05037041b9a90562"
)

// origin is the data that a run learns from. Its checkpoints have it.
type origin struct {
	Place    string `json:"place,omitempty"`        // mnist, or the absolute path of a folder
	Train    string `json:"train_sha256,omitempty"` // of images and labels, by data.Images.SHA256
	Test     string `json:"test_sha256,omitempty"`
	Centered bool   `json:"centered,omitempty"` // whether the images are scaled and centred as MNIST's are
}

// newOrigin returns the origin of images from a place.
func newOrigin(place string, images *data.MNIST) origin {
	return origin{Place: place, Train: images.Train.SHA256(), Test: images.Test.SHA256(), Centered: centered(images.Train)}
}

// centered returns whether nine in ten of the first thousand images are as MNIST's.
func centered(images *data.Images) bool {
	n, size := min(images.N, 1000), images.H*images.W
	as := 0
	for i := range n {
		if digit.IsNormalized(images.Pixels[i*size:(i+1)*size], images.H, images.W) {
			as++
		}
	}
	return 10*as >= 9*n
}

// place returns where --data says that the data are.
func (f dataFlags) place(e *env) (string, error) {
	switch f.Data {
	case mnistPlace:
		if info, err := os.Stat(mnistPlace); err == nil && info.IsDir() {
			e.tell("note: --data mnist is MNIST itself; the folder of that name is ./mnist")
		}
		return mnistPlace, nil
	case "":
		return mnistPlace, nil
	}
	place, err := filepath.Abs(f.Data)
	if err != nil {
		return "", usageError{fmt.Errorf("--data: %w", err)}
	}
	return place, nil
}

// loadPlace returns the images at a place, and shows on stderr if they have to be
// fetched. classes is their number, or 0 where the labels tell it. MNIST has ten.
func loadPlace(ctx context.Context, e *env, place string, classes int) (*data.MNIST, error) {
	src := data.Source{Classes: classes}
	if place != mnistPlace {
		if hasPictures(place) {
			return loadPictures(ctx, place, classes)
		}
		src.Dir = place
	}
	fetch := fetchProgress{env: e}
	src.Progress = fetch.report
	images, err := data.LoadMNIST(ctx, src)
	fetch.finish()
	if err != nil && src.Dir != "" {
		return nil, usageError{err}
	}
	return images, err
}

// hasPictures returns whether a folder has subfolders and no IDX files: pictures by class.
func hasPictures(dir string) bool {
	entries, err := os.ReadDir(dir)
	isIDX := func(f os.DirEntry) bool { return !f.IsDir() && strings.Contains(f.Name(), "ubyte") }
	isFolder := func(f os.DirEntry) bool { return f.IsDir() && !strings.HasPrefix(f.Name(), ".") }
	return err == nil && !slices.ContainsFunc(entries, isIDX) && slices.ContainsFunc(entries, isFolder)
}

// loadPictures returns the pictures in a folder's subfolders train and test, in grey.
// classes is as for loadPlace.
func loadPictures(ctx context.Context, dir string, classes int) (*data.MNIST, error) {
	train, test, err := pictures.Open(ctx, dir, pictures.Config{Channels: 1})
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, usageError{err}
	case test == nil:
		return nil, usagef("%s: there is no test part: want subfolders train and test, each with a folder of pictures for each class", dir)
	case classes != 0 && classes < train.Classes:
		return nil, usagef("%s: there are pictures of %d classes, for a network of %d", dir, train.Classes, classes)
	case classes != 0:
		train.Classes, test.Classes = classes, classes
	}
	return &data.MNIST{Train: train, Test: test}, nil
}

// loadFresh loads the images of a run that begins. The widths of all layers tell the
// number of classes as --classes does.
func (s *session) loadFresh(ctx context.Context) error {
	place, err := s.place(s.env)
	if err != nil {
		return err
	}
	classes := s.Classes
	if strings.Contains(s.Model, "-") && place != mnistPlace {
		classes = cmp.Or(classes, s.Widths[len(s.Widths)-1])
	}
	if s.images, err = loadPlace(ctx, s.env, place, classes); err != nil {
		return err
	}
	s.Origin = newOrigin(place, s.images)
	return nil
}

// part is what a command needs of the data that a checkpoint was trained on.
type part string

const (
	trainPart part = "training images"
	testPart  part = "test images"
	bothParts part = "images"
)

// same returns whether a part of two data sets is the same: all pixels and labels.
func (o origin) same(other origin, p part) bool {
	return (p == testPart || o.Train == other.Train) && (p == trainPart || o.Test == other.Test)
}

// loadFor returns the images for a checkpoint: those of --data, or those that it was
// trained on, as far as they are still the same. checkpoint is its path, for messages.
//
// With --data, other images than the checkpoint's are an error, or where another
// allows them, noted on stderr.
func (f dataFlags) loadFor(ctx context.Context, e *env, checkpoint string, s settings, p part, another bool) (*data.MNIST, origin, error) {
	place, err := f.place(e)
	if err != nil {
		return nil, origin{}, err
	}
	if f.Data == "" {
		if place, err = s.recordedPlace(checkpoint, e); err != nil {
			return nil, origin{}, usageError{err}
		}
	}
	images, err := loadPlace(ctx, e, place, s.Widths[len(s.Widths)-1])
	var format *data.FormatError
	switch {
	case err == nil:
	case f.Data == "" && errors.Is(err, fs.ErrNotExist):
		return nil, origin{}, usagef("checkpoint %s was trained on the data in %s, which are not there any more (%w): tell their new place with --data", checkpoint, place, err)
	case errors.As(err, &format) && strings.HasPrefix(format.Found, "the label"):
		return nil, origin{}, usagef("checkpoint %s is of a network %s: %w", checkpoint, s.shape(), err)
	default:
		return nil, origin{}, err
	}
	found := newOrigin(place, images)
	if s.Origin.Train == "" { // an older checkpoint, or an imported one
		return images, found, nil
	}
	if p == bothParts && s.Origin.same(found, trainPart) {
		p = testPart
	} else if p == bothParts {
		p = trainPart
	}
	switch {
	case s.Origin.same(found, p):
	case f.Data == "":
		return nil, origin{}, usagef("%s: the %s or their labels are others than those of the checkpoint %s: want these, or --data for another set", place, p, checkpoint)
	case !another:
		return nil, origin{}, usagef("--data %s: the %s or their labels are others than those of the checkpoint %s%s", f.Data, p, checkpoint, s.Origin.from())
	default:
		e.tell(fmt.Sprintf("note: --data %s has other %s than the data that the checkpoint was trained on%s", f.Data, p, s.Origin.from()))
	}
	return images, found, nil
}

// from tells where data are from, if it is known.
func (o origin) from() string {
	switch o.Place {
	case "":
		return ""
	case mnistPlace:
		return ", MNIST"
	}
	return ", from " + o.Place
}

// recordedPlace returns where the data are that a checkpoint was trained on. Before
// checkpoints told, MNIST could be recognised by the measure of its pixels.
func (s settings) recordedPlace(checkpoint string, e *env) (string, error) {
	o := s.Origin
	switch {
	case o.Place != "":
		return o.Place, nil
	case s.digits():
		return mnistPlace, nil
	case s.imported && o.Train == "":
		e.tell("note: the imported checkpoint does not tell which data it was trained on, and without --data it is MNIST that is taken")
		return mnistPlace, nil
	case o.Train != "":
		return "", fmt.Errorf("checkpoint %s does not tell where the data are that it was trained on: want --data", checkpoint)
	}
	return "", fmt.Errorf("checkpoint %s does not tell which data it was trained on, and pixels of mean %v and deviation %v are not MNIST's: want --data", checkpoint, s.Mean, s.Std)
}

// digits returns whether the network learned MNIST.
func (s settings) digits() bool {
	if s.Origin.Train != "" {
		return s.Origin.Train == mnistTrainDigest
	}
	return s.Mean == mnistMean && s.Std == mnistStd
}

// fetchProgress shows a fetch: a bar for each file on a terminal, else a line
// for each place and each file.
type fetchProgress struct {
	env  *env
	last data.Progress
	line *progressLine
}

func (f *fetchProgress) report(p data.Progress) {
	if p.Stage != f.last.Stage || p.File != f.last.File {
		f.finish()
		what := "MNIST"
		if p.File != "" {
			what = p.File
		}
		if f.env.terminal && p.Done < p.Total && p.Done > 0 {
			f.line = &progressLine{env: f.env, what: what, total: p.Total}
		} else {
			f.env.tell(fmt.Sprintf("%s: %s", what, p.Stage))
		}
	}
	if f.line != nil {
		f.line.show(p.Done, fmt.Sprintf("%.1f of %.1f MB", float64(p.Done)/1e6, float64(p.Total)/1e6))
	}
	f.last = p
}

// finish removes the bar, if there is one.
func (f *fetchProgress) finish() {
	if f.line != nil {
		f.line.clear()
		f.line = nil
	}
}
