package wire

import (
	"bytes"
	"compress/flate"
	"io"
)

// Deflate compresses the payload of a message as permessage-deflate wants it,
// without a context (RFC 7692, 7.2.1). Level is one of compress/flate.
func Deflate(data []byte, level int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(data) // a Buffer takes everything
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// Inflate undoes Deflate.
func Inflate(data []byte) ([]byte, error) {
	return io.ReadAll(flate.NewReader(io.MultiReader(
		bytes.NewReader(data), bytes.NewReader([]byte("\x00\x00\xff\xff\x01\x00\x00\xff\xff")))))
}
