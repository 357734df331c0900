package socketio

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A msgpackWriter turns one valid JSON text into msgpack, in one pass: a length
// is filled in when its end is reached.
type msgpackWriter struct {
	json        []byte
	at          int
	attachments [][]byte // without any, what looks like a placeholder is data. S-34
}

// peek skips spaces and returns the next byte, or 0 at the end.
func (w *msgpackWriter) peek() byte {
	for ; w.at < len(w.json); w.at++ {
		switch b := w.json[w.at]; b {
		case ' ', '\t', '\r', '\n':
		default:
			return b
		}
	}
	return 0
}

func (w *msgpackWriter) value(dst []byte) []byte {
	switch w.peek() {
	case '{':
		return w.object(dst)
	case '[':
		return w.array(dst)
	case '"':
		return w.str(dst)
	case 'n':
		w.at += len("null")
		return append(dst, 0xc0)
	case 'f':
		w.at += len("false")
		return append(dst, 0xc2)
	case 't':
		w.at += len("true")
		return append(dst, 0xc3)
	}
	return w.number(dst)
}

func (w *msgpackWriter) array(dst []byte) []byte {
	head, count := len(dst), 0
	dst = append(dst, 0)
	for w.at++; ; count++ {
		switch w.peek() {
		case ',':
			w.at++
		case ']', 0:
			w.at++
			return arrayForm.set(dst, head, count)
		}
		dst = w.value(dst)
	}
}

// object writes a map, or the attachment that the object stands for. Of
// repeated members the last counts, as in checkPlaceholders.
func (w *msgpackWriter) object(dst []byte) []byte {
	head, count := len(dst), 0
	var mark bool
	var num []byte
	dst = append(dst, 0)
	for w.at++; w.next(); count++ {
		key := len(dst) + 1 // behind the one byte of a length below 32
		dst = w.str(dst)
		w.next() // to the value
		start, end := w.at, len(dst)
		dst = w.value(dst)
		switch string(dst[key:end]) {
		case "_placeholder":
			mark = string(w.since(start)) == "true"
		case "num":
			num = w.since(start)
		}
	}
	if !mark {
		return mapForm.set(dst, head, count)
	}
	if i, ok := attachmentIndex(string(num), len(w.attachments)); ok {
		dst = binForm.append(dst[:head], len(w.attachments[i]))
		return append(dst, w.attachments[i]...)
	}
	return mapForm.set(dst, head, count)
}

// next goes to the next key or value of an object. It reports false at the end
// of the object, which it passes.
func (w *msgpackWriter) next() bool {
	if b := w.peek(); b == ',' || b == ':' {
		w.at++
	}
	if b := w.peek(); b != '}' && b != 0 {
		return true
	}
	w.at++
	return false
}

// since returns the text from start to where the writer is.
func (w *msgpackWriter) since(start int) []byte {
	return w.json[min(start, len(w.json)):min(w.at, len(w.json))]
}

func (w *msgpackWriter) str(dst []byte) []byte {
	start, end := w.at+1, endOfString(w.json, w.at)
	w.at = end + 1
	raw := w.json[min(start, end):end]
	if bytes.IndexByte(raw, '\\') < 0 {
		return append(strForm.append(dst, len(raw)), raw...)
	}
	head := len(dst)
	dst = appendUnescaped(append(dst, 0), raw)
	return strForm.set(dst, head, len(dst)-head-1)
}

// appendUnescaped appends the text between the quotes of a JSON string. Half a
// surrogate pair, which UTF-8 can't hold, becomes U+FFFD.
func appendUnescaped(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 || i+1 == len(raw) {
			return append(dst, raw...)
		}
		dst = append(dst, raw[:i]...)
		escape := raw[i+1]
		raw = raw[i+2:]
		switch escape {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hexRune(raw)
			raw = raw[min(4, len(raw)):]
			if utf16.IsSurrogate(r) {
				if pair := pairRune(r, raw); pair != utf8.RuneError {
					r, raw = pair, raw[len(`\udc00`):]
				}
			}
			dst = utf8.AppendRune(dst, r)
		default:
			dst = append(dst, escape)
		}
	}
}

// hexRune reads the four digits of an escape.
func hexRune(raw []byte) rune {
	code, err := strconv.ParseUint(string(raw[:min(4, len(raw))]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(code)
}

// pairRune joins a first surrogate with the escape of a second one, if raw
// starts with it.
func pairRune(first rune, raw []byte) rune {
	digits, ok := bytes.CutPrefix(raw, []byte(`\u`))
	if !ok {
		return utf8.RuneError
	}
	return utf16.DecodeRune(first, hexRune(digits))
}

// number writes an integer as one if 64 bits hold it, whatever its digits look
// like, and everything else as JavaScript would know it: as a float64.
func (w *msgpackWriter) number(dst []byte) []byte {
	start := w.at
	for w.at++; w.at < len(w.json) && isNumeric(w.json[w.at]); w.at++ {
	}
	text := string(w.since(start))
	if v, err := strconv.ParseUint(text, 10, 64); err == nil {
		return appendUint(dst, v)
	}
	if v, err := strconv.ParseInt(text, 10, 64); err == nil && v != 0 {
		return appendInt(dst, v)
	}
	v, _ := strconv.ParseFloat(text, 64) // out of range it is infinite, as in JavaScript
	switch n, negative, ok := whole(v); {
	case ok && negative:
		return appendInt(dst, int64(n))
	case ok:
		return appendUint(dst, n)
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(v))
}

func isNumeric(b byte) bool {
	return isDigit(b) || b == '.' || b == '-' || b == '+' || b == 'e' || b == 'E'
}
