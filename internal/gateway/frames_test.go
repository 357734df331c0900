package gateway_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

func text(s string) wire.Frame { return wire.Frame{Op: ws.OpText, Payload: []byte(s)} }

func changed(f wire.Frame, change func(*wire.Frame)) wire.Frame {
	change(&f)
	return f
}

// misbehaviour is what a client may send, and how it is closed (E-39, E-40).
var misbehaviour = map[string]struct {
	frames []wire.Frame
	code   ws.StatusCode
}{
	"unmasked":              {[]wire.Frame{changed(text(`{}`), func(f *wire.Frame) { f.Unmasked = true })}, ws.StatusProtocolError},
	"reserved bit 1":        {[]wire.Frame{changed(text(`{}`), func(f *wire.Frame) { f.Rsv = 4 })}, ws.StatusProtocolError},
	"reserved bit 3":        {[]wire.Frame{changed(text(`{}`), func(f *wire.Frame) { f.Rsv = 1 })}, ws.StatusProtocolError},
	"reserved opcode":       {[]wire.Frame{{Op: 3, Payload: []byte("x")}}, ws.StatusProtocolError},
	"reserved control":      {[]wire.Frame{{Op: 0xb}}, ws.StatusProtocolError},
	"binary":                {[]wire.Frame{{Op: ws.OpBinary, Payload: []byte(`{"event":"test"}`)}}, ws.StatusUnsupportedData},
	"bad UTF-8":             {[]wire.Frame{text("{\"event\":\"\xff\"}")}, ws.StatusInvalidFramePayloadData},
	"half a character":      {[]wire.Frame{text("{\"event\":\"\xc3")}, ws.StatusInvalidFramePayloadData},
	"fragmented bad UTF-8":  {[]wire.Frame{{Op: ws.OpText, Payload: []byte("\xc3"), More: true}, {Op: ws.OpContinuation, Payload: []byte("x")}}, ws.StatusInvalidFramePayloadData},
	"too big":               {[]wire.Frame{text(strings.Repeat("x", 64<<10+1))}, ws.StatusMessageTooBig},
	"too big, declared":     {[]wire.Frame{changed(text("x"), func(f *wire.Frame) { f.Declare = 1 << 40 })}, ws.StatusMessageTooBig},
	"too big in fragments":  {[]wire.Frame{{Op: ws.OpText, Payload: make([]byte, 40<<10), More: true}, {Op: ws.OpContinuation, Payload: make([]byte, 40<<10)}}, ws.StatusMessageTooBig},
	"too big, many":         {append([]wire.Frame{{Op: ws.OpText, More: true}}, many(70)...), ws.StatusMessageTooBig},
	"continuation of none":  {[]wire.Frame{{Op: ws.OpContinuation, Payload: []byte("x")}}, ws.StatusProtocolError},
	"text in a message":     {[]wire.Frame{{Op: ws.OpText, Payload: []byte("x"), More: true}, text("y")}, ws.StatusProtocolError},
	"fragmented ping":       {[]wire.Frame{{Op: ws.OpPing, More: true}}, ws.StatusProtocolError},
	"long ping":             {[]wire.Frame{{Op: ws.OpPing, Payload: make([]byte, 126)}}, ws.StatusProtocolError},
	"close of one byte":     {[]wire.Frame{{Op: ws.OpClose, Payload: []byte{3}}}, ws.StatusProtocolError},
	"close with 1005":       {[]wire.Frame{{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(1005, "")}}, ws.StatusProtocolError},
	"close with 999":        {[]wire.Frame{{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(999, "")}}, ws.StatusProtocolError},
	"close with bad reason": {[]wire.Frame{{Op: ws.OpClose, Payload: append(ws.NewCloseFrameBody(1000, ""), 0xff)}}, ws.StatusProtocolError},
	"good close":            {[]wire.Frame{{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(1000, "bye")}}, ws.StatusNormalClosure},
	"close of its own":      {[]wire.Frame{{Op: ws.OpClose, Payload: ws.NewCloseFrameBody(4001, "mine")}}, 4001},
}

