package engineio

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/gobwas/ws"
)

// inflater reads what a client has compressed. It is large, for its window, and
// lent only while a message that has arrived whole is read.
type inflater struct {
	data  bytes.Reader
	flate io.ReadCloser
	ends  int // blocks read that call themselves the last
	skip  [growStep]byte
}

var inflaters = sync.Pool{New: func() any {
	z := new(inflater)
	z.flate = flate.NewReader(&z.data)
	return z
}}

// inflateTail follows the data of a message: what its sender has left off, and
// an empty last block, at which the end can be told from a cut.
const inflateTail = deflateTail + "\x01\x00\x00\xff\xff"

// inflateEndsMax is how many blocks before the last may call themselves that.
const inflateEndsMax = 100

var errEnds = errors.New("too many last blocks")

var errInflated error = &frameError{ws.StatusMessageTooBig, "message is too big when inflated"}

// inflateMessage replaces the compressed message in msg by the message.
//
// Its size is not known before it is read, and may be a thousand times that of
// the data. So what exceeds a pooled buffer is read twice: first to learn the
// size, which stops at the limit, then into a buffer of that size. A message
// that is too big thus takes no more memory than a pooled buffer (E-41).
func (f *frameReader) inflateMessage() error {
	in, out := f.msg, messageBuffers.Get().(*[]byte)
	*in = append(*in, inflateTail...)
	z := inflaters.Get().(*inflater)
	b, err := z.read((*out)[:0], *in, f.max)
	inflaters.Put(z)
	*out = b
	f.msg = out
	if cap(*in) <= pooledLimit {
		messageBuffers.Put(in)
	}
	if err != nil && err != errInflated {
		err = &frameError{ws.StatusInvalidFramePayloadData, "compressed data is invalid"}
	}
	return err
}

// read inflates data into dst, which is empty.
func (z *inflater) read(dst, data []byte, limit int) ([]byte, error) {
	z.reset(data)
	for len(dst) < pooledLimit {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, min(max(growStep, len(dst)), pooledLimit-len(dst)))
		}
		n, err := z.Read(dst[len(dst):min(cap(dst), pooledLimit)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errInflated
		case err == io.EOF:
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
	size := len(dst)
	for {
		n, err := z.Read(z.skip[:])
		size += n
		if size > limit {
			return dst, errInflated
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return dst, err
		}
	}
	z.reset(data)
	dst = make([]byte, size)
	_, err := io.ReadFull(z, dst)
	return dst, err
}

func (z *inflater) reset(data []byte) {
	z.data.Reset(data)
	z.ends = 0
	z.restart()
}

func (z *inflater) restart() {
	_ = z.flate.(flate.Resetter).Reset(&z.data, nil) // never fails
}

// Read implements io.Reader. A block that calls itself the last one of the
// stream need not be the last one of the message (RFC 7692, 7.2.1). Each costs a
// fresh start, so there may not be many: nobody needs more than one.
func (z *inflater) Read(p []byte) (int, error) {
	for {
		n, err := z.flate.Read(p)
		if err == io.EOF && z.data.Len() > 0 {
			if z.ends++; z.ends > inflateEndsMax {
				return n, errEnds
			}
			z.restart()
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// compressedMax bounds the compressed form of a message that may have max
// bytes: data that cannot be compressed grows by up to an eighth.
func compressedMax(max int) int { return max + max/8 + 64 }
