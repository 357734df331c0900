package socketio_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/socketio"
)

// A packed is a file of testdata/msgpack: header lines, an empty line, and the
// message in hexadecimal, with spaces and line ends anywhere.
type packed struct {
	name   string
	header map[string]string
	data   []byte
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func packedVectors(t testing.TB) []packed {
	t.Helper()
	files, err := filepath.Glob("testdata/msgpack/*.txt")
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d vectors, want at least 100 (%v)", len(files), err)
	}
	var all []packed
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, body, ok := strings.Cut(string(data), "\n\n")
		if !ok {
			t.Fatalf("%s: no empty line", file)
		}
		v := packed{name: strings.TrimSuffix(filepath.Base(file), ".txt"), header: map[string]string{}}
		for line := range strings.SplitSeq(head, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			v.header[key] = value
		}
		v.data = unhex(t, body)
		all = append(all, v)
	}
	return all
}

func TestMsgpackVectors(t *testing.T) {
	for _, v := range packedVectors(t) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			got, attachments, err := socketio.ParseMsgpack(v.data)
			switch v.header["expect"] {
			case "error":
				if want := v.header["because"]; !errors.Is(err, socketio.ErrPacket) || !strings.Contains(err.Error(), want) {
					t.Fatalf("ParseMsgpack: got %+v, %v; want ErrPacket with %q", got, err, want)
				}
			case "ok":
				if err != nil {
					t.Fatalf("ParseMsgpack: %v", err)
				}
				want := vector{header: v.header}.fields()
				if want["attachments"] != "" {
					want["attachments"] = strconv.Itoa(len(strings.Split(want["attachments"], ",")))
				}
				if diff := cmp.Diff(want, fields(got)); diff != "" {
					t.Errorf("packet (-want +got):\n%s", diff)
				}
				if codes := hexes(attachments); codes != v.header["attachments"] {
					t.Errorf("attachments: got %q, want %q", codes, v.header["attachments"])
				}
				canonical := v.data
				if text := v.header["canonical"]; text != "" {
					canonical = unhex(t, text)
				}
				if again := socketio.AppendMsgpack(nil, got, attachments); !bytes.Equal(again, canonical) {
					t.Errorf("AppendMsgpack: got %x, want %x", again, canonical)
				}
			default:
				t.Fatalf("expect: %q", v.header["expect"])
			}
		})
	}
}

// hexes are the attachments as vectors write them: -, if one is empty.
func hexes(attachments [][]byte) string {
	var codes []string
	for _, a := range attachments {
		code := hex.EncodeToString(a)
		if code == "" {
			code = "-"
		}
		codes = append(codes, code)
	}
	return strings.Join(codes, ",")
}

// A packet of the default parser and the same packet in msgpack say the same.
func TestMsgpackOfText(t *testing.T) {
	for _, v := range vectors(t) {
		p, err := socketio.ParsePacket(v.text)
		if err != nil {
			continue
		}
		var attachments [][]byte
		for i := range p.Attachments {
			attachments = append(attachments, []byte{byte(i)})
		}
		again, _, err := socketio.ParseMsgpack(socketio.AppendMsgpack(nil, p, attachments))
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if again.Namespace != p.Namespace || again.ID != p.ID || again.HasID != p.HasID {
			t.Errorf("%s: got %+v, want %+v", v.name, again, p)
		}
		if p.Attachments == 0 && len(p.Data) > 0 {
			sameJSON(t, again.Data, p.Data)
		}
	}
}

// FuzzMsgpack: a message that parses is encoded to its canonical form, which is
// the same packet to the byte, and encoded to itself.
func FuzzMsgpack(f *testing.F) {
	for _, v := range packedVectors(f) {
		f.Add(v.data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		given := bytes.Clone(data)
		p, attachments, err := socketio.ParseMsgpack(data)
		if !bytes.Equal(given, data) {
			t.Fatal("ParseMsgpack changed its input")
		}
		if err != nil {
			if !errors.Is(err, socketio.ErrPacket) {
				t.Fatalf("error is not ErrPacket: %v", err)
			}
			return
		}
		if most := 6*len(data) + 40*len(attachments); len(p.Data) > most {
			t.Fatalf("%d bytes of JSON from %d of msgpack", len(p.Data), len(data))
		}
		if len(attachments) != p.Attachments {
			t.Fatalf("%d attachments, the packet says %d", len(attachments), p.Attachments)
		}
		text := socketio.AppendPacket(nil, p)
		if _, err := socketio.ParsePacket(text); err != nil {
			t.Fatalf("the default parser refuses %q: %v", text, err)
		}
		out := socketio.AppendMsgpack(nil, p, attachments)
		again, same, err := socketio.ParseMsgpack(out)
		if err != nil {
			t.Fatalf("encoded to %x, which does not parse: %v", out, err)
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Fatalf("encoded to %x, another packet:\n%s", out, diff)
		}
		if hexes(attachments) != hexes(same) {
			t.Fatalf("attachments: got %s, want %s", hexes(same), hexes(attachments))
		}
		if last := socketio.AppendMsgpack(nil, again, same); !bytes.Equal(last, out) {
			t.Fatalf("encoded to %x and then to %x", out, last)
		}
	})
}

