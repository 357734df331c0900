package engineio_test

import (
	"bytes"
	"io"
	"slices"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

type frame struct {
	op   byte
	data string
}

func readFrames(src io.Reader, ahead []byte, maxMessage int) ([]frame, string) {
	var got []frame
	err := engineio.ReadFrames(src, ahead, maxMessage, func(op byte, data []byte) {
		got = append(got, frame{op, string(data)})
	})
	return got, err.Error()
}

// FuzzFrames checks what must hold for any stream: it does not matter how its
// bytes arrive, limits and UTF-8 are enforced, and what was read can be sent
// again with the same result.
func FuzzFrames(f *testing.F) {
	const maxMessage = 700
	long := bytes.Repeat([]byte("larder"), 100)
	f.Add(wire.Frame{Op: ws.OpText, Payload: []byte("4hello")}.Bytes())
	f.Add(wire.Frame{Op: ws.OpBinary, Payload: long}.Bytes())
	f.Add(slices.Concat(
		wire.Frame{Op: ws.OpText, Payload: []byte("4\xc3"), More: true}.Bytes(),
		wire.Frame{Op: ws.OpPing, Payload: []byte("ping")}.Bytes(),
		wire.Frame{Op: ws.OpContinuation, Payload: []byte("\xa4")}.Bytes(),
		wire.Frame{Op: ws.OpClose, Payload: []byte("\x03\xe8bye")}.Bytes(),
	))
	f.Add(wire.Frame{Op: ws.OpBinary, Declare: 1 << 63}.Bytes())
	f.Add(wire.Frame{Op: ws.OpText, Payload: append([]byte("4"), long...), More: true}.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		got, fault := readFrames(bytes.NewReader(in), nil, maxMessage)
		for name, src := range map[string]io.Reader{
			"byte by byte":  iotest.OneByteReader(bytes.NewReader(in)),
			"error at once": iotest.DataErrReader(bytes.NewReader(in)),
		} {
			again, faultAgain := readFrames(src, nil, maxMessage)
			if !slices.Equal(got, again) || fault != faultAgain {
				t.Errorf("%s: got %q %s, want %q %s", name, again, faultAgain, got, fault)
			}
		}
		half := len(in) / 2
		again, faultAgain := readFrames(bytes.NewReader(in[half:]), in[:half], maxMessage)
		if !slices.Equal(got, again) || fault != faultAgain {
			t.Errorf("half ahead: got %q %s, want %q %s", again, faultAgain, got, fault)
		}
		var out []byte
		for _, fr := range got {
			op := ws.OpCode(fr.op)
			switch {
			case !op.IsControl() && len(fr.data) > maxMessage, op.IsControl() && len(fr.data) > 125:
				t.Errorf("frame %d is %d bytes long", op, len(fr.data))
			case op == ws.OpText && !utf8.ValidString(fr.data):
				t.Errorf("text is not UTF-8: %q", fr.data)
			case op != ws.OpText && op != ws.OpBinary && !op.IsControl():
				t.Errorf("opcode %d was delivered", op)
			}
			out = append(out, wire.Frame{Op: op, Payload: []byte(fr.data)}.Bytes()...)
		}
		if again, _ := readFrames(bytes.NewReader(out), nil, maxMessage); !slices.Equal(got, again) {
			t.Errorf("sent again: got %q, want %q", again, got)
		}
	})
}
