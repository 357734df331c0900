package media

import (
	"bytes"
	"image"
	"image/color"
)

// Limits of what decoding takes, known before it begins.
const (
	// maxDecoding is in bytes. Of what takes more than muchDecoding there is one at a
	// time.
	maxDecoding  = 256 << 20
	muchDecoding = 64 << 20
	// A scan of a JPEG is a pass over the whole picture, even if it has no more than
	// fifty bytes. Honest files have up to fourteen. maxScanned is how many samples all
	// scans pass: twenty scans of the largest progressive picture within maxDecoding.
	maxScans   = 64
	maxScanned = 1 << 30
)

// costOf is how many bytes decoding takes, about. What would take too many of them,
// or too much time, is ErrMuchToRead.
func costOf(k kind, data []byte, c image.Config) (int64, error) {
	pixels := float64(c.Width) * float64(c.Height)
	var cost float64
	switch k {
	case jpegFile:
		l := layoutOf(data)
		if l.scans > maxScans || float64(l.scans)*l.samples*pixels > maxScanned {
			return 0, ErrMuchToRead
		}
		cost = pixels * l.bytes
	case pngFile:
		cost = pixels * pngPerPixel(c.ColorModel)
	case webpFile:
		cost = webpCost(data, c)
	case gifFile:
		cost = pixels * 2 // an interlaced one is put in order in a second place
	}
	if cost > maxDecoding {
		return 0, ErrMuchToRead
	}
	return int64(cost), nil
}

// layout is what the segments of a JPEG say of the work that it makes.
type layout struct {
	scans          int
	samples, bytes float64 // for each pixel
}

func layoutOf(data []byte) layout {
	var frame segment
	var l layout
	adobeRGB := false
	for s := range jpegSegments(data) {
		switch {
		case s.marker == startOfScan:
			l.scans++
		case s.marker >= 0xc0 && s.marker <= 0xc2 && frame.data == nil:
			frame = s
		case s.marker == 0xee && len(s.data) >= 12 && bytes.HasPrefix(s.data, []byte("Adobe")):
			adobeRGB = adobeRGB || s.data[11] == 0
		}
	}
	l.samples, l.bytes = frame.perPixel(adobeRGB)
	return l
}

// perPixel is how many samples the frame of a JPEG has for each pixel, and how many
// bytes it takes: one for each sample; for a progressive picture, which is put
// together from its scans, a coefficient of four more; and four if it is written anew
// as RGB or CMYK.
func (s segment) perPixel(adobeRGB bool) (samples, size float64) {
	const worst = 4
	if len(s.data) < 6 || len(s.data) < 6+3*int(s.data[5]) {
		return worst, 5*worst + 4
	}
	var names []byte
	var all, across, down int
	for i := range int(s.data[5]) {
		component := s.data[6+3*i:]
		h, v := int(component[1]>>4), int(component[1]&15)
		all, across, down = all+h*v, max(across, h), max(down, v)
		names = append(names, component[0])
	}
	if across*down == 0 {
		return worst, 5*worst + 4
	}
	samples = float64(all) / float64(across*down)
	size = samples
	if s.marker == 0xc2 {
		size *= 5
	}
	if len(names) == 4 || len(names) == 3 && (adobeRGB || string(names) == "RGB") {
		size += 4
	}
	return samples, size
}

// pngPerPixel: grey may turn out to be transparent, and is four times as much then.
func pngPerPixel(model color.Model) float64 {
	per := 4.0
	switch model {
	case color.NRGBA64Model, color.RGBA64Model, color.Gray16Model:
		per = 8
	}
	return per * 1.5 // an interlaced one is put together from parts
}

// webpCost: two bytes for each pixel of a lossy picture. Without loss, as its alpha
// is, too, there are eight, and if the file says so a group of code trees for each
// sixteen pixels, of which the decoder takes 2,600.
func webpCost(data []byte, c image.Config) float64 {
	const maxGroups, group = 2600, 57 << 10
	pixels := float64(c.Width) * float64(c.Height)
	for name := range webpChunks(data) {
		if name == "VP8L" || name == "ALPH" {
			tiles := ((c.Width + 3) / 4) * ((c.Height + 3) / 4)
			return 8*pixels + group*float64(min(tiles, maxGroups))
		}
	}
	return 2 * pixels
}

// moves says whether a WebP is an animation.
func moves(data []byte) bool {
	for name, chunk := range webpChunks(data) {
		if name == "VP8X" {
			return len(chunk) > 0 && chunk[0]&2 != 0
		}
	}
	return false
}
