package engineio_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/engineio"
)

// vector is a file of testdata: header lines, an empty line, the body to the
// last byte.
type vector struct {
	name string
	ok   bool
	body []byte
}

func vectors(tb testing.TB, kind string) []vector {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*.txt"))
	if err != nil || len(files) < 10 {
		tb.Fatalf("vectors of %s: found %d, %v", kind, len(files), err)
	}
	var all []vector
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		head, body, ok := bytes.Cut(data, []byte("\n\n"))
		if !ok {
			tb.Fatalf("%s: no empty line", name)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(name), ".txt"), body: body}
		for line := range strings.Lines(string(head)) {
			key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			switch {
			case key == "expect" && (value == "ok" || value == "error"):
				v.ok = value == "ok"
			case key == "why" && value != "":
			default:
				tb.Fatalf("%s: bad header line %q", name, line)
			}
		}
		all = append(all, v)
	}
	return all
}

func TestPacketVectors(t *testing.T) {
	for _, v := range vectors(t, "packet") {
		t.Run(v.name, func(t *testing.T) {
			p, err := engineio.ParsePacket(v.body)
			if (err == nil) != v.ok {
				t.Fatalf("ParsePacket: got %+v, %v", p, err)
			}
			if err == nil && !bytes.Equal(engineio.AppendPacket([]byte("before"), p), append([]byte("before"), v.body...)) {
				t.Errorf("AppendPacket: got %q, want %q", engineio.AppendPacket(nil, p), v.body)
			}
		})
	}
}

func TestParsePacket(t *testing.T) {
	for in, want := range map[string]engineio.Packet{
		"4hello":    {Type: engineio.PacketMessage, Data: []byte("hello")},
		"bAQIDBA==": {Type: engineio.PacketMessage, Data: []byte{1, 2, 3, 4}, Binary: true},
		"2probe":    {Type: engineio.PacketPing, Data: []byte("probe")},
		"6":         {Type: engineio.PacketNoop, Data: []byte{}},
	} {
		got, err := engineio.ParsePacket([]byte(in))
		if err != nil {
			t.Fatalf("ParsePacket(%q): %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ParsePacket(%q), want - got +:\n%s", in, diff)
		}
	}
	for in, want := range map[string]error{
		"": engineio.ErrEmptyPacket, "x": engineio.ErrUnknownPacket, "b!": engineio.ErrBadBase64, "b\n": engineio.ErrBadBase64,
	} {
		if _, err := engineio.ParsePacket([]byte(in)); !errors.Is(err, want) {
			t.Errorf("ParsePacket(%q): got %v, want %v", in, err, want)
		}
	}
}

// parsePayload collects the packets of a body up to the first error.
func parsePayload(body []byte) ([]engineio.Packet, error) {
	var packets []engineio.Packet
	for p, err := range engineio.ParsePayload(body) {
		if err != nil {
			return packets, err
		}
		packets = append(packets, p)
	}
	return packets, nil
}

func TestPayloadVectors(t *testing.T) {
	for _, v := range vectors(t, "payload") {
		t.Run(v.name, func(t *testing.T) {
			packets, err := parsePayload(v.body)
			if (err == nil) != v.ok {
				t.Fatalf("ParsePayload: got %+v, %v", packets, err)
			}
			if err == nil && !bytes.Equal(engineio.AppendPayload(nil, packets...), v.body) {
				t.Errorf("AppendPayload: got %q, want %q", engineio.AppendPayload(nil, packets...), v.body)
			}
		})
	}
}

func TestParsePayloadStopsWhenAsked(t *testing.T) {
	n := 0
	for range engineio.ParsePayload([]byte("4a\x1e4b\x1e4c")) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("packets: got %d", n)
	}
}

func FuzzPacket(f *testing.F) {
	for _, v := range vectors(f, "packet") {
		f.Add(v.body)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := engineio.ParsePacket(in)
		if err != nil {
			return
		}
		if out := engineio.AppendPacket(nil, p); !bytes.Equal(out, in) {
			t.Errorf("%q parses to %+v, which encodes to %q", in, p, out)
		}
	})
}

func FuzzPayload(f *testing.F) {
	for _, v := range vectors(f, "payload") {
		f.Add(v.body)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		packets, err := parsePayload(in)
		if err != nil {
			return
		}
		if out := engineio.AppendPayload(nil, packets...); !bytes.Equal(out, in) {
			t.Errorf("%q parses to %+v, which encodes to %q", in, packets, out)
		}
	})
}

func TestMessage(t *testing.T) {
	text := engineio.NewMessage([]byte("hello"))
	binary := engineio.NewBinaryMessage([]byte{1, 2, 3})
	if text.Len() != 5 || text.Binary() || string(text.Data()) != "hello" {
		t.Errorf("text: got %d, %v, %q", text.Len(), text.Binary(), text.Data())
	}
	if binary.Len() != 3 || !binary.Binary() || string(binary.Data()) != "\x01\x02\x03" {
		t.Errorf("binary: got %d, %v, %q", binary.Len(), binary.Binary(), binary.Data())
	}
	if n := engineio.NewMessage(nil).Len(); n != 0 {
		t.Errorf("empty: got %d", n)
	}
}

func TestCause(t *testing.T) {
	detail := errors.New("detail")
	c := engineio.Cause{Reason: engineio.ReasonTransportError, Err: detail}
	if c.Error() != "transport error: detail" || !errors.Is(c, detail) {
		t.Errorf("Error: got %q", c.Error())
	}
	if got := (engineio.Cause{Reason: "slow"}).Error(); got != "slow" {
		t.Errorf("Error: got %q", got)
	}
}
