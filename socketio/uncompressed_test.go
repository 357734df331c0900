package socketio_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"larder/engineio"
	"larder/internal/testkit/wire"
	"larder/socketio"
)

// An event that forbids compression is sent as it is on both transports, and
// so is each of its attachments. S-42
func TestUncompressed(t *testing.T) {
	long := strings.Repeat("x", 2000)
	text := event(t, "e", `"`+long+`"`)
	binary, err := socketio.NewBinaryEvent("b", socketio.Args{
		Values: append(raw(`"`+long+`"`), socketio.Placeholder(0)), Attachments: [][]byte{[]byte(long)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		event       *socketio.Event
		attachments int
		want        int // messages that are compressed
	}{
		"text":                {text, 0, 1},
		"text, forbidden":     {text.Uncompressed(), 0, 0},
		"binary":              {binary, 1, 2},
		"binary, forbidden":   {binary.Uncompressed(), 1, 0},
		"volatile, forbidden": {text.Volatile().Uncompressed(), 0, 0},
		"forbidden, volatile": {binary.Uncompressed().Volatile(), 1, 0},
	} {
		cfg := quiet()
		cfg.Engine.Compression = &engineio.Compression{}
		t.Run(name+"/websocket", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") })
				c, err := wire.DialWebSocket(t.Context(), h.net.Dial, "/socket.io/?EIO=4&transport=websocket",
					http.Header{"Sec-Websocket-Extensions": {"permessage-deflate"}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(c.Abort)
				read := func() string {
					_, data, err := c.Read()
					if err != nil {
						t.Fatal(err)
					}
					return string(data)
				}
				read() // open packet
				if err := c.Text("40"); err != nil {
					t.Fatal(err)
				}
				read()
				synctest.Wait()
				h.srv.Of("/").Emit(tc.event)
				s := h.srv.Of("/").Sockets()[0]
				if got := read(); !strings.Contains(got, long) {
					t.Fatalf("got %.50q", got)
				}
				for range tc.attachments {
					if got := read(); got != long {
						t.Fatalf("attachment: got %.50q", got)
					}
				}
				if c.Compressed != tc.want {
					t.Errorf("compressed messages: got %d, want %d", c.Compressed, tc.want)
				}
				// The packet that asks for an ack is another one.
				synctest.Wait()
				asked := make(chan error, 1)
				go func() {
					_, err := s.EmitAck(t.Context(), tc.event)
					asked <- err
				}()
				if got := read(); !strings.Contains(got, long) {
					t.Fatalf("got %.50q", got)
				}
				if got := c.Compressed > tc.want; got != (tc.want > 0) {
					t.Errorf("the packet that asks for an ack was compressed: %v", got)
				}
				c.Abort()
				<-asked
			})
		})
		t.Run(name+"/polling", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") })
				p := h.polling()
				p.connect("/", "")
				l := p.link.(*pollLink)
				l.get.Header = http.Header{"Accept-Encoding": {"gzip"}}
				done := make(chan wire.Reply, 1)
				go func() {
					reply, err := l.get.Get(t.Context())
					if err != nil {
						t.Error(err)
					}
					done <- reply
				}()
				synctest.Wait()
				h.srv.Of("/").Emit(tc.event)
				reply := <-done
				if got, want := reply.Header.Get("Content-Encoding") == "gzip", tc.want > 0; got != want {
					t.Errorf("body compressed: got %v, want %v", got, want)
				}
				if tc.want == 0 && !strings.Contains(reply.Body, long) {
					t.Errorf("body: got %.50q", reply.Body)
				}
			})
		})
	}
}
