package socketio

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// A msgpackReader turns msgpack into JSON. A length is believed only as far as
// there are bytes for it, so nothing is made larger than the message calls for.
type msgpackReader struct {
	data        []byte
	at          int
	most        int      // attachments, at most
	attachments [][]byte // the binary values so far
	lookAlike   bool     // a map looks like a placeholder
}

func (r *msgpackReader) left() int { return len(r.data) - r.at }

// take returns the next n bytes.
func (r *msgpackReader) take(n uint64) ([]byte, error) {
	if n > uint64(r.left()) {
		return nil, malformed("ends too early")
	}
	start := r.at
	r.at += int(n)
	return r.data[start:r.at], nil
}

// head reads what a value begins with: its kind, and its number, the bits of
// it, or its length.
func (r *msgpackReader) head() (msgpackKind, uint64, error) {
	first, err := r.take(1)
	if err != nil {
		return kindNone, 0, err
	}
	switch b := first[0]; {
	case b < 0x80:
		return kindUint, uint64(b), nil
	case b < 0x90:
		return kindMap, uint64(b & 0x0f), nil
	case b < 0xa0:
		return kindArray, uint64(b & 0x0f), nil
	case b < 0xc0:
		return kindStr, uint64(b & 0x1f), nil
	case b >= 0xe0:
		return kindInt, uint64(int8(b)), nil
	}
	form := msgpackForms[first[0]-0xc0]
	number, err := r.take(uint64(form.size))
	if err != nil {
		return kindNone, 0, err
	}
	var n uint64
	for _, b := range number {
		n = n<<8 | uint64(b)
	}
	switch form.kind {
	case kindNone:
		return kindNone, 0, malformed("byte c1")
	case kindInt:
		unused := 64 - 8*form.size
		n = uint64(int64(n) << unused >> unused)
	case kindFixExt:
		n = 1 << (first[0] - 0xd4)
	}
	return form.kind, n, nil
}

// undefined passes the undefined of notepack.io, if it is next.
func (r *msgpackReader) undefined() bool {
	found := r.left() >= 3 && string(r.data[r.at:r.at+3]) == "\xd4\x00\x00"
	if found {
		r.at += 3
	}
	return found
}

// absent passes an undefined or nil, if it is next.
func (r *msgpackReader) absent() bool {
	if r.left() > 0 && r.data[r.at] == 0xc0 {
		r.at++
		return true
	}
	return r.undefined()
}

// value reads a value that is inside as many arrays and maps as depth says, and
// appends it to dst as JSON.
func (r *msgpackReader) value(dst []byte, depth int) ([]byte, error) {
	if r.undefined() {
		return append(dst, "null"...), nil
	}
	kind, n, err := r.head()
	if err != nil {
		return dst, err
	}
	switch kind {
	case kindNil:
		return append(dst, "null"...), nil
	case kindFalse:
		return append(dst, "false"...), nil
	case kindTrue:
		return append(dst, "true"...), nil
	case kindUint:
		return strconv.AppendUint(dst, n, 10), nil
	case kindInt:
		return strconv.AppendInt(dst, int64(n), 10), nil
	case kindFloat32:
		return appendFloat(dst, float64(math.Float32frombits(uint32(n)))), nil
	case kindFloat64:
		return appendFloat(dst, math.Float64frombits(n)), nil
	case kindStr:
		text, err := r.text(n)
		return appendQuoted(dst, text), err
	case kindExt, kindFixExt:
		return r.extension(dst, kind, n, depth)
	}
	if depth++; depth > MaxDepth { // S-35
		return dst, malformed("too deep")
	}
	switch kind {
	case kindArray:
		return r.array(dst, n, depth)
	case kindMap:
		return r.object(dst, n, depth)
	}
	return r.binary(dst, n)
}

