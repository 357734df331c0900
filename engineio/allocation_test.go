package engineio_test

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// FuzzAllocation: no decoder allocates more than what it was given warrants,
// whatever that declares.
func FuzzAllocation(f *testing.F) {
	f.Add(wire.Frame{Op: ws.OpBinary, Declare: 1 << 40, Payload: []byte("few")}.Bytes())
	f.Add(bytes.Repeat(wire.Frame{Op: ws.OpText, More: true, Declare: 1 << 29}.Bytes(), 3))
	f.Add(bytes.Repeat([]byte("b\x1e"), 100))
	f.Add(append([]byte{'b'}, bytes.Repeat([]byte("QUJD"), 1000)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		within(t, "frames", len(in), func() {
			_ = engineio.ReadFrames(bytes.NewReader(in), nil, 1<<30, func(byte, []byte) {})
		})
		within(t, "payload", len(in), func() {
			for _, err := range engineio.ParsePayload(in) {
				_ = err
			}
		})
		within(t, "coding", len(in), func() { engineio.AcceptedCoding([]string{string(in)}) })
	})
}

// within fails if f allocates more than some pages and 16 times n.
func within(t *testing.T, what string, n int, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+16*n); got > most {
		t.Errorf("%s: %d bytes of input, %d allocated", what, n, got)
	}
}
