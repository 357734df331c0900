package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"larder/socketio"
)

// A packedLink is the link of a client with the msgpack parser, for tests that
// speak of packets in the form of the default parser. S-45
type packedLink struct {
	link
	waiting []frame
}

// packedPeer makes the client of any test a msgpack client.
func packedPeer(p *peer) *peer { return &peer{p.t, &packedLink{link: p.link}} }

func (l *packedLink) write(frames ...frame) {
	packed, ok := pack(frames)
	if !ok {
		panic("test: a packet that only the default parser can say")
	}
	l.link.write(packed...)
}

// pack joins packets and their attachments. It fails for what has no form in
// msgpack.
func pack(frames []frame) (packed []frame, ok bool) {
	for len(frames) > 0 {
		text, message := strings.CutPrefix(frames[0].text, "4")
		f := frames[0]
		frames = frames[1:]
		if !message {
			if f.data != nil {
				return nil, false
			}
			packed = append(packed, f)
			continue
		}
		p, err := socketio.ParsePacket([]byte(text))
		if err != nil || p.Attachments > len(frames) {
			return nil, false
		}
		var attachments [][]byte
		for _, a := range frames[:p.Attachments] {
			if a.data == nil {
				return nil, false
			}
			attachments = append(attachments, a.data)
		}
		frames = frames[p.Attachments:]
		packed = append(packed, frame{data: socketio.AppendMsgpack(nil, p, attachments)})
	}
	return packed, true
}

func (l *packedLink) read() (frame, error) {
	if len(l.waiting) == 0 {
		f, err := l.link.read()
		if err != nil || f.data == nil && !strings.HasPrefix(f.text, "4") {
			return f, err
		}
		p, attachments, err := socketio.ParseMsgpack(f.data)
		if err != nil {
			return frame{}, fmt.Errorf("%s: %w", f, err)
		}
		l.waiting = []frame{{text: "4" + string(socketio.AppendPacket(nil, p))}}
		for _, a := range attachments {
			l.waiting = append(l.waiting, frame{data: a})
		}
	}
	f := l.waiting[0]
	l.waiting = l.waiting[1:]
	return f, nil
}

// textOnly are the transcripts that say something else in msgpack, and why.
var textOnly = map[string]string{
	"binary-nested":    "an attachment named twice is two",
	"binary-ten":       "attachments that nothing names are lost",
	"event-big-number": "numbers have 64 bits",
}

// TestTranscriptsMsgpack plays the same files with the msgpack parser, but for
// those whose packets only the default parser can say.
func TestTranscriptsMsgpack(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	played := 0
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		if _, ok := pack(said(t, string(script))); !ok || textOnly[name] != "" {
			continue
		}
		played++
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				play(t, packedPeer(open(serve(t, suiteConfig(), application))), joined(string(script)))
			})
		})
	}
	if played < 36 {
		t.Errorf("played %d transcripts, want at least 36", played)
	}
}

// said are the packets of the client in a transcript.
func said(t *testing.T, script string) []frame {
	var frames []frame
	for line := range strings.Lines(script) {
		op, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if op != ">" && op != "+" {
			continue
		}
		f := frame{text: text}
		if code, ok := strings.CutPrefix(text, "x "); ok {
			f = frame{data: unhex(t, code)}
		}
		frames = append(frames, f)
	}
	return frames
}

// joined is the script with each attachment in the body of its packet: here
// they are one message.
func joined(script string) string { return strings.ReplaceAll(script, "\n> x ", "\n+ x ") }

// The first message tells which parser a client speaks, and the other one is a
// fault from then on.
func TestParserChoice(t *testing.T) {
	connect := socketio.AppendMsgpack(nil, socketio.Packet{Type: socketio.PacketConnect}, nil)
	for name, tc := range map[string]struct {
		noMsgpack bool
		first     frame
		then      frame // after the answer, if there is one
	}{
		"text after msgpack":      {first: frame{data: connect}, then: frame{text: `42["e"]`}},
		"msgpack after text":      {first: frame{text: "40"}, then: frame{data: connect}},
		"msgpack switched off":    {noMsgpack: true, first: frame{data: connect}},
		"binary that is no map":   {first: frame{data: []byte{1}}},
		"empty binary":            {first: frame{data: []byte{}}},
		"text in msgpack's place": {first: frame{data: []byte("0")}},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				cfg := quiet()
				cfg.NoMsgpack = tc.noMsgpack
				p := open(serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") }))
				p.write(tc.first)
				if tc.then.text != "" || tc.then.data != nil {
					if f := p.next(); (f.data == nil) != (tc.first.data == nil) {
						t.Fatalf("asked with %s, answered with %s", tc.first, f)
					}
					p.write(tc.then)
				}
				p.expectClosed()
			})
		})
	}
}

