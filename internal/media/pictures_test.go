package media_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"slices"
	"testing"
)

// The colours of the corners, clockwise from the top left.
var corners = [4]color.RGBA{{200, 20, 20, 255}, {20, 180, 20, 255}, {20, 20, 200, 255}, {230, 220, 30, 255}}

// quarters is a picture whose four quarters have the colours of corners.
func quarters(w, h int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			q := 0
			switch {
			case x >= w/2 && y < h/2:
				q = 1
			case x >= w/2:
				q = 2
			case y >= h/2:
				q = 3
			}
			m.SetRGBA(x, y, corners[q])
		}
	}
	return m
}

func jpegOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifOf(t testing.TB, frames ...color.Color) []byte {
	t.Helper()
	g := gif.GIF{}
	for _, c := range frames {
		g.Image = append(g.Image, image.NewPaletted(image.Rect(0, 0, 30, 20), color.Palette{c, color.White}))
		g.Delay = append(g.Delay, 10)
	}
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, &g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tiff is an EXIF structure with an orientation and a place where the photo was
// taken, 52°31' N.
func tiff(order binary.AppendByteOrder, orientation uint16) []byte {
	mark := []byte("MM\x00*")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		mark = []byte("II*\x00")
	}
	b := order.AppendUint32(mark, 8)
	b = order.AppendUint16(b, 2)
	entry := func(tag, kind uint16, count, value uint32) {
		b = order.AppendUint16(order.AppendUint16(b, tag), kind)
		b = order.AppendUint32(b, count)
		if kind == 3 {
			b = order.AppendUint16(order.AppendUint16(b, uint16(value)), 0)
			return
		}
		b = order.AppendUint32(b, value)
	}
	entry(0x0112, 3, 1, uint32(orientation))
	entry(0x8825, 4, 1, 38) // GPS directory
	b = order.AppendUint32(b, 0)
	b = order.AppendUint16(b, 1)
	entry(2, 5, 3, 56) // GPSLatitude
	b = order.AppendUint32(b, 0)
	for _, v := range []uint32{52, 1, 31, 1, 0, 1} {
		b = order.AppendUint32(b, v)
	}
	return append(b, "GPS-was-here"...)
}

// segmentOf is a segment of a JPEG.
func segmentOf(marker byte, data ...byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2))
	return append(b, data...)
}

// withSegment puts a segment behind the first marker of a JPEG.
func withSegment(jpg []byte, marker byte, data []byte) []byte {
	return slices.Concat(jpg[:2], segmentOf(marker, data...), jpg[2:])
}

// frameOf is the segment that says how a JPEG is made.
func frameOf(marker byte, w, h int, sampling ...byte) []byte {
	b := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(len(sampling))}
	for i, s := range sampling {
		b = append(b, byte(i+1), s, 0)
	}
	return segmentOf(marker, b...)
}

// scanned is a JPEG of n scans of its first component, with something before each. A
// scan holds zeros alone: they say that there is nothing in the blocks, in a
// progressive picture for 16,384 at a time.
func scanned(n int, frame, before []byte) []byte {
	const progressive = 0xc2
	across, down := int(frame[7])<<8|int(frame[8]), int(frame[5])<<8|int(frame[6])
	blocks := (across + 7) / 8 * ((down + 7) / 8)
	code, scan := byte(0), []byte{1, 1, 0, 0, 63, 0}
	data := make([]byte, blocks/4+1)
	if frame[1] == progressive {
		code, scan[3] = 0xe0, 1
		data = make([]byte, 2*(blocks/16384+1))
	}
	ones := bytes.Repeat([]byte{1}, 64)
	b := slices.Concat([]byte{0xff, 0xd8}, segmentOf(0xdb, append([]byte{0}, ones...)...), frame)
	for class, value := range map[byte]byte{0x00: 0, 0x10: code} { // each has one code, of one bit
		b = append(b, segmentOf(0xc4, append(append([]byte{class, 1}, make([]byte, 15)...), value)...)...)
	}
	for range n {
		b = slices.Concat(b, before, segmentOf(0xda, scan...), data)
	}
	return append(b, 0xff, 0xd9)
}

