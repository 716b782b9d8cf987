package digit

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
)

// orientation says how a camera was held. It is the value of the Exif tag of that name,
// from 1 to 8 (Exif 2.32, CIPA DC-008, section 4.6.4 A).
type orientation int

const upright orientation = 1

// exifOrientation returns the orientation that a JPEG file tells, or upright where it
// tells none or nonsense.
func exifOrientation(jpeg []byte) orientation {
	const startOfImage, app1, startOfScan = 2, 0xe1, 0xda
	for at := startOfImage; at+4 <= len(jpeg) && jpeg[at] == 0xff && jpeg[at+1] != startOfScan; {
		length := int(binary.BigEndian.Uint16(jpeg[at+2:])) // counts itself
		segment := jpeg[at+4 : min(max(at+2+length, at+4), len(jpeg))]
		if tiff, ok := bytes.CutPrefix(segment, []byte("Exif\x00\x00")); ok && jpeg[at+1] == app1 {
			return tiffOrientation(tiff)
		}
		at += 2 + max(length, 2)
	}
	return upright
}

// tiffOrientation looks for the tag in the first directory of a TIFF file (TIFF 6.0,
// section 2). An Exif segment holds one.
func tiffOrientation(tiff []byte) orientation {
	const header, entry, tag, short = 8, 12, 0x0112, 3
	if len(tiff) < header {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	directory := uint64(order.Uint32(tiff[4:]))
	if directory+2 > uint64(len(tiff)) {
		return upright
	}
	entries := tiff[directory+2:]
	for range order.Uint16(tiff[directory:]) {
		if len(entries) < entry {
			break
		}
		if order.Uint16(entries) == tag && order.Uint16(entries[2:]) == short {
			if o := orientation(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
		}
		entries = entries[entry:]
	}
	return upright
}

// turn returns m upright.
func turn(m image.Image, o orientation) image.Image {
	if o == upright {
		return m
	}
	return &turned{m, sampler(m), o}
}

// turned is a view of a picture that was stored in another orientation.
type turned struct {
	image.Image
	stored      func(x, y int) color.RGBA64
	orientation orientation
}

func (t *turned) Bounds() image.Rectangle {
	b := t.Image.Bounds()
	if t.orientation >= 5 { // what was stored as rows are columns
		return image.Rect(0, 0, b.Dy(), b.Dx())
	}
	return image.Rect(0, 0, b.Dx(), b.Dy())
}

func (t *turned) At(x, y int) color.Color { return t.RGBA64At(x, y) }

func (t *turned) RGBA64At(x, y int) color.RGBA64 {
	b := t.Image.Bounds()
	column, row := x, y
	if t.orientation >= 5 {
		column, row = y, x
	}
	switch t.orientation {
	case 2, 3, 7, 8: // the first column is the right or lower side
		column = b.Dx() - 1 - column
	}
	switch t.orientation {
	case 3, 4, 6, 7: // the first row is the lower or right side
		row = b.Dy() - 1 - row
	}
	return t.stored(b.Min.X+column, b.Min.Y+row)
}