// Clients of both parsers are in one namespace and hear the same.
func TestBothParsers(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var nsp *socketio.Namespace
		h := serve(t, quiet(), func(srv *socketio.Server) {
			nsp = srv.Of("/board")
			nsp.OnRaw("tell", func(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				ev, err := socketio.NewBinaryEvent("told", args)
				if err == nil {
					s.Broadcast(ev)
				}
				return &args, err
			})
		})
		text, packed := open(h), packedPeer(open(h))
		for _, p := range []*peer{text, packed} {
			p.connect("/board", `{"token":"t"}`)
		}
		plain := event(t, "e", `{"a":[1,"ä",12345678901234567890]}`)
		bin, err := socketio.NewBinaryEvent("b", socketio.Args{
			Values: []json.RawMessage{socketio.Placeholder(1), socketio.Placeholder(0), json.RawMessage("null")}, Attachments: [][]byte{{1}, {2}},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second time what was kept is sent
			nsp.Emit(plain)
			nsp.Emit(bin)
		}
		for range 2 {
			for _, p := range []*peer{text, packed} {
				p.expect(`2/board,["e",{"a":[1,"ä",12345678901234567890]}]`)
			}
			text.expect(`52-/board,["b",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0},null]`, "binary 01", "binary 02")
			packed.expect(`52-/board,["b",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},null]`, "binary 02", "binary 01")
		}
		for i, p := range []*peer{text, packed} {
			other := []*peer{packed, text}[i]
			p.write(frame{text: `451-/board,7["tell",{"_placeholder":true,"num":0}]`}, frame{data: []byte{byte(i)}})
			p.expect(`61-/board,7[{"_placeholder":true,"num":0}]`, fmt.Sprintf("binary 0%d", i))
			other.expect(`51-/board,["told",{"_placeholder":true,"num":0}]`, fmt.Sprintf("binary 0%d", i))
		}
	})
}

// Acks are asked of clients of both parsers with one call. S-25
func TestBothParsersAck(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var nsp *socketio.Namespace
		h := serve(t, quiet(), func(srv *socketio.Server) { nsp = srv.Of("/") })
		text, packed := open(h), packedPeer(open(h))
		text.connect("/", "")
		packed.connect("/", "")
		got := make(chan string)
		go func() {
			answers, err := nsp.EmitAck(t.Context(), event(t, "question", "1"))
			var all []string
			for _, a := range answers {
				all = append(all, outcome(a.Args, a.Err))
			}
			slices.Sort(all)
			got <- fmt.Sprint(all, err)
		}()
		for _, p := range []*peer{text, packed} {
			p.expect(`21["question",1]`)
		}
		text.write(frame{text: `461-1["text",{"_placeholder":true,"num":0}]`}, frame{data: []byte{1}})
		packed.write(frame{text: `461-1["packed",{"_placeholder":true,"num":0}]`}, frame{data: []byte{2}})
		want := `[["packed" {"_placeholder":true,"num":0}] [02] ["text" {"_placeholder":true,"num":0}] [01]] <nil>`
		if all := <-got; all != want {
			t.Errorf("got %s, want %s", all, want)
		}
	})
}

