package engineio

import (
	"bytes"
	"iter"
)

// separator stands between the packets of one polling body (E-20).
const separator = '\x1e'

// AppendPayload appends the polling body that carries the packets, joined by
// one separator and without a trailing one (E-20). A text packet must not
// contain U+001E, for which the format has no escape; JSON never does.
func AppendPayload(dst []byte, packets ...Packet) []byte {
	for i, p := range packets {
		if i > 0 {
			dst = append(dst, separator)
		}
		dst = AppendPacket(dst, p)
	}
	return dst
}

// ParsePayload walks through the packets of a polling body in their order. It
// stops after the first error; what came before it was good. An empty body is
// one empty packet, hence an error (E-29).
func ParsePayload(body []byte) iter.Seq2[Packet, error] {
	return func(yield func(Packet, error) bool) {
		for more := true; more; {
			var text []byte
			text, body, more = bytes.Cut(body, []byte{separator})
			p, err := ParsePacket(text)
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
}
