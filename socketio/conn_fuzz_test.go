package socketio_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// FuzzConnection lets a client post any two bodies. Nothing panics, an accepted
// body is answered `ok`, a refused one has closed the connection (E-29, S-7),
// and every socket that came has gone when the connection has.
func FuzzConnection(f *testing.F) {
	f.Add([]byte("40"), []byte("42[\"echo\",1]\x1e421[\"echo\",{\"a\":1}]\x1e41"))
	f.Add([]byte("40/a,{\"t\":1}\x1e40\x1e4312[]"), []byte("451-/a,7[\"echo\",{\"_placeholder\":true,\"num\":0}]\x1ebAQID"))
	f.Add([]byte("40\x1e452-[\"echo\"]\x1ebAQ=="), []byte("bAg==\x1e40/b\x1e41\x1e40"))
	f.Add([]byte("40/a\x1e42/a,[\"leave\"]\x1e42/a,[\"echo\"]\x1e40/a,"), []byte("3\x1e1"))
	f.Add([]byte("40\x1e42[\"panic\"]\x1e421[\"panic\"]"), []byte("6\x1e42[\"echo\"]"))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		joined, left := 0, 0 // only ever changed by the reader, which is this goroutine, and by Shutdown
		srv, err := socketio.NewServer(socketio.Config{Engine: engineio.Config{WriteTimeout: time.Millisecond}})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"/", "/a"} {
			n := srv.Of(name)
			n.OnConnect(func(context.Context, *socketio.Socket) { joined++ })
			n.OnDisconnect(func(*socketio.Socket, engineio.Reason) { left++ })
			n.OnRaw("echo", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				return &args, nil
			})
			n.OnRaw("leave", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
				s.Disconnect()
				return nil, nil
			})
			n.OnRaw("panic", func(context.Context, *socketio.Socket, socketio.Args) (*socketio.Args, error) {
				panic("for the test")
			})
		}
		do := func(ctx context.Context, method, sid, body string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			srv.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method,
				"/socket.io/?EIO=4&transport=polling"+sid, strings.NewReader(body)))
			return w
		}
		var open struct{ SID string }
		w := do(t.Context(), http.MethodGet, "", "")
		if err := json.Unmarshal(w.Body.Bytes()[1:], &open); err != nil {
			t.Fatalf("open: %v", err)
		}
		closed := false
		for _, body := range [][]byte{first, second} {
			w := do(t.Context(), http.MethodPost, "&sid="+open.SID, string(body))
			switch {
			case w.Code == http.StatusOK && w.Body.String() == "ok" && !closed:
				closed = srv.Len() == 0 // it may have said 1
			case w.Code == http.StatusBadRequest && srv.Len() == 0:
				closed = true
			default:
				t.Fatalf("closed before %v, connections %d: got %d %q", closed, srv.Len(), w.Code, w.Body)
			}
		}
		aborted, cancel := context.WithCancel(t.Context())
		cancel()
		do(aborted, http.MethodGet, "&sid="+open.SID, "") // closes at once (E-28)
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if joined != left {
			t.Errorf("%d sockets came, %d left", joined, left)
		}
	})
}
