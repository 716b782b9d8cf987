package digit_test

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"log"

	"github.com/halfgrad/halfgrad/data/digit"
)

// A photograph of a 1, say: a dark stroke on grey paper that is lit from the left.
func ExampleNormalize() {
	photo := image.NewGray(image.Rect(0, 0, 200, 150))
	for i := range photo.Pix {
		photo.Pix[i] = byte(220 - i%200/2)
	}
	draw.Draw(photo, image.Rect(140, 40, 152, 120), image.NewUniform(color.Gray{Y: 30}), image.Point{}, draw.Src)

	pixels, err := digit.Normalize(photo, digit.Height, digit.Width)
	if err != nil {
		log.Fatal(err)
	}
	for y := range digit.Height {
		line := ""
		for _, p := range pixels[y*digit.Width:][:digit.Width] {
			line += string(".#"[p/128])
		}
		if y < 6 || y > 21 {
			fmt.Println(line)
		}
	}
	// Output:
	// ............................
	// ............................
	// ............................
	// ............................
	// .............###............
	// .............###............
	// .............###............
	// .............###............
	// ............................
	// ............................
	// ............................
	// ............................
}
