package media

import "bytes"

// kind is what a file is by its first bytes.
type kind string

const (
	jpegFile kind = "JPEG"
	pngFile  kind = "PNG"
	webpFile kind = "WebP"
	gifFile  kind = "GIF"
	pdfFile  kind = "PDF"
	unknown  kind = ""
)

// kindOf looks at the bytes that a file begins with.
func kindOf(data []byte) kind {
	begins := func(magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }
	switch {
	case begins("\xff\xd8\xff"):
		return jpegFile
	case begins(pngMagic):
		return pngFile
	case begins("GIF87a"), begins("GIF89a"):
		return gifFile
	case len(data) >= 12 && begins("RIFF") && string(data[8:12]) == "WEBP":
		return webpFile
	case begins("%PDF-"):
		return pdfFile
	}
	return unknown
}
