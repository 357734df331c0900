package socketio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzArray compares what reads the payload of an event with what encoding/json
// makes of it: elements, name, placeholders, depth.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`["e",1,{"a":[1,2,"],{"]},null]`))
	f.Add([]byte(` [ ] `))
	f.Add([]byte(`[-0.5e7 , "\"\\" ,{"x" : "\u0022,"}]`))
	f.Add([]byte(`["\u0063onnect"]`))
	f.Add([]byte(`["e",{"_placeholder":true,"num":0},{"\u005fplaceholder":true,"num":1,"num":9}]`))
	f.Add([]byte(`["e",[{"a":{"_placeholder":true,"num":-1}}]]`))
	f.Add([]byte(strings.Repeat("[", 101) + strings.Repeat("]", 101)))
	f.Fuzz(func(t *testing.T, data []byte) {
		if utf8.Valid(data) && len(data) > 0 && data[0] == '[' {
			if got, want := validJSON(data, '['), json.Valid(data) && deep(data) <= MaxDepth; got != want {
				t.Fatalf("validJSON: got %v, want %v", got, want)
			}
		}
		if !utf8.Valid(data) || !validJSON(data, '[') {
			return
		}
		var want []json.RawMessage
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		got := collect(data, 0)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("elements, want - got +:\n%s", diff)
		}
		for i := range len(want) + 1 {
			if diff := cmp.Diff(want[i:], collect(data, i), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("elements from %d on, want - got +:\n%s", i, diff)
			}
		}
		name, err := eventName(data)
		wantName, ok := nameOf(want)
		if (err == nil) != ok || ok && name != wantName {
			t.Errorf("name: got %q, %v, want %q, %v", name, err, wantName, ok)
		}
		value := decode(t, data)
		for _, attachments := range []int{1, 2, 10} {
			err := checkPlaceholders(data, attachments, func(int) {})
			if want := placed(value, attachments); (err == nil) != want {
				t.Errorf("placeholders of %d attachments: got %v, want %v", attachments, err, want)
			}
		}
	})
}

func nameOf(values []json.RawMessage) (string, bool) {
	if len(values) == 0 {
		return "", false
	}
	var name any
	d := json.NewDecoder(bytes.NewReader(values[0]))
	d.UseNumber()
	if d.Decode(&name) != nil {
		return "", false
	}
	switch name := name.(type) {
	case json.Number:
		return name.String(), true
	case string:
		return name, !slices.Contains([]string{
			"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener",
		}, name)
	}
	return "", false
}

func decode(t *testing.T, data []byte) (value any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// placed reports whether every placeholder in a value names an attachment. Of
// repeated keys a map has the last, as an object of JavaScript.
func placed(value any, attachments int) bool {
	switch v := value.(type) {
	case []any:
		return !slices.ContainsFunc(v, func(e any) bool { return !placed(e, attachments) })
	case map[string]any:
		if v["_placeholder"] == true {
			num, _ := v["num"].(json.Number)
			named := false
			for i := range attachments {
				named = named || string(num) == fmt.Sprint(i)
			}
			if !named {
				return false
			}
		}
		for _, e := range v {
			if !placed(e, attachments) {
				return false
			}
		}
	}
	return true
}

// deep returns how deeply valid JSON nests.
func deep(data []byte) int {
	most, depth := 0, 0
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		switch token, err := d.Token(); {
		case err != nil:
			return most
		case token == json.Delim('[') || token == json.Delim('{'):
			depth++
			most = max(most, depth)
		case token == json.Delim(']') || token == json.Delim('}'):
			depth--
		}
	}
}

// FuzzEvent: an event that NewBinaryEvent makes is one that ParsePacket takes,
// in any namespace and with any ack id, and says what went in.
func FuzzEvent(f *testing.F) {
	f.Add("e", []byte(`1`), []byte(`{"a":"\u2028"}`), "/donations", uint64(12), uint8(0))
	f.Add("\x00\u2028<>&\x1e", []byte(`"\x1e"`), []byte(` [ ] `), "/", uint64(MaxID), uint8(1))
	f.Add("connect", []byte(`null`), []byte(`{"_placeholder":true,"num":0}`), "/a?b", uint64(0), uint8(2))
	f.Add("", []byte(`1],[2`), []byte(`-`), "", uint64(1), uint8(0))
	f.Add("e", []byte(strings.Repeat("[", 99)+strings.Repeat("]", 99)), []byte(`{"_placeholder":true,"num":9}`), "/", uint64(1), uint8(10))
	f.Fuzz(func(t *testing.T, name string, a, b []byte, namespace string, id uint64, attachments uint8) {
		if namespace != "" && checkNamespace(namespace) != nil || !utf8.ValidString(namespace) || id > MaxID {
			return
		}
		args := Args{Values: []json.RawMessage{a, b}}
		for i := range attachments {
			args.Attachments = append(args.Attachments, []byte{i})
		}
		ev, err := NewBinaryEvent(name, args)
		if err != nil {
			return
		}
		for _, messages := range [][]string{texts(ev, namespace), idTexts(ev, namespace, id)} {
			if len(messages) != 1+int(attachments) {
				t.Fatalf("messages: got %d, want 1 and %d attachments", len(messages), attachments)
			}
			if strings.ContainsRune(messages[0], 0x1e) {
				t.Fatalf("%q has the separator of polling in it", messages[0])
			}
			p, err := ParsePacket([]byte(messages[0]))
			if err != nil {
				t.Fatalf("%q: %v", messages[0], err)
			}
			if p.Attachments != int(attachments) || p.HasID && p.ID != id ||
				p.Namespace != namespace && (p.Namespace != "/" || namespace != "") {
				t.Errorf("packet: got %+v", p)
			}
			if got, err := eventName(p.Data); err != nil || got != name {
				t.Errorf("name: got %q, %v, want %q", got, err, name)
			}
			want := []json.RawMessage{bytes.Trim(a, " \t\r\n"), bytes.Trim(b, " \t\r\n")}
			if diff := cmp.Diff(want, collect(p.Data, 1)); diff != "" {
				t.Errorf("values, want - got +:\n%s", diff)
			}
		}
	})
}

func texts(ev *Event, namespace string) (all []string) {
	for _, m := range ev.messages(parserText, &Namespace{name: namespace}) {
		all = append(all, string(m.Data()))
	}
	return all
}

func idTexts(ev *Event, namespace string, id uint64) (all []string) {
	for _, m := range ev.withID(parserText, namespace, id) {
		all = append(all, string(m.Data()))
	}
	return all
}

// FuzzAllocation: no decoder allocates more than what it was given warrants,
// whatever that declares.
func FuzzAllocation(f *testing.F) {
	f.Add([]byte(`565535-["e",{"_placeholder":true,"num":65534}]`))
	f.Add([]byte("2[" + strings.Repeat("1,", 2000) + "1]"))
	f.Add([]byte(`51-` + strings.Repeat("[", 100) + `{"_placeholder":true,"num":0}` + strings.Repeat("]", 100)))
	f.Add([]byte(`2["` + strings.Repeat(`\u0061`, 300) + `"]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if p, err := ParsePacket(in); err == nil && p.Type.event() {
			_, _ = eventName(p.Data)
			collect(p.Data, 1)
		}
		runtime.ReadMemStats(&after)
		if got, most := after.TotalAlloc-before.TotalAlloc, uint64(64<<10+64*len(in)); got > most {
			t.Errorf("%d bytes of input, %d allocated", len(in), got)
		}
	})
}
