package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"

	"golang.org/x/image/draw"
	"golang.org/x/image/webp"
)

// Limits of a picture.
const (
	MaxPixels = 40_000_000
	maxSide   = 20_000
)

// Why a file is not taken.
var (
	ErrNoImage     = errors.New("is not a JPEG, PNG, WebP or GIF image")
	ErrNoDocument  = errors.New("is neither a PDF nor a JPEG, PNG, WebP or GIF image")
	ErrUnreadable  = errors.New("is damaged or of a kind that can't be read")
	ErrManyPixels  = fmt.Errorf("has more than %d megapixels, or a side of more than %d pixels", MaxPixels/1_000_000, maxSide)
	ErrMuchToRead  = errors.New("takes too much memory or time to read; save it smaller, or as a plain JPEG")
	ErrAnimated    = errors.New("is an animated WebP, which can't be read; send a single picture")
	errNoDimension = errors.New("has no width or height")
)

// sizes are the longest sides in which a photo is kept, the largest first, with what
// a name gets and the quality of the JPEG. A smaller photo stays as it is.
var sizes = [...]struct {
	suffix        string
	side, quality int
}{{"", 2048, 85}, {"-1280", 1280, 82}, {"-320", 320, 80}}

// picture is an image before it is decoded.
type picture struct {
	kind kind
	data []byte
	cost int64 // bytes that decoding takes, about
}

// inspect finds out what an image is, and refuses it for what it would become.
func inspect(data []byte) (picture, error) {
	p := picture{kind: kindOf(data), data: data}
	var c image.Config
	var err error
	r := bytes.NewReader(data)
	switch p.kind {
	case jpegFile:
		c, err = jpeg.DecodeConfig(r)
	case pngFile:
		c, err = png.DecodeConfig(r)
	case webpFile:
		c, err = webp.DecodeConfig(r)
	case gifFile:
		c, err = gif.DecodeConfig(r)
	default:
		return p, ErrNoImage
	}
	if err == nil && (c.Width <= 0 || c.Height <= 0) {
		err = errNoDimension
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	pixels := int64(c.Width) * int64(c.Height)
	if c.Width > maxSide || c.Height > maxSide || pixels > MaxPixels {
		return p, ErrManyPixels
	}
	if p.kind == webpFile && moves(data) {
		return p, ErrAnimated
	}
	p.cost, err = costOf(p.kind, data, c)
	return p, err
}

func (p picture) decode() (image.Image, error) {
	var m image.Image
	var err error
	r := bytes.NewReader(p.data)
	switch p.kind {
	case jpegFile:
		m, err = jpeg.Decode(r)
	case pngFile:
		m, err = png.Decode(r)
	case webpFile:
		m, err = webp.Decode(r)
	case gifFile:
		m, err = gif.Decode(r) // the first picture of an animation
	}
	if err == nil && m.Bounds().Empty() {
		err = errNoDimension
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return m, nil
}

// render decodes a picture and encodes it anew, as JPEG in each of the first n
// sizes, turned as its EXIF says.
func (p picture) render(n int) ([][]byte, error) {
	m, err := p.decode()
	if err != nil {
		return nil, err
	}
	var out [][]byte
	for i, size := range sizes[:n] {
		small := shrink(m, size.side)
		if i == 0 {
			small = turn(small, orientation(p.kind, p.data))
		}
		var b bytes.Buffer
		if err := jpeg.Encode(&b, small, &jpeg.Options{Quality: size.quality}); err != nil {
			return nil, fmt.Errorf("encode photo: %w", err)
		}
		out = append(out, b.Bytes())
		m = small
	}
	return out, nil
}

// shrink makes the longer side of an image no longer than side, on a white ground.
// It halves as long as it can: each pixel is then the mean of four, which costs
// little time and no memory beside the result, and shows no false patterns.
func shrink(m image.Image, side int) *image.RGBA {
	for {
		w, h := m.Bounds().Dx(), m.Bounds().Dy()
		long := max(w, h)
		if long <= side {
			if rgba, ok := m.(*image.RGBA); ok && rgba.Opaque() {
				return rgba
			}
			return scale(m, w, h)
		}
		if long >= 2*side {
			m = scale(m, max(1, w/2), max(1, h/2))
			continue
		}
		m = scale(m, max(1, (w*side+long/2)/long), max(1, (h*side+long/2)/long))
	}
}

func scale(m image.Image, w, h int) *image.RGBA {
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	op := draw.Src
	if o, ok := m.(interface{ Opaque() bool }); !ok || !o.Opaque() {
		draw.Draw(dst, dst.Bounds(), image.White, image.Point{}, draw.Src)
		op = draw.Over
	}
	if m.Bounds().Size() == dst.Bounds().Size() {
		draw.Draw(dst, dst.Bounds(), m, m.Bounds().Min, op)
	} else {
		draw.ApproxBiLinear.Scale(dst, dst.Bounds(), m, m.Bounds(), op, nil)
	}
	return dst
}

// turn puts an image upright that is stored with an EXIF orientation.
func turn(m *image.RGBA, orientation int) *image.RGBA {
	if orientation == upright {
		return m
	}
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	across, down := w, h
	if orientation >= 5 {
		across, down = h, w
	}
	out := image.NewRGBA(image.Rect(0, 0, across, down))
	for y := range down {
		for x := range across {
			var sx, sy int
			switch orientation {
			case 2:
				sx, sy = w-1-x, y
			case 3:
				sx, sy = w-1-x, h-1-y
			case 4:
				sx, sy = x, h-1-y
			case 5:
				sx, sy = y, x
			case 6:
				sx, sy = y, h-1-x
			case 7:
				sx, sy = w-1-y, h-1-x
			case 8:
				sx, sy = w-1-y, x
			}
			binary.NativeEndian.PutUint32(out.Pix[out.PixOffset(x, y):], binary.NativeEndian.Uint32(m.Pix[m.PixOffset(sx, sy):]))
		}
	}
	return out
}