// FuzzMsgpackJSON: JSON that became msgpack and JSON again is the same to
// JavaScript, and an integer of 64 bits to everybody.
func FuzzMsgpackJSON(f *testing.F) {
	for _, v := range vectors(f) {
		if p, err := socketio.ParsePacket(v.text); err == nil {
			f.Add([]byte(p.Data))
		}
	}
	for _, text := range []string{
		`[1e400,-1e400,1e-400,-0,0.1,1.0,-1e3,123456789012345678901234567890,-9223372036854775809]`,
		`["\ud800","\udc00\ud800","\ud83d\ude00","\u0000\b\f\n\r\t\/\\\"","\ud800\u0041"]`,
		" [ 1 , { \"a\" : [ ] , \"\" : { } } ] ",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) || !json.Valid(text) || bytes.Count(text, []byte("[")) > 90 || bytes.Count(text, []byte("{")) > 9 {
			return
		}
		throughMsgpack(t, text)
	})
}

// TestMsgpackJSON is the same for values as applications have them.
func TestMsgpackJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := json.Marshal(anyJSON(4).Draw(t, "value"))
		if err != nil {
			t.Fatal(err)
		}
		throughMsgpack(t, text)
	})
}

func anyJSON(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{
		rapid.Just[any](nil), rapid.Bool().AsAny(), rapid.Int64().AsAny(), rapid.Uint64().AsAny(),
		rapid.Float64().AsAny(), rapid.Float32().AsAny(), rapid.IntRange(-300, 70_000).AsAny(),
		rapid.String().AsAny(), rapid.StringN(0, 70, -1).AsAny(),
	}
	if depth > 0 {
		inner := rapid.Deferred(func() *rapid.Generator[any] { return anyJSON(depth - 1) })
		leaves = append(leaves, rapid.SliceOfN(inner, 0, 20).AsAny(), rapid.MapOfN(rapid.String(), inner, 0, 20).AsAny())
	}
	return rapid.OneOf(leaves...)
}

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// throughMsgpack sends a JSON value there and back.
func throughMsgpack(t failer, value []byte) {
	t.Helper()
	p := socketio.Packet{Type: socketio.PacketEvent, Data: append(append([]byte(`["e",`), value...), ']')}
	out := socketio.AppendMsgpack(nil, p, nil)
	again, attachments, err := socketio.ParseMsgpack(out)
	if err != nil || len(attachments) > 0 {
		t.Fatalf("%s encoded to %x: %d attachments, %v", value, out, len(attachments), err)
	}
	sameJSON(t, again.Data, p.Data)
	infinite := bytes.Contains(out, []byte("\xcb\x7f\xf0")) || bytes.Contains(out, []byte("\xcb\xff\xf0")) // null, once back
	if last := socketio.AppendMsgpack(nil, again, nil); !bytes.Equal(out, last) && !infinite {
		t.Fatalf("%s encoded to %x and then to %x", value, out, last)
	}
}

// sameJSON compares two JSON texts as JavaScript would, but integers of 64 bits
// to the digit.
func sameJSON(t failer, got, want []byte) {
	t.Helper()
	if !reflect.DeepEqual(decoded(t, want), decoded(t, got)) { // cmp takes for ever on what is deep
		t.Fatalf("%s became %s", want, got)
	}
}

func decoded(t failer, text []byte) any {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return numbers(v)
}

// numbers replaces numbers by what is to stay of them.
func numbers(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	case json.Number:
		if i, ok := new(big.Int).SetString(v.String(), 10); ok && (i.IsInt64() || i.IsUint64()) && v != "-0" {
			return i.String()
		}
		f, err := v.Float64()
		if err != nil {
			return nil // infinite, which comes back as null
		}
		if i, exact := big.NewFloat(f).Int(nil); exact == big.Exact && (i.IsInt64() || i.IsUint64()) && (f != 0 || v[0] != '-') {
			return i.String()
		}
		return f
	}
	return v
}
