package eventlog_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"larder/internal/eventlog"
)

const epoch = "abcdefgh2345"

func TestParsePosition(t *testing.T) {
	for text, want := range map[string]eventlog.Position{
		epoch + "-0":                   {Epoch: epoch},
		epoch + "-1":                   {Epoch: epoch, Seq: 1},
		epoch + "-9223372036854775807": {Epoch: epoch, Seq: 1<<63 - 1},
		"zzzzzzzzzzzz-42":              {Epoch: "zzzzzzzzzzzz", Seq: 42},
		"777777777777-42":              {Epoch: "777777777777", Seq: 42},
	} {
		got, err := eventlog.ParsePosition(text)
		if err != nil || got != want {
			t.Errorf("ParsePosition(%q): got %v, %v, want %v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("String of %q: got %q", text, got)
		}
	}
	for name, text := range map[string]string{
		"empty":               "",
		"no hyphen":           epoch + "1",
		"no epoch":            "-1",
		"no number":           epoch + "-",
		"short epoch":         "abcdefgh234-1",
		"long epoch":          epoch + "a-1",
		"capital letter":      "Abcdefgh2345-1",
		"digit 1":             "abcdefgh1345-1",
		"digit 8":             "abcdefgh8345-1",
		"in the middle":       "abcde!gh2345-1",
		"not ASCII":           "abcdefgh23é-1",
		"negative":            epoch + "--1",
		"plus":                epoch + "-+1",
		"leading zero":        epoch + "-01",
		"minus zero":          epoch + "--0",
		"space before":        " " + epoch + "-1",
		"space after":         epoch + "-1 ",
		"line break":          epoch + "-1\n",
		"fraction":            epoch + "-1.0",
		"hexadecimal":         epoch + "-0x1",
		"underscore":          epoch + "-1_0",
		"too large":           epoch + "-9223372036854775808",
		"another part":        epoch + "-1-2",
		"Socket.IO's offsets": "1.2.3",
		"NUL":                 epoch + "-1\x00",
		"other digits":        epoch + "-१",
	} {
		got, err := eventlog.ParsePosition(text)
		if !errors.Is(err, eventlog.ErrPosition) || got != (eventlog.Position{}) {
			t.Errorf("%s: ParsePosition(%q): got %v, %v, want ErrPosition", name, text, got, err)
		}
		if err != nil && len(err.Error()) > 250 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// FuzzParsePosition checks that what is taken is written again as it was.
func FuzzParsePosition(f *testing.F) {
	for _, seed := range []string{epoch + "-1", epoch + "-0", "-", epoch + "-01", "zzzzzzzzzzzz-9223372036854775807"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := eventlog.ParsePosition(text)
		if err != nil {
			return
		}
		if p.String() != text {
			t.Errorf("%q was taken and is written as %q", text, p)
		}
	})
}

func TestData(t *testing.T) {
	at := eventlog.Position{Epoch: epoch, Seq: 7}
	for payload, want := range map[string]string{
		`{}`:                    `{"position":"abcdefgh2345-7"}`,
		`{"a":1}`:               `{"a":1,"position":"abcdefgh2345-7"}`,
		`{"a":{}}`:              `{"a":{},"position":"abcdefgh2345-7"}`,
		`{"a":"}"}`:             `{"a":"}","position":"abcdefgh2345-7"}`,
		`{ }`:                   `{"position":"abcdefgh2345-7"}`,
		" {\"a\" : [1, 2]\n}\n": `{"a" : [1, 2],"position":"abcdefgh2345-7"}`,
	} {
		r := eventlog.Record{Position: at, Draft: eventlog.Draft{Payload: []byte(payload)}}
		if got := string(r.Data()); got != want || string(r.Payload) != payload {
			t.Errorf("Data of %q:\n got %s\nwant %s\nand the payload is now %q", payload, got, want, r.Payload)
		}
	}
	// What is no object can't be in the log; it must not take the tailer down.
	for _, payload := range []string{``, `}`, `{`, `[]`, `7`} {
		eventlog.Record{Position: at, Draft: eventlog.Draft{Payload: []byte(payload)}}.Data()
	}
}

// FuzzData checks that any object keeps its members and gets its position.
func FuzzData(f *testing.F) {
	for _, seed := range []string{`{}`, `{ }`, `{"a":1}`, " {\"a\":[]} \n", `{"a":{"b":"}"}}`} {
		f.Add(seed, int64(3))
	}
	f.Fuzz(func(t *testing.T, payload string, seq int64) {
		var want map[string]any
		if json.Unmarshal([]byte(payload), &want) != nil || want == nil || seq < 0 {
			return
		}
		r := eventlog.Record{Position: eventlog.Position{Epoch: epoch, Seq: seq}, Draft: eventlog.Draft{Payload: []byte(payload)}}
		var got map[string]any
		if err := json.Unmarshal(r.Data(), &got); err != nil {
			t.Fatalf("Data of %q is no JSON: %v\n%s", payload, err, r.Data())
		}
		want["position"] = r.Position.String()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Data of %q: got %v, want %v", payload, got, want)
		}
	})
}

func TestAudience(t *testing.T) {
	some := eventlog.Audience{Users: []string{"a", "b"}}
	for name, tc := range map[string]struct {
		audience eventlog.Audience
		user     string
		want     bool
	}{
		"everyone":         {eventlog.Audience{Everyone: true}, "x", true},
		"one of them":      {some, "b", true},
		"another":          {some, "c", false},
		"case counts":      {some, "A", false},
		"nobody":           {eventlog.Audience{}, "a", false},
		"nobody, empty id": {eventlog.Audience{}, "", false},
	} {
		if got := tc.audience.Includes(tc.user); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}
