package media

import (
	"bytes"
	"encoding/binary"
	"iter"
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

// startOfScan is the marker of the segment before the data of a scan.
const startOfScan = 0xda

// segment is a part of a JPEG that says how long it is.
type segment struct {
	marker byte
	data   []byte
}

// jpegSegments yields the segments of a JPEG, those of its scans too. Like the
// decoder it passes over what stands between them, be it rubbish or the data of a
// scan, in which a byte 0xff has a zero or a restart marker behind it.
func jpegSegments(data []byte) iter.Seq[segment] {
	return func(yield func(segment) bool) {
		data := data[min(2, len(data)):]
		for {
			i := bytes.IndexByte(data, 0xff)
			if i < 0 || len(data) < i+4 {
				return
			}
			marker := data[i+1]
			switch {
			case marker == 0xff: // a fill byte
				data = data[i+1:]
				continue
			case marker == 0x00, marker >= 0xd0 && marker <= 0xd7:
				data = data[i+2:]
				continue
			case marker == 0xd9: // the end
				return
			}
			data = data[i+2:]
			n := int(binary.BigEndian.Uint16(data)) // counts its own two bytes
			if n < 2 || n > len(data) || !yield(segment{marker, data[2:n]}) {
				return
			}
			data = data[n:]
		}
	}
}

func jpegExif(data []byte) []byte {
	for s := range jpegSegments(data) {
		if s.marker == startOfScan {
			break
		}
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

// webpChunks yields the names and contents of the chunks of a WebP. Of the last one
// there may be less than it says.
func webpChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		data := data[min(12, len(data)):]
		for len(data) >= 8 {
			n := min(int64(binary.LittleEndian.Uint32(data[4:])), int64(len(data)-8))
			if !yield(string(data[:4]), data[8:8+n]) {
				return
			}
			data = data[min(8+n+n%2, int64(len(data))):]
		}
	}
}

func webpExif(data []byte) []byte {
	for name, chunk := range webpChunks(data) {
		if name == "EXIF" {
			return bytes.TrimPrefix(chunk, exifHead)
		}
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
