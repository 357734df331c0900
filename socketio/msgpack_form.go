package socketio

import (
	"encoding/binary"
	"math"
	"slices"
)

// The kinds of msgpack values.
type msgpackKind byte

const (
	kindNone msgpackKind = iota // the one byte that msgpack does not use
	kindNil
	kindFalse
	kindTrue
	kindUint
	kindInt
	kindFloat32
	kindFloat64
	kindStr
	kindBin
	kindArray
	kindMap
	kindExt
	kindFixExt
)

// msgpackForms says of the first bytes 0xc0 to 0xdf what they begin, and in how
// many bytes its length or its number follows. The other first bytes hold it.
var msgpackForms = [0x20]struct {
	kind msgpackKind
	size int
}{
	{kindNil, 0},
	{kindNone, 0},
	{kindFalse, 0},
	{kindTrue, 0},
	{kindBin, 1},
	{kindBin, 2},
	{kindBin, 4},
	{kindExt, 1},
	{kindExt, 2},
	{kindExt, 4},
	{kindFloat32, 4},
	{kindFloat64, 8},
	{kindUint, 1},
	{kindUint, 2},
	{kindUint, 4},
	{kindUint, 8},
	{kindInt, 1},
	{kindInt, 2},
	{kindInt, 4},
	{kindInt, 8},
	{kindFixExt, 0},
	{kindFixExt, 0},
	{kindFixExt, 0},
	{kindFixExt, 0},
	{kindFixExt, 0},
	{kindStr, 1},
	{kindStr, 2},
	{kindStr, 4},
	{kindArray, 2},
	{kindArray, 4},
	{kindMap, 2},
	{kindMap, 4},
}

// A lengthForm is how the lengths of one kind are written: up to most in the
// first byte, else in 1, 2 or 4 bytes behind a byte of their own.
type lengthForm struct {
	fix            byte
	most           int
	one, two, four byte // one may be missing
}

var (
	strForm   = lengthForm{0xa0, 31, 0xd9, 0xda, 0xdb}
	binForm   = lengthForm{0, -1, 0xc4, 0xc5, 0xc6}
	arrayForm = lengthForm{0x90, 15, 0, 0xdc, 0xdd}
	mapForm   = lengthForm{0x80, 15, 0, 0xde, 0xdf}
)

// append appends the shortest form of a length.
func (f lengthForm) append(dst []byte, n int) []byte {
	switch {
	case n <= f.most:
		return append(dst, f.fix|byte(n))
	case n <= math.MaxUint8 && f.one != 0:
		return append(dst, f.one, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, f.two), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, f.four), uint32(n))
}

// set replaces the byte at head, which was kept free for a length that was not
// known yet. What is behind it moves if one byte is not enough.
func (f lengthForm) set(dst []byte, head, n int) []byte {
	var room [5]byte
	form := f.append(room[:0], n)
	dst[head] = form[0]
	return slices.Insert(dst, head+1, form[1:]...)
}

// whole returns v as an integer, if it is one of uint64, or a negative one of
// int64. Minus zero is none, for it would lose its sign.
func whole(v float64) (n uint64, negative, ok bool) {
	switch {
	case v != math.Trunc(v) || v == 0 && math.Signbit(v):
	case v >= 0 && v < 1<<64:
		return uint64(v), false, true
	case v < 0 && v >= math.MinInt64:
		return uint64(int64(v)), true, true
	}
	return 0, false, false
}

func appendStr(dst []byte, s string) []byte {
	return append(strForm.append(dst, len(s)), s...)
}

func appendUint(dst []byte, v uint64) []byte {
	switch {
	case v <= math.MaxInt8:
		return append(dst, byte(v))
	case v <= math.MaxUint8:
		return append(dst, 0xcc, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, 0xcd), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, 0xce), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcf), v)
}

func appendInt(dst []byte, v int64) []byte {
	switch {
	case v >= 0:
		return appendUint(dst, uint64(v))
	case v >= -32:
		return append(dst, byte(v))
	case v >= math.MinInt8:
		return append(dst, 0xd0, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(dst, 0xd1), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(dst, 0xd2), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(v))
}