func many(n int) (frames []wire.Frame) {
	for range n {
		frames = append(frames, wire.Frame{Op: ws.OpContinuation, Payload: make([]byte, 1<<10), More: true})
	}
	return frames
}

// Before and after it has shown who it is, a client that misbehaves gets the code
// that says how, at once, and nothing of it is our fault.
func TestPlainMisbehaviour(t *testing.T) {
	for name, tc := range misbehaviour {
		for _, signedIn := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, signed in %t", name, signedIn), func(t *testing.T) {
				bubble(t, func(t *testing.T, n *testkit.Node) {
					var p *testkit.Plain
					if signedIn {
						p = n.Plain("", testkit.Bearer(n.User(account.Donor).Token))
						testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
					} else {
						p = n.Plain("", nil)
					}
					go func() { _ = p.Send(tc.frames...) }() // the other side may stop reading
					start := time.Now()
					_, err := p.Frame()
					closed, ok := errors.AsType[*wire.Closed](err)
					if !ok || closed.Code != tc.code {
						t.Errorf("got %v, want close %d", err, tc.code)
					}
					if d := time.Since(start); d > time.Second {
						t.Errorf("closed after %v", d)
					}
					if _, err := io.ReadAll(p.Conn); err != nil && !errors.Is(err, io.ErrClosedPipe) {
						t.Errorf("after the close: %v", err)
					}
					if errs := strings.Contains(n.Logs.String(), `"level":"ERROR"`); errs {
						t.Error("logged as an error of ours")
					}
				})
			})
		}
	}
}

// An empty close is answered with 1000 and not with 1005, which no frame may carry.
func TestPlainEmptyClose(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		p := n.Plain("", testkit.Bearer(n.User(account.Donor).Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		if err := p.Send(wire.Frame{Op: ws.OpClose}); err != nil {
			t.Fatal(err)
		}
		op, payload, err := p.Read()
		if code, _ := ws.ParseCloseFrameData(payload); err != nil || op != ws.OpClose || len(payload) > 0 && code != 1000 {
			t.Errorf("got %v %v %v", op, payload, err)
		}
	})
}

// Fragments, control frames between them and the largest message are all good.
func TestPlainFragments(t *testing.T) {
	bubble(t, func(t *testing.T, n *testkit.Node) {
		p := n.Plain("", testkit.Bearer(n.User(account.Donor).Token))
		testkit.Expect[api.FeedReady](n, p, api.EventFeedReady)
		full := `{"event":"test","data":"` + strings.Repeat("x", 64<<10-len(`{"event":"test","data":""}`)) + `"}`
		for name, frames := range map[string][]wire.Frame{
			"in three": {{Op: ws.OpText, Payload: []byte(`{"eve`), More: true}, {Op: ws.OpContinuation, Payload: []byte(`nt":`), More: true}, {Op: ws.OpContinuation, Payload: []byte(`"test"}`)}},
			"ping between": {
				{Op: ws.OpText, Payload: []byte(`{"event":`), More: true},
				{Op: ws.OpPing, Payload: make([]byte, 125)},
				{Op: ws.OpPong},
				{Op: ws.OpContinuation, Payload: []byte(`"test"}`)},
			},
			"empty fragments": {{Op: ws.OpText, More: true}, {Op: ws.OpContinuation, Payload: []byte(`{"event":"test"}`), More: true}, {Op: ws.OpContinuation}},
			"split character": {{Op: ws.OpText, Payload: []byte("{\"event\":\"test\",\"x\":\"\xc3"), More: true}, {Op: ws.OpContinuation, Payload: []byte("\xa4\"}")}},
			"the largest":     {text(full)},
		} {
			go func() { _ = p.Send(frames...) }()
			pong := false
			for {
				op, payload, err := p.Read()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if op == ws.OpPong {
					pong = len(payload) == 125
					continue
				}
				if op != ws.OpText || !strings.Contains(string(payload), "test-response") {
					t.Fatalf("%s: got %v %s", name, op, payload)
				}
				break
			}
			if name == "ping between" && !pong {
				t.Error("the ping was not answered")
			}
		}
	})
}
