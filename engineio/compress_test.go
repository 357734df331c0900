package engineio_test

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"net/http"
	"strings"
	"testing"

	"larder/engineio"
)

// inflate undoes a content coding.
func inflate(t *testing.T, coding, body string) string {
	t.Helper()
	var r io.Reader = strings.NewReader(body)
	var err error
	switch coding {
	case "gzip":
		r, err = gzip.NewReader(r)
	case "deflate":
		r, err = zlib.NewReader(r)
	}
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%s: %v", coding, err)
	}
	return string(data)
}

// Polls are compressed when that is allowed and worth it: E-22.
func TestPollCompression(t *testing.T) {
	large := strings.Repeat("x", 1023) // with the digit 1,024
	text := func(s string) *engineio.Message { return engineio.NewMessage([]byte(s)) }
	for name, tt := range map[string]struct {
		accept string
		send   []*engineio.Message
		want   string
	}{
		"gzip":             {"gzip", []*engineio.Message{text(large)}, "gzip"},
		"browser":          {"gzip, deflate, br, zstd", []*engineio.Message{text(large)}, "gzip"},
		"deflate":          {"deflate", []*engineio.Message{text(large)}, "deflate"},
		"anything":         {"*", []*engineio.Message{text(large)}, "gzip"},
		"anything but":     {"gzip;q=0, *;q=0.1", []*engineio.Message{text(large)}, "deflate"},
		"weights":          {"gzip;q=0.2, Deflate;Q=0.8", []*engineio.Message{text(large)}, "deflate"},
		"as it likes":      {"deflate;q=0.5 , gzip ; q=0.5", []*engineio.Message{text(large)}, "gzip"},
		"a little less":    {"gzip;q=0.899, deflate;q=0.9", []*engineio.Message{text(large)}, "deflate"},
		"refused":          {"gzip;q=0, deflate;q=0.000", []*engineio.Message{text(large)}, ""},
		"nonsense":         {"gzip;q=high", []*engineio.Message{text(large)}, ""},
		"others":           {"br, identity", []*engineio.Message{text(large)}, ""},
		"nothing":          {"", []*engineio.Message{text(large)}, ""},
		"a byte too small": {"gzip", []*engineio.Message{text(large[1:])}, ""},
		"together":         {"gzip", []*engineio.Message{text(large[:600]), text(large[:600])}, "gzip"},
		"forbidden by one": {"gzip", []*engineio.Message{text(large), text("secret").Uncompressed()}, ""},
		"binary":           {"gzip", []*engineio.Message{engineio.NewBinaryMessage([]byte(large))}, "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(r *rig) {
				p := r.open()
				plain := r.open()
				for i := range 2 {
					if err := r.app(i).Send(tt.send...); err != nil {
						t.Fatal(err)
					}
				}
				if tt.accept != "" {
					p.Header = http.Header{"Accept-Encoding": {tt.accept}}
				}
				reply, want := r.get(p), r.get(plain)
				if got := reply.Header.Get("Content-Encoding"); got != tt.want || reply.Status != 200 {
					t.Errorf("status %d, coding %q, want %q", reply.Status, got, tt.want)
				}
				if got := inflate(t, tt.want, reply.Body); got != want.Body {
					t.Errorf("body: got %.40q (%d bytes), want %.40q (%d bytes)", got, len(got), want.Body, len(want.Body))
				}
				if tt.want != "" && !strings.Contains(strings.Join(reply.Header.Values("Vary"), ","), "Accept-Encoding") {
					t.Errorf("Vary: got %q", reply.Header.Values("Vary"))
				}
			}, calm)
		})
	}
}
