package media_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"runtime"
	"strings"
	"testing"

	"larder/internal/media"
)

func render(t *testing.T, data []byte) []image.Image {
	t.Helper()
	out, err := media.Render(data)
	if err != nil {
		t.Fatal(err)
	}
	var list []image.Image
	for _, b := range out {
		list = append(list, decoded(t, b))
	}
	return list
}

func TestOnlyThePictureSurvives(t *testing.T) {
	const script = "<script>alert(1)</script>"
	plain := jpegOf(t, quarters(300, 200))
	for name, data := range map[string][]byte{
		"EXIF with a place":   withExif(plain, tiff(binary.BigEndian, 1)),
		"a comment":           withSegment(plain, 0xfe, []byte(script)),
		"XMP":                 withSegment(plain, 0xe1, []byte("http://ns.adobe.com/xap/1.0/\x00"+script)),
		"a page behind it":    append(bytes.Clone(plain), script...),
		"a ZIP behind it":     append(bytes.Clone(plain), "PK\x03\x04GPS-was-here"...),
		"PNG with a place":    pngWithExif(pngOf(t, quarters(300, 200)), tiff(binary.LittleEndian, 1)),
		"PNG with text":       append(bytes.Clone(pngOf(t, quarters(300, 200))[:pngHead]), append(chunk("tEXt", []byte("Comment\x00"+script)), pngOf(t, quarters(300, 200))[pngHead:]...)...),
		"WebP with a place":   webpOf(300, 200, corners[0], tiff(binary.BigEndian, 1)),
		"a page behind a GIF": append(gifOf(t, corners[0]), script...),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := media.Render(data)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range out {
				for _, word := range []string{"Exif", "GPS-was-here", "script", "Comment"} {
					if bytes.Contains(b, []byte(word)) {
						t.Errorf("size %d still holds %q", i, word)
					}
				}
				decoded(t, b)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		w, h int
		want [3]image.Point
	}{
		{4000, 3000, [3]image.Point{{2048, 1536}, {1280, 960}, {320, 240}}},
		{1000, 2500, [3]image.Point{{819, 2048}, {512, 1280}, {128, 320}}},
		{2048, 10, [3]image.Point{{2048, 10}, {1280, 6}, {320, 1}}},
		{9000, 2, [3]image.Point{{2048, 1}, {1280, 1}, {320, 1}}},
		{300, 200, [3]image.Point{{300, 200}, {300, 200}, {300, 200}}},
		{1, 1, [3]image.Point{{1, 1}, {1, 1}, {1, 1}}},
	} {
		for i, m := range render(t, jpegOf(t, quarters(c.w, c.h))) {
			if got := m.Bounds().Size(); got != c.want[i] {
				t.Errorf("%d x %d, size %d: got %v, want %v", c.w, c.h, i, got, c.want[i])
			}
			if c.w < 1000 || c.h < 1000 {
				continue
			}
			for j, got := range cornersOf(m) {
				if !near(got, corners[j]) {
					t.Errorf("%d x %d, size %d, corner %d: got %v, want %v", c.w, c.h, i, j, got, corners[j])
				}
			}
		}
	}
}

// shown says which corner of the stored picture is shown at each corner.
var shown = map[uint16][4]int{
	1: {0, 1, 2, 3}, 2: {1, 0, 3, 2}, 3: {2, 3, 0, 1}, 4: {3, 2, 1, 0},
	5: {0, 3, 2, 1}, 6: {3, 0, 1, 2}, 7: {2, 1, 0, 3}, 8: {1, 2, 3, 0},
	0: {0, 1, 2, 3}, 9: {0, 1, 2, 3},
}

func TestPhotosStandUpright(t *testing.T) {
	picture := quarters(120, 80)
	for orientation, want := range shown {
		for name, data := range map[string][]byte{
			"JPEG, big endian":    withExif(jpegOf(t, picture), tiff(binary.BigEndian, orientation)),
			"JPEG, little endian": withExif(jpegOf(t, picture), tiff(binary.LittleEndian, orientation)),
			"JPEG behind JFIF":    withSegment(withExif(jpegOf(t, picture), tiff(binary.BigEndian, orientation)), 0xe0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")),
			"PNG":                 pngWithExif(pngOf(t, picture), tiff(binary.BigEndian, orientation)),
		} {
			m := render(t, data)[0]
			if size := m.Bounds().Size(); (size.X == 80) != (orientation >= 5 && orientation <= 8) {
				t.Errorf("%s, orientation %d: size %v", name, orientation, size)
			}
			for i, got := range cornersOf(m) {
				if !near(got, corners[want[i]]) {
					t.Errorf("%s, orientation %d, corner %d: got %v, want %v", name, orientation, i, got, corners[want[i]])
				}
			}
		}
		if got := render(t, webpOf(120, 80, corners[2], tiff(binary.LittleEndian, orientation)))[0]; (got.Bounds().Dx() == 80) != (orientation >= 5 && orientation <= 8) {
			t.Errorf("WebP, orientation %d: %v", orientation, got.Bounds())
		} else if !near(got.At(40, 40), corners[2]) {
			t.Errorf("WebP: got %v", got.At(40, 40))
		}
	}
}

func TestBrokenEXIFIsNone(t *testing.T) {
	good := tiff(binary.BigEndian, 6)
	for i := range good {
		if got := media.TIFFOrientation(good[:i]); got != 1 && i < 18 {
			t.Errorf("%d bytes: got %d", i, got)
		}
	}
	if got := media.TIFFOrientation(good); got != 6 {
		t.Errorf("got %d, want 6", got)
	}
	far := binary.BigEndian.AppendUint32([]byte("MM\x00*"), 0xffffffff)
	long := bytes.Clone(good)
	long[8+2+2+1] = 4 // LONG where SHORT is right
	for name, b := range map[string][]byte{"far away": far, "another type": long, "no mark": []byte("XX\x00*00000000")} {
		if got := media.TIFFOrientation(b); got != 1 {
			t.Errorf("%s: got %d", name, got)
		}
	}
}

func TestTransparentIsWhiteAndMovingIsStill(t *testing.T) {
	clear := image.NewNRGBA(image.Rect(0, 0, 40, 40))
	for x := range 20 {
		for y := range 40 {
			clear.Set(x, y, corners[0])
		}
	}
	m := render(t, pngOf(t, clear))[0]
	if !near(m.At(5, 20), corners[0]) || !near(m.At(35, 20), color.White) {
		t.Errorf("transparent PNG: got %v and %v", m.At(5, 20), m.At(35, 20))
	}
	if m := render(t, gifOf(t, corners[1], corners[2]))[0]; !near(m.At(10, 10), corners[1]) {
		t.Errorf("GIF: got %v, want the first picture, %v", m.At(10, 10), corners[1])
	}
}

// header is a JPEG as far as its frame header.
func header(marker byte, w, h uint16, sampling ...byte) []byte {
	b := []byte{8}
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, h), w)
	b = append(b, byte(len(sampling)))
	for i, s := range sampling {
		b = append(b, byte(i+1), s, 0)
	}
	return withSegment([]byte{0xff, 0xd8, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0}, marker, b)
}

