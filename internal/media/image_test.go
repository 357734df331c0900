package media_test

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"runtime"
	"slices"
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
	late := withSegment(withExif([]byte{0xff, 0xd8}, good), 0xda, []byte{1, 1, 0, 0, 63, 0})
	if got := media.Orientation(late); got != 1 {
		t.Errorf("behind the first scan: got %d", got)
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

// header is a JPEG as far as the head of its first scan.
func header(marker byte, w, h int, sampling ...byte) []byte {
	return slices.Concat([]byte{0xff, 0xd8}, frameOf(marker, w, h, sampling...), segmentOf(0xda, 1, 1, 0, 0, 63, 0))
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
		"JPEG of 65 scans":        {scanned(65, frameOf(0xc2, 64, 64, 0x11), nil), media.ErrMuchToRead},
		"large JPEG of 27 scans":  {scanned(27, frameOf(0xc2, 20_000, 2000, 0x11), nil), media.ErrMuchToRead},
		"WebP that moves":         {animated(64, 64), media.ErrAnimated},
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
	adobe := append([]byte("Adobe\x00\x64\x00\x00\x00\x00"), 0)
	rgb := header(0xc0, 1000, 1000, 0x11, 0x11, 0x11)
	rgb[12], rgb[15], rgb[18] = 'R', 'G', 'B'
	torn := webpFile(webpHead(0, 10, 10), webpOf(10, 10, corners[0], nil)[12:])
	for name, c := range map[string]struct {
		data []byte
		want int64
	}{
		"4:2:0":                {header(0xc0, 1000, 1000, 0x22, 0x11, 0x11), 1.5 * million},
		"4:4:4":                {header(0xc0, 1000, 1000, 0x11, 0x11, 0x11), 3 * million},
		"grey":                 {header(0xc0, 1000, 1000, 0x11), million},
		"progressive 4:2:0":    {header(0xc2, 1000, 1000, 0x22, 0x11, 0x11), 7.5 * million},
		"fill bytes before it": {append([]byte{0xff, 0xd8, 0xff, 0xff}, header(0xc0, 1000, 1000, 0x22, 0x11, 0x11)[2:]...), 1.5 * million},
		"rubbish before it":    {append([]byte{0xff, 0xd8, 0xff, 0xfe, 0, 2, 0x12, 0x34}, header(0xc0, 1000, 1000, 0x22, 0x11, 0x11)[2:]...), 1.5 * million},
		"CMYK":                 {header(0xc0, 1000, 1000, 0x11, 0x11, 0x11, 0x11), 8 * million},
		"RGB by Adobe":         {withSegment(header(0xc0, 1000, 1000, 0x11, 0x11, 0x11), 0xee, adobe), 7 * million},
		"RGB by name":          {rgb, 7 * million},
		"PNG of 8 bits":        {bomb(1000, 1000, 8, 6), 6 * million},
		"PNG of 1 grey bit":    {bomb(1000, 1000, 1, 0), 6 * million},
		"PNG of 16 grey bits":  {bomb(1000, 1000, 16, 0), 12 * million},
		"GIF":                  {[]byte("GIF89a\xe8\x03\xe8\x03\x00\x00\x00"), 2 * million},
		"lossy WebP":           {webpFile(lossy(1000, 1000)), 2 * million},
		"WebP with alpha":      {webpFile(webpHead(1<<4, 1000, 1000), webpChunk("ALPH", []byte{1}), lossy(1000, 1000)), 8*million + 2600*57<<10},
		"lossless WebP":        {webpOf(1000, 1000, corners[0], nil), 8*million + 2600*57<<10},
		"small lossless WebP":  {webpOf(9, 8, corners[0], nil), 8*9*8 + 6*57<<10},
		"WebP with a torn end": {torn[:len(torn)-2], 8*10*10 + 9*57<<10},
	} {
		if got, err := media.Cost(c.data); err != nil || got != c.want {
			t.Errorf("%s: got %d, %v, want %d", name, got, err, c.want)
		}
	}
}

// Each scan is a pass over the picture, whatever stands before it.
func TestScansAreCounted(t *testing.T) {
	for name, before := range map[string][]byte{
		"nothing":       nil,
		"a fill byte":   {0xff},
		"fill bytes":    {0xff, 0xff, 0xff},
		"a stuffed 255": {0xff, 0x00},
		"a restart":     {0xff, 0xd3},
		"rubbish":       {0x12, 0x34, 0x56},
		"a comment":     segmentOf(0xfe, segmentOf(0xda, 0xff, 0xda)...), // what looks like a scan in it is none
		"a long one":    segmentOf(0xe5, bytes.Repeat([]byte{0xff, 0xda}, 1000)...),
	} {
		for kind, marker := range map[string]byte{"baseline": 0xc0, "extended": 0xc1, "progressive": 0xc2} {
			frame := frameOf(marker, 64, 48, 0x11)
			most := scanned(64, frame, before)
			behind := slices.Concat(most, []byte{0, 2}, segmentOf(0xda, 0xff, 0xda))
			if out, err := media.Render(behind); err != nil {
				t.Errorf("%s before each of 64 %s scans: %v", name, kind, err)
			} else if got := decoded(t, out[0]).Bounds().Size(); got != image.Pt(64, 48) {
				t.Errorf("%s before each of 64 %s scans: size %v", name, kind, got)
			}
			if _, err := media.Render(scanned(65, frame, before)); !errors.Is(err, media.ErrMuchToRead) {
				t.Errorf("%s before each of 65 %s scans: got %v", name, kind, err)
			}
		}
	}
}

func TestLargePicturesHaveFewerScans(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		most  int
	}{
		"grey, 40 megapixels":     {frameOf(0xc2, 20_000, 2000, 0x11), 26},
		"progressive 4:4:4, 17.6": {frameOf(0xc2, 4200, 4200, 0x11, 0x11, 0x11), 20},
		"progressive 4:2:0, 35":   {frameOf(0xc2, 7000, 5000, 0x22, 0x11, 0x11), 20},
		"baseline 4:4:4, 36":      {frameOf(0xc0, 6000, 6000, 0x11, 0x11, 0x11), 9},
		"CMYK, 30":                {frameOf(0xc0, 6000, 5000, 0x11, 0x11, 0x11, 0x11), 8},
		"progressive 4:2:0, 12":   {frameOf(0xc2, 4000, 3000, 0x22, 0x11, 0x11), 59},
	} {
		if _, err := media.Cost(scanned(c.most, c.frame, nil)); err != nil {
			t.Errorf("%s, %d scans: %v", name, c.most, err)
		}
		if _, err := media.Cost(scanned(c.most+1, c.frame, nil)); !errors.Is(err, media.ErrMuchToRead) {
			t.Errorf("%s, %d scans: got %v", name, c.most+1, err)
		}
	}
}

// tenScans is a progressive picture, as libjpeg makes it by default.
//
//go:embed testdata/progressive.jpg
var tenScans []byte

func TestProgressivePhoto(t *testing.T) {
	if n := bytes.Count(tenScans, []byte{0xff, 0xda}); n != 10 {
		t.Fatalf("it has %d scans", n)
	}
	for i, m := range render(t, tenScans) {
		for j, got := range cornersOf(m) {
			if !near(got, corners[j]) {
				t.Errorf("size %d, corner %d: got %v, want %v", i, j, got, corners[j])
			}
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
	f.Add(tenScans)
	f.Add(scanned(65, frameOf(0xc2, 64, 64, 0x11), nil))
	f.Add(scanned(3, frameOf(0xc0, 24, 16, 0x22, 0x11, 0x11), segmentOf(0xdd, 0, 1)))
	f.Add(animated(24, 16))
	f.Add(webpFile(webpHead(1<<4, 24, 16), webpChunk("ALPH", []byte{1}), lossy(24, 16)))
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
