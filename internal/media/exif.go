package media

import (
	"bytes"
	"encoding/binary"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// exifHead stands before the TIFF structure in a JPEG, and often in a WebP.
var exifHead = []byte("Exif\x00\x00")

// upright is the orientation of an image that needs no turning.
const upright = 1

// orientation is the EXIF orientation of an image, 1 to 8; upright when nothing
// that can be read says otherwise. It is all that is ever read of EXIF.
func orientation(k kind, data []byte) int {
	var exif []byte
	switch k {
	case jpegFile:
		exif = jpegExif(data)
	case pngFile:
		exif = pngExif(data)
	case webpFile:
		exif = webpExif(data)
	}
	return tiffOrientation(exif)
}

// segment is a part of a JPEG before its picture.
type segment struct {
	marker byte
	data   []byte
}

// jpegSegments yields the segments of a JPEG up to its first scan.
func jpegSegments(data []byte) func(yield func(segment) bool) {
	return func(yield func(segment) bool) {
		if len(data) < 2 {
			return
		}
		data = data[2:]
		for len(data) >= 4 && data[0] == 0xff {
			marker := data[1]
			switch {
			case marker == 0xff: // a fill byte
				data = data[1:]
				continue
			case marker == 0x01, marker >= 0xd0 && marker <= 0xd7: // stand alone
				data = data[2:]
				continue
			case marker == 0xda, marker == 0xd9, marker == 0x00:
				return
			}
			n := int(binary.BigEndian.Uint16(data[2:])) // counts its own two bytes
			if n < 2 || 2+n > len(data) || !yield(segment{marker, data[4 : 2+n]}) {
				return
			}
			data = data[2+n:]
		}
	}
}

func jpegExif(data []byte) []byte {
	for s := range jpegSegments(data) {
		if exif, ok := bytes.CutPrefix(s.data, exifHead); ok && s.marker == 0xe1 {
			return exif
		}
	}
	return nil
}

func pngExif(data []byte) []byte {
	if len(data) < len(pngMagic) {
		return nil
	}
	data = data[len(pngMagic):]
	for len(data) >= 12 { // length, type, checksum
		n, name := int64(binary.BigEndian.Uint32(data)), string(data[4:8])
		if n > int64(len(data)-12) || name == "IEND" {
			return nil
		}
		if name == "eXIf" {
			return data[8 : 8+n]
		}
		data = data[12+n:]
	}
	return nil
}

func webpExif(data []byte) []byte {
	if len(data) < 12 {
		return nil
	}
	data = data[12:]
	for len(data) >= 8 {
		name, n := string(data[:4]), int64(binary.LittleEndian.Uint32(data[4:]))
		if n > int64(len(data)-8) {
			return nil
		}
		if name == "EXIF" {
			return bytes.TrimPrefix(data[8:8+n], exifHead)
		}
		data = data[min(8+n+n%2, int64(len(data))):]
	}
	return nil
}

// tiffOrientation finds tag 0x0112 in the first directory of a TIFF structure.
func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return upright
	}
	var order binary.ByteOrder = binary.BigEndian
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
	default:
		return upright
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return upright
	}
	entries := tiff[at+2:]
	for range order.Uint16(tiff[at:]) {
		const size, short = 12, 3
		if len(entries) < size {
			break
		}
		if order.Uint16(entries) == 0x0112 {
			value := int(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) == short && order.Uint32(entries[4:]) == 1 && value >= 1 && value <= 8 {
				return value
			}
			break
		}
		entries = entries[size:]
	}
	return upright
}
