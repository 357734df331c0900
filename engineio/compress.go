package engineio

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// compressFrom is the size from which the body of a poll is worth compressing
// (E-22).
const compressFrom = 1024

// coding is a content coding: its name and its compressors, which are large
// and kept.
type coding struct {
	name string
	pool sync.Pool
}

type compressor interface {
	io.WriteCloser
	Reset(dst io.Writer)
}

// The codings of this server, in the order in which it likes them. Speed comes
// before size: JSON becomes a third of itself either way.
var codings = []*coding{
	{name: "gzip", pool: sync.Pool{New: func() any {
		w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels
		return w
	}}},
	{name: "deflate", pool: sync.Pool{New: func() any {
		w, _ := zlib.NewWriterLevel(nil, zlib.BestSpeed)
		return w
	}}},
}

// compress returns the body compressed, and the name of the coding, or the body
// as it is and no name if it is small or the client takes none. Text in UTF-8
// of this size always becomes smaller.
func compress(body []byte, r *http.Request) ([]byte, string) {
	if len(body) < compressFrom {
		return body, ""
	}
	c := acceptedCoding(r.Header.Values("Accept-Encoding"))
	if c == nil {
		return body, ""
	}
	out := bytes.NewBuffer(make([]byte, 0, len(body)/2))
	w := c.pool.Get().(compressor)
	defer c.pool.Put(w)
	w.Reset(out)
	if _, err := w.Write(body); err != nil {
		return body, ""
	}
	if err := w.Close(); err != nil {
		return body, ""
	}
	return out.Bytes(), c.name
}

// acceptedCoding returns the coding that the client likes best, or nil (RFC
// 9110, 12.5.3).
func acceptedCoding(header []string) *coding {
	var best *coding
	var bestWeight float64
	for _, c := range codings {
		named, any := -1.0, -1.0
		for _, line := range header {
			for item := range strings.SplitSeq(line, ",") {
				name, params, _ := strings.Cut(item, ";")
				switch name = strings.TrimSpace(name); {
				case strings.EqualFold(name, c.name), strings.EqualFold(name, "x-"+c.name):
					named = weight(params)
				case name == "*":
					any = weight(params)
				}
			}
		}
		if named < 0 {
			named = any
		}
		if named > bestWeight {
			best, bestWeight = c, named
		}
	}
	return best
}

// weight returns the q of one item: 1 if there is none, 0 if it is nonsense.
func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if !strings.EqualFold(name, "q") {
			continue
		}
		q, err := strconv.ParseFloat(value, 64)
		if err != nil || !(q >= 0 && q <= 1) { // NaN is neither
			return 0
		}
		return q
	}
	return 1
}
