package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/halfgrad/halfgrad/data"
	"github.com/halfgrad/halfgrad/data/digit"
	"github.com/halfgrad/halfgrad/nn"
	"github.com/halfgrad/halfgrad/tensor"
)

type predictCmd struct {
	Checkpoint string   `default:"halfgrad-run" help:"Checkpoint that halfgrad train wrote, or its folder." placeholder:"FILE"`
	Images     []string `arg:"" name:"image" help:"Pictures, of a digit each where the network has learned MNIST: PNG, JPEG, GIF, WebP, TIFF or BMP, of any size; - is the standard input. Those that cannot be read are reported after the others."`
	Raw        bool     `help:"Take the pixels as they are, of pictures of exactly the size that the network learned from. Without it, a network that learned MNIST, or a set that is scaled and centred like it, gets what the picture shows scaled, centred and light on dark; any other network gets the whole picture, scaled."`
	Top        int      `default:"3" help:"How many classes to show, the likeliest first." placeholder:"N"`
	Show       bool     `help:"Show what the network sees."`
	JSON       bool     `help:"Print JSON: an object for each picture."`
	Threads    int      `help:"Threads; without it, all cores." placeholder:"N"`
	Kernel     string   `default:"auto" help:"Kernel tier: auto, or one that 'halfgrad info' lists." placeholder:"TIER"`
}

// prediction is what `halfgrad predict --json` prints for each picture.
type prediction struct {
	File          string    `json:"file"` // as it was given
	Class         int       `json:"class"`
	Probability   float32   `json:"probability"`
	Probabilities []float32 `json:"probabilities"`    // of all classes, in their order
	Raw           bool      `json:"raw"`              // whether the pixels were taken as they are
	Notice        string    `json:"notice,omitempty"` // why the picture may be no digit at all
}

func (c *predictCmd) Run(ctx context.Context, e *env) error {
	switch {
	case c.Top < 1:
		return usagef("--top %d: want 1 or more", c.Top)
	case c.Show && c.JSON:
		return usagef("--show and --json: want one of them")
	}
	p, err := loadPredictor(c.Checkpoint)
	if err != nil {
		return err
	}
	engine, err := newEngine(c.Kernel, c.Threads)
	if err != nil {
		return err
	}
	if p.plan, err = p.model.Plan(nn.PlanConfig{Engine: engine, Batch: 1, Precision: p.dtype()}); err != nil {
		return err
	}
	var bad []error
	for _, file := range c.Images {
		if err := ctx.Err(); err != nil {
			return err
		}
		pixels, raw, err := c.pixels(ctx, file, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			bad = append(bad, err)
			continue
		}
		probabilities, err := p.predict(pixels)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		prediction := newPrediction(file, probabilities, raw)
		if prediction.Notice = p.notice(pixels, prediction.Probability); prediction.Notice != "" && !c.JSON {
			e.tell(fmt.Sprintf("note: %s is perhaps no digit: %s", file, prediction.Notice))
		}
		if err := c.print(e.stdout, prediction, pixels, p.width); err != nil {
			return err
		}
	}
	if bad != nil {
		return usageError{errors.Join(bad...)}
	}
	return nil
}

// pixels returns the input of the network for a picture, height·width pixels, and
// whether these are the pixels of the picture itself.
func (c *predictCmd) pixels(ctx context.Context, file string, p *predictor) (pixels []byte, raw bool, err error) {
	m, err := readPicture(ctx, file)
	if err == nil {
		pixels, err = digit.Raw(m, p.height, p.width)
		switch like := p.centered(); {
		case c.Raw:
			raw = true
		case err == nil && gray(m) && (!like || digit.IsNormalized(pixels, p.height, p.width)):
			raw = true
		case like:
			pixels, err = digit.Normalize(m, p.height, p.width)
		default:
			pixels, err = digit.Fit(m, p.height, p.width)
		}
	}
	var path *os.PathError
	if err != nil && !errors.As(err, &path) { // which names the file
		err = fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "digit: "))
	}
	return pixels, raw, err
}

// centered returns whether the network learned images that are scaled and centred as
// MNIST's are. Older and imported checkpoints do not tell; they count as such.
func (p *predictor) centered() bool { return p.Origin.Train == "" || p.Origin.Centered }

// readPicture decodes a file, or the standard input for "-". It returns ctx's error when
// that is cancelled, even while it waits for the other end of a pipe.
func readPicture(ctx context.Context, file string) (image.Image, error) {
	type result struct {
		picture image.Image
		err     error
	}
	done := make(chan result, 1)
	go func() {
		m, err := decodeFile(file)
		done <- result{m, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		return r.picture, r.err
	}
}

func decodeFile(file string) (image.Image, error) {
	if file == "-" {
		return digit.Decode(os.Stdin)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return digit.Decode(f)
}

// gray returns whether a picture is grey all over, and opaque.
func gray(m image.Image) bool {
	b := m.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, g, b, a := m.At(x, y).RGBA(); r != g || g != b || a != math.MaxUint16 {
				return false
			}
		}
	}
	return true
}