func withExif(jpg, exif []byte) []byte {
	return withSegment(jpg, 0xe1, append([]byte("Exif\x00\x00"), exif...))
}

// chunk is a chunk of a PNG.
func chunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

const pngHead = 8 + 25 // the magic and IHDR

func pngWithExif(p, exif []byte) []byte {
	return bytes.Join([][]byte{p[:pngHead], chunk("eXIf", exif), p[pngHead:]}, nil)
}

// bomb is a PNG that says it has so many pixels.
func bomb(w, h uint32, depth, colours byte) []byte {
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	head = append(head, depth, colours, 0, 0, 0)
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", head), chunk("IDAT", []byte{0x78, 0x9c, 1, 0, 0, 0xff, 0xff}), chunk("IEND", nil)}, nil)
}

// webpOf is a lossless WebP of one colour: every pixel takes no bits at all.
func webpOf(w, h int, c color.RGBA, exif []byte) []byte {
	var bits []byte
	n := 0
	put := func(v, count int) {
		for i := range count {
			if n%8 == 0 {
				bits = append(bits, 0)
			}
			bits[n/8] |= byte(v>>i&1) << (n % 8)
			n++
		}
	}
	put(0x2f, 8)
	put(w-1, 14)
	put(h-1, 14)
	put(0, 1+3)                                                          // no alpha, version 0
	put(0, 1+1+1)                                                        // no transform, no cache, no meta codes
	for _, symbol := range []int{int(c.G), int(c.R), int(c.B), 255, 0} { // the last one is for distances
		put(1, 1) // a simple code
		put(0, 1) // of one symbol
		put(1, 1) // of eight bits
		put(symbol, 8)
	}
	body := webpChunk("VP8L", bits)
	if exif != nil {
		body = slices.Concat(webpHead(1<<3, w, h), body, webpChunk("EXIF", exif))
	}
	return webpFile(body)
}

// webpChunk is a chunk of a WebP.
func webpChunk(name string, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(name), uint32(len(data)))
	b = append(b, data...)
	return append(b, make([]byte, len(data)%2)...)
}

// webpHead is the chunk that says what else there is.
func webpHead(flags byte, w, h int) []byte {
	return webpChunk("VP8X", []byte{flags, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), 0, byte(h - 1), byte((h - 1) >> 8), 0})
}

func webpFile(chunks ...[]byte) []byte {
	return webpChunk("RIFF", append([]byte("WEBP"), slices.Concat(chunks...)...))
}

// lossy is a chunk with the head of a lossy picture and nothing in it.
func lossy(w, h int) []byte {
	return webpChunk("VP8 ", []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, byte(w), byte(w >> 8), byte(h), byte(h >> 8)})
}

// animated is a WebP that moves; of its pictures there is none.
func animated(w, h int) []byte {
	return webpFile(webpHead(1<<1, w, h), webpChunk("ANIM", make([]byte, 6)), webpChunk("ANMF", make([]byte, 16)))
}

func decoded(t *testing.T, data []byte) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("what was written is no JPEG: %v", err)
	}
	return m
}

// near says whether two colours look the same.
func near(a, b color.Color) bool {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	far := func(x, y uint32) bool { return max(x, y)-min(x, y) > 12<<8 }
	return !far(r1, r2) && !far(g1, g2) && !far(b1, b2)
}

// cornersOf are the colours near the corners, clockwise from the top left.
func cornersOf(m image.Image) [4]color.Color {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	return [4]color.Color{m.At(w/8, h/8), m.At(w-1-w/8, h/8), m.At(w-1-w/8, h-1-h/8), m.At(w/8, h-1-h/8)}
}