func TestWhatIsRefused(t *testing.T) {
	plain := jpegOf(t, quarters(64, 64))
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"nothing":                 {nil, media.ErrNoImage},
		"text":                    {[]byte("hello"), media.ErrNoImage},
		"SVG":                     {[]byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), media.ErrNoImage},
		"HEIC":                    {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), media.ErrNoImage},
		"PDF":                     {[]byte("%PDF-1.7\n"), media.ErrNoImage},
		"RIFF that is sound":      {[]byte("RIFF\x00\x00\x00\x00WAVEfmt "), media.ErrNoImage},
		"JPEG behind a page":      {append([]byte("<html>"), plain...), media.ErrNoImage},
		"JPEG magic alone":        {[]byte("\xff\xd8\xff"), media.ErrUnreadable},
		"half a JPEG":             {plain[:len(plain)/2], media.ErrUnreadable},
		"half a PNG":              {pngOf(t, quarters(64, 64))[:60], media.ErrUnreadable},
		"PNG bomb":                {bomb(50_000, 50_000, 8, 2), media.ErrManyPixels},
		"PNG as long as it gets":  {bomb(1<<31-1, 1, 1, 0), media.ErrManyPixels},
		"just too many pixels":    {bomb(8000, 5001, 1, 0), media.ErrManyPixels},
		"as many as there may be": {bomb(8000, 5000, 1, 0), media.ErrUnreadable}, // it has no content
		"PNG of 16 bits":          {bomb(8000, 5000, 16, 6), media.ErrMuchToRead},
		"PNG without width":       {bomb(0, 10, 8, 2), media.ErrUnreadable},
		"JPEG of 65535 x 65535":   {header(0xc0, 65535, 65535, 0x22, 0x11, 0x11), media.ErrManyPixels},
		"large JPEG":              {header(0xc0, 8000, 5000, 0x11, 0x11, 0x11), media.ErrUnreadable}, // it has no content
		"large progressive JPEG":  {header(0xc2, 8000, 5000, 0x11, 0x11, 0x11), media.ErrMuchToRead},
		"WebP of 16383 x 16383":   {webpOf(16383, 16383, corners[0], nil), media.ErrManyPixels},
		"WebP with a false frame": {webpLie(), media.ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := media.Render(c.data)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 && c.want != media.ErrUnreadable {
				t.Errorf("took %d bytes", took)
			}
		})
	}
}