func (r *msgpackReader) array(dst []byte, count uint64, depth int) (_ []byte, err error) {
	if count > uint64(r.left()) {
		return dst, malformed("ends too early")
	}
	dst = append(dst, '[')
	for i := range count {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = r.value(dst, depth); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

func (r *msgpackReader) object(dst []byte, count uint64, depth int) ([]byte, error) {
	if count > uint64(r.left()/2) {
		return dst, malformed("ends too early")
	}
	dst = append(dst, '{')
	open, mark := len(dst), false
	for range count {
		key, err := r.str()
		if err != nil {
			return dst, err
		}
		if r.undefined() {
			continue
		}
		if len(dst) > open {
			dst = append(dst, ',')
		}
		dst = append(appendQuoted(dst, key), ':')
		start := len(dst)
		if dst, err = r.value(dst, depth); err != nil {
			return dst, err
		}
		if string(key) == "_placeholder" { // of repeated keys the last counts
			mark = string(dst[start:]) == "true"
		}
	}
	r.lookAlike = r.lookAlike || mark
	return append(dst, '}'), nil
}

// binary reads n bytes as an attachment.
func (r *msgpackReader) binary(dst []byte, n uint64) ([]byte, error) {
	data, err := r.take(n)
	if err != nil {
		return dst, err
	}
	if len(r.attachments) >= r.most {
		return dst, malformed("too many attachments") // S-32
	}
	dst = append(dst, Placeholder(len(r.attachments))...)
	r.attachments = append(r.attachments, slices.Clone(data))
	return dst, nil
}

// The types of extensions that are understood.
const (
	extNotepack  = 0x00 // of notepack.io: undefined, Date, ArrayBuffer, told apart by their form
	extTimestamp = 0xff // of msgpack itself
)

// extension reads an extension with n bytes of data.
func (r *msgpackReader) extension(dst []byte, kind msgpackKind, n uint64, depth int) ([]byte, error) {
	t, err := r.take(1)
	if err != nil {
		return dst, err
	}
	if t[0] == extNotepack && kind == kindExt {
		if depth == MaxDepth {
			return dst, malformed("too deep")
		}
		return r.binary(dst, n)
	}
	data, err := r.take(n)
	if err != nil {
		return dst, err
	}
	if when, ok := extTime(t[0], data); ok {
		return appendTime(dst, when)
	}
	return dst, malformed("unknown extension")
}

// extTime returns the time of a Date or timestamp.
func extTime(t byte, data []byte) (time.Time, bool) {
	var seconds int64
	var nanoseconds uint64
	switch {
	case t == extNotepack && len(data) == 8:
		return time.UnixMilli(int64(binary.BigEndian.Uint64(data))), true
	case t != extTimestamp:
		return time.Time{}, false
	case len(data) == 4:
		seconds = int64(binary.BigEndian.Uint32(data))
	case len(data) == 8:
		n := binary.BigEndian.Uint64(data)
		seconds, nanoseconds = int64(n&(1<<34-1)), n>>34
	case len(data) == 12:
		seconds, nanoseconds = int64(binary.BigEndian.Uint64(data[4:])), uint64(binary.BigEndian.Uint32(data))
	default:
		return time.Time{}, false
	}
	return time.Unix(seconds, int64(nanoseconds)), nanoseconds < 1e9
}

// maxTime is the last time that JavaScript knows, in milliseconds, and with a
// minus the first.
const maxTime = 8_640_000_000_000_000

// appendTime appends a time as JSON.stringify does, with more digits if it has
// them.
func appendTime(dst []byte, when time.Time) ([]byte, error) {
	when = when.UTC()
	if when.After(time.UnixMilli(maxTime)) || when.Before(time.UnixMilli(-maxTime)) {
		return dst, malformed("time out of range")
	}
	dst = append(dst, '"')
	switch year := when.Year(); {
	case year < 0:
		dst = fmt.Appendf(dst, "-%06d", -year)
	case year > 9999:
		dst = fmt.Appendf(dst, "+%06d", year)
	default:
		dst = fmt.Appendf(dst, "%04d", year)
	}
	layout := `-01-02T15:04:05.000Z"`
	if when.Nanosecond()%int(time.Millisecond) != 0 {
		layout = `-01-02T15:04:05.000000000Z"`
	}
	return when.AppendFormat(dst, layout), nil
}

// appendFloat appends a number with as few digits as tell it from others, like
// JavaScript; an integer of 64 bits with all of them, for it goes back as one.
func appendFloat(dst []byte, v float64) []byte {
	switch n, negative, ok := whole(v); {
	case ok && negative:
		return strconv.AppendInt(dst, int64(n), 10)
	case ok:
		return strconv.AppendUint(dst, n, 10)
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return append(dst, "null"...)
	}
	if a := math.Abs(v); a == 0 || a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, v, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, v, 'e', -1, 64)
	if n := len(dst); string(dst[n-4:n-1]) == "e-0" { // e-07 is e-7 there
		dst = append(dst[:n-2], dst[n-1])
	}
	return dst
}

// appendQuoted appends UTF-8 as a JSON string.
func appendQuoted(dst, text []byte) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i, b := range text {
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[start:i]...)
		start = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', digits[b>>4], digits[b&15])
		}
	}
	return append(append(dst, text[start:]...), '"')
}