// The limits of attachments and auth hold for what stands inline.
func TestMsgpackLimits(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		cfg := quiet()
		cfg.MaxBinaryBytes, cfg.MaxAttachments, cfg.MaxAuthBytes = 100, 2, 20
		h := serve(t, cfg, func(srv *socketio.Server) {
			srv.Of("/").OnRaw("keep", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				return &socketio.Args{Values: args.Values}, nil
			})
		})
		keep := func(id int, sizes ...int) frame {
			p := socketio.Packet{Type: socketio.PacketEvent, HasID: true, ID: uint64(id), Data: []byte(`["keep"`)}
			var attachments [][]byte
			for i, n := range sizes {
				p.Data = append(append(p.Data, ','), socketio.Placeholder(i)...)
				attachments = append(attachments, make([]byte, n))
			}
			p.Data = append(p.Data, ']')
			return frame{data: socketio.AppendMsgpack(nil, p, attachments)}
		}
		for name, over := range map[string]frame{
			"bytes": keep(2, 50, 51),
			"count": keep(2, 1, 1, 1),
		} {
			raw := open(h)
			p := packedPeer(raw)
			p.send(`0{"a":"` + strings.Repeat("x", 20) + `"}`)
			p.expect(`4{"message":"Handshake too large"}`)
			p.connect("/", "")
			raw.write(keep(1, 50, 50))
			p.expect(`31[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`)
			raw.write(over)
			t.Log(name)
			p.expectClosed()
		}
	})
}

// An attachment goes into a msgpack packet wherever it is named, so what names
// it over and over is not taken. S-45
func TestNewEventRepeats(t *testing.T) {
	named := func(times, size int) error {
		values := slices.Repeat([]json.RawMessage{socketio.Placeholder(0)}, times)
		_, err := socketio.NewBinaryEvent("e", socketio.Args{Values: values, Attachments: [][]byte{make([]byte, size)}})
		return err
	}
	for _, tc := range []struct{ times, size int }{{1, 1 << 20}, {2, 64 << 10}, {65, 1 << 10}, {5000, 0}} {
		if err := named(tc.times, tc.size); err != nil {
			t.Errorf("%d bytes named %d times: %v", tc.size, tc.times, err)
		}
	}
	for _, tc := range []struct{ times, size int }{{2, 64<<10 + 1}, {66, 1 << 10}, {5000, 1 << 20}} {
		if err := named(tc.times, tc.size); err == nil {
			t.Errorf("%d bytes named %d times: taken", tc.size, tc.times)
		}
	}
}

// What an event is in msgpack names its attachments where they stand.
func TestMsgpackRepeats(t *testing.T) {
	p := socketio.Packet{Type: socketio.PacketBinaryEvent, Attachments: 1, Data: []byte(`["e",{"_placeholder":true,"num":0},{"num":0,"\u005fplaceholder":true,"x":[{}]},{"_placeholder":false,"num":0}]`)}
	out := socketio.AppendMsgpack(nil, p, [][]byte{{7}})
	want := unhex(t, "83a47479706502a36e7370a12fa46461746194a165c40107c4010782ac5f706c616365686f6c646572c2a36e756d00")
	if !bytes.Equal(out, want) {
		t.Errorf("got %x, want %x", out, want)
	}
}

// AppendMsgpack checks nothing, but ends whatever it is given.
func FuzzAppendMsgpack(f *testing.F) {
	for _, text := range []string{`["e",{"a":1}]`, `{"a"`, `[1,,2`, `"\u12`, `"\`, `tru`, `{:,}`, `-`, `]`, `{"_placeholder":true,"num":`, ``} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		socketio.AppendMsgpack(nil, socketio.Packet{Type: socketio.PacketEvent, Data: data}, [][]byte{{1}})
	})
}

// A volatile event in msgpack is dropped like any other. S-42
func TestMsgpackVolatile(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
		p := packedPeer(open(h))
		p.connect("/", "")
		socket := h.srv.Of("/").Sockets()[0]
		synctest.Wait()
		if err := socket.Emit(event(t, "first")); err != nil { // nobody reads it yet
			t.Fatal(err)
		}
		synctest.Wait()
		place := event(t, "place", "1").Volatile()
		if err := socket.Emit(place); !errors.Is(err, socketio.ErrDropped) {
			t.Errorf("Emit to a busy connection: got %v, want ErrDropped", err)
		}
		p.expect(`2["first"]`)
		heard := p.listen()
		if err := socket.Emit(place); err != nil {
			t.Errorf("Emit to an idle connection: %v", err)
		}
		if got, want := <-heard, `42["place",1]`; got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
	})
}