// webpLie says in its head that it is small, and is not.
func webpLie() []byte {
	b := webpOf(16383, 16383, corners[0], []byte("x"))
	i := bytes.Index(b, []byte("VP8X"))
	b[i+12], b[i+13], b[i+15], b[i+16] = 9, 0, 9, 0
	return b
}

func TestCostOfDecoding(t *testing.T) {
	const million = 1_000_000
	for name, c := range map[string]struct {
		data []byte
		want int64
	}{
		"4:2:0":                 {header(0xc0, 1000, 1000, 0x22, 0x11, 0x11), 1.5 * million},
		"4:4:4":                 {header(0xc0, 1000, 1000, 0x11, 0x11, 0x11), 3 * million},
		"grey":                  {header(0xc0, 1000, 1000, 0x11), million},
		"progressive 4:2:0":     {header(0xc2, 1000, 1000, 0x22, 0x11, 0x11), 7.5 * million},
		"fill bytes before it":  {append([]byte{0xff, 0xd8, 0xff, 0xff}, header(0xc0, 1000, 1000, 0x22, 0x11, 0x11)[2:]...), 1.5 * million},
		"rubbish before it":     {append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, 2, 0x12, 0x34}, header(0xc0, 1000, 1000, 0x22, 0x11, 0x11)[2:]...), 20 * million},
		"PNG of 8 bits":         {bomb(1000, 1000, 8, 6), 6 * million},
		"WebP without a header": {webpOf(1000, 1000, corners[0], nil), 8 * million},
	} {
		if got, err := media.Cost(c.data); err != nil || got != c.want {
			t.Errorf("%s: got %d, %v, want %d", name, got, err, c.want)
		}
	}
}

// Of a file that breaks off, and of one with a wrong byte, nobody gets a panic.
func TestDamagedFiles(t *testing.T) {
	for name, data := range map[string][]byte{
		"JPEG": withExif(jpegOf(t, quarters(24, 16)), tiff(binary.BigEndian, 6)), "PNG": pngOf(t, quarters(24, 16)),
		"GIF": gifOf(t, corners[0], corners[1]), "WebP": webpOf(24, 16, corners[0], tiff(binary.BigEndian, 6)),
	} {
		t.Run(name, func(t *testing.T) {
			for i := range data {
				if _, err := media.Render(data[:i]); err == nil && i < len(data)/4 {
					t.Errorf("%d of %d bytes were taken", i, len(data))
				}
				wrong := bytes.Clone(data)
				wrong[i] ^= 0x55
				_, _ = media.Render(wrong)
			}
		})
	}
}

func FuzzOrientation(f *testing.F) {
	for o := range uint16(10) {
		f.Add(tiff(binary.BigEndian, o))
		f.Add(tiff(binary.LittleEndian, o))
	}
	plain := jpegOf(f, quarters(8, 8))
	f.Add(withExif(plain, tiff(binary.BigEndian, 3)))
	f.Add(pngWithExif(pngOf(f, quarters(8, 8)), tiff(binary.BigEndian, 3)))
	f.Add(webpOf(8, 8, corners[0], tiff(binary.BigEndian, 3)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, got := range []int{media.Orientation(data), media.TIFFOrientation(data), media.Orientation(withExif(plain, data[:min(len(data), 60_000)]))} {
			if got < 1 || got > 8 {
				t.Errorf("got %d", got)
			}
		}
	})
}

func FuzzIntake(f *testing.F) {
	f.Add(withExif(jpegOf(f, quarters(24, 16)), tiff(binary.BigEndian, 6)))
	f.Add(pngOf(f, quarters(24, 16)))
	f.Add(gifOf(f, corners[0], corners[1]))
	f.Add(webpOf(24, 16, corners[0], tiff(binary.BigEndian, 6)))
	f.Add(bomb(50_000, 50_000, 8, 2))
	f.Fuzz(func(t *testing.T, data []byte) {
		if cost, err := media.Cost(data); err != nil || cost > 4<<20 {
			return // large ones are slow, and no other
		}
		out, err := media.Render(data)
		if err != nil {
			if !errors.Is(err, media.ErrUnreadable) {
				t.Errorf("got %v", err)
			}
			return
		}
		for _, b := range out {
			again, err := media.Render(b)
			if err != nil || len(again) != len(out) || strings.Contains(string(b), "Exif") {
				t.Errorf("what was written can't be read: %v", err)
			}
		}
	})
}