func newPrediction(file string, probabilities []float32, raw bool) prediction {
	class := nn.Argmax(probabilities)
	return prediction{File: file, Class: class, Probability: probabilities[class], Probabilities: probabilities, Raw: raw}
}

// unsure is the probability of the likeliest class below which a picture may be no digit.
//
// TestPredictNotice measures how often predict then says so. It is a hint, not a filter:
// most printed letters pass for some digit. Of MNIST's images that it marks, 41 % and
// 29 % are indeed misread.
//
//	of                            halfgrad train    --recipe mnist --epochs 4
//	MNIST's test images           1.1 %             3.3 %
//	… those that are misread      23 %              72 %
//	printed digits                2 of 40           1 of 40
//	printed letters               19 of 160         82 of 160
//	words, numbers of two digits  10 of 32          28 of 32
const unsure = 0.6

// notice tells why a picture may show no digit, given the pixels that the network saw
// and the probability of its answer. It returns "" where nothing is wrong, and for a
// network that has not learned digits.
func (p *predictor) notice(pixels []byte, probability float32) string {
	if !p.digits() || len(pixels) != digit.Height*digit.Width {
		return ""
	}
	if why := digit.Unlike(pixels); why != "" {
		return why
	}
	if probability < unsure {
		return fmt.Sprintf("the network is not sure of any class, and of %.2f at best", probability)
	}
	return ""
}

// print shows a prediction, and the pixels that it was made from, in the form that
// the flags ask for.
func (c *predictCmd) print(w io.Writer, p prediction, pixels []byte, width int) error {
	if c.JSON {
		return json.NewEncoder(w).Encode(p)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d (%.4f)", p.File, p.Class, p.Probability)
	classes := make([]int, len(p.Probabilities))
	for i := range classes {
		classes[i] = i
	}
	slices.SortStableFunc(classes, func(i, j int) int { return cmp.Compare(p.Probabilities[j], p.Probabilities[i]) })
	for i, class := range classes[1:min(c.Top, len(classes))] {
		separator := ", then "
		if i > 0 {
			separator = ", "
		}
		fmt.Fprintf(&b, "%s%d (%.4f)", separator, class, p.Probabilities[class])
	}
	b.WriteByte('\n')
	if c.Show {
		shade(&b, pixels, width)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// shade draws pixels, in rows of width, as characters, two to each pixel.
func shade(b *strings.Builder, pixels []byte, width int) {
	shades := [...]string{"  ", "░░", "▒▒", "▓▓", "██"}
	for row := range slices.Chunk(pixels, width) {
		for _, p := range row {
			b.WriteString(shades[int(p)*len(shades)/256])
		}
		b.WriteByte('\n')
	}
}

// predictor is a network that tells the class of an image.
type predictor struct {
	*network
	plan          *nn.Plan // of one image
	height, width int      // of the images
}

// loadPredictor returns the network in a checkpoint. The caller sets the engine.
func loadPredictor(path string) (*predictor, error) {
	n, err := loadNetwork(path)
	if err != nil {
		return nil, err
	}
	p := &predictor{network: n, height: n.Height, width: n.Width}
	if in := n.Widths[0]; n.Height == 0 { // it was trained by others
		p.height = int(math.Sqrt(float64(in)))
		if p.width = p.height; p.height*p.width != in {
			return nil, usagef("checkpoint %s is of a network %s, and does not tell the size of its images: want it to be from square ones, of which %d pixels are none", path, n.shape(), in)
		}
	}
	return p, nil
}

// predict returns the probability of each class for an image of height·width pixels:
// the softmax of the network's outputs.
func (p *predictor) predict(pixels []byte) ([]float32, error) {
	image := data.Images{N: 1, H: p.height, W: p.width, Classes: 1, Pixels: pixels, Labels: []int32{0}}
	ds := image.Standardized(p.Mean, p.Std)
	sample := data.NewSample(ds)
	if err := ds.Sample(0, sample); err != nil {
		return nil, err
	}
	x := tensor.New(p.dtype(), 1, len(pixels))
	x.Matrix().StoreRow(sample.Inputs[0].F32(), 0)
	if err := p.plan.Forward(nn.Position{}, []*tensor.Tensor{x}, false); err != nil {
		return nil, err
	}
	logits := p.plan.Output(0)
	if logits.FirstNonFinite() >= 0 {
		return nil, errors.New("the network's outputs are not all finite: it overflows, or its weights are damaged")
	}
	probabilities := make([]float32, logits.Len())
	logits.Elements().Load(probabilities)
	nn.Probabilities(probabilities)
	return probabilities, nil
}
