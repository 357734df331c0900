package socketio_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"larder/socketio"
)

// A vector is a file of testdata/packets: header lines, an empty line, and the
// packet up to the last newline.
type vector struct {
	name   string
	header map[string]string
	text   []byte
}

func vectors(t testing.TB) []vector {
	t.Helper()
	files, err := filepath.Glob("testdata/packets/*.txt")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d vectors, want at least 100 (%v)", len(files), err)
	}
	var all []vector
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, ok := strings.Cut(string(data), "\n\n")
		if !ok {
			t.Fatalf("%s: no empty line", file)
		}
		v := vector{name: strings.TrimSuffix(filepath.Base(file), ".txt"), header: map[string]string{}}
		for line := range strings.SplitSeq(head, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			v.header[key] = value
		}
		body = strings.TrimSuffix(body, "\n")
		if v.header["quoted"] == "yes" {
			if body, err = strconv.Unquote(body); err != nil {
				t.Fatalf("%s: %v", file, err)
			}
		}
		v.text = []byte(body)
		all = append(all, v)
	}
	return all
}

func TestPacketVectors(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			got, err := socketio.ParsePacket(v.text)
			switch v.header["expect"] {
			case "error":
				if !errors.Is(err, socketio.ErrPacket) {
					t.Fatalf("ParsePacket: got %+v, %v; want ErrPacket, because %s", got, err, v.header["because"])
				}
			case "ok":
				if err != nil {
					t.Fatalf("ParsePacket: %v", err)
				}
				if diff := cmp.Diff(v.fields(), fields(got)); diff != "" {
					t.Errorf("packet (-want +got):\n%s", diff)
				}
				canonical := v.header["canonical"]
				if canonical == "" {
					canonical = string(v.text)
				}
				if again := socketio.AppendPacket(nil, got); string(again) != canonical {
					t.Errorf("AppendPacket: got %s, want %s", again, canonical)
				}
			default:
				t.Fatalf("expect: %q", v.header["expect"])
			}
		})
	}
}

// fields are what a vector says of its packet.
func (v vector) fields() map[string]string {
	want := map[string]string{}
	for _, key := range []string{"type", "namespace", "id", "attachments", "data"} {
		if value, ok := v.header[key]; ok {
			want[key] = value
		}
	}
	return want
}

func fields(p socketio.Packet) map[string]string {
	got := map[string]string{"type": p.Type.String(), "namespace": p.Namespace}
	if p.HasID {
		got["id"] = strconv.FormatUint(p.ID, 10)
	}
	if p.Attachments > 0 {
		got["attachments"] = strconv.Itoa(p.Attachments)
	}
	if len(p.Data) > 0 {
		got["data"] = string(p.Data)
	}
	return got
}

// canonical matches the packets that AppendPacket may write.
var canonical = regexp.MustCompile(`(?s)^(?:[0-4]|[56][1-9][0-9]*-)(?:/[^,]+,)?(?:0|[1-9][0-9]*)?(?:[\[{"].*)?$`)

// FuzzPacket: what parses is equivalent to what it is encoded to, and a
// canonical packet is encoded to itself.
func FuzzPacket(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		given := bytes.Clone(text)
		p, err := socketio.ParsePacket(text)
		if !bytes.Equal(given, text) {
			t.Fatal("ParsePacket changed its input")
		}
		if err != nil {
			if !errors.Is(err, socketio.ErrPacket) {
				t.Fatalf("error is not ErrPacket: %v", err)
			}
			return
		}
		out := socketio.AppendPacket(nil, p)
		again, err := socketio.ParsePacket(out)
		if err != nil {
			t.Fatalf("encoded to %q, which does not parse: %v", out, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("encoded to %q, another packet:\n%s", out, diff)
		}
		if !canonical.Match(out) {
			t.Fatalf("encoded to %q, not canonical", out)
		}
		if canonical.Match(text) && !bytes.Equal(text, out) {
			t.Fatalf("canonical %q encoded to %q", text, out)
		}
		if p.HasID && p.ID > socketio.MaxID {
			t.Fatalf("ack id %d", p.ID)
		}
	})
}

func BenchmarkParsePacket(b *testing.B) {
	text := []byte(`2/donations,12["volunteer.shareLocation",{"donationId":"0197e0d4-7f8f-7c3e-a0cb-0d5d3a7d4a11","lat":48.137154,"lng":11.576124}]`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := socketio.ParsePacket(text); err != nil {
			b.Fatal(err)
		}
	}
}
