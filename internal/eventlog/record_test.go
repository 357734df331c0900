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
		"abcdefgh2345-000000000000k":        {Epoch: epoch},
		"abcdefgh2345-000000000001n":        {Epoch: epoch, Seq: 1},
		"abcdefgh2345-9223372036854775807t": {Epoch: epoch, Seq: 1<<63 - 1},
		"zzzzzzzzzzzz-000000000042j":        {Epoch: "zzzzzzzzzzzz", Seq: 42},
		"777777777777-000000000042e":        {Epoch: "777777777777", Seq: 42},
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
		"empty":                           "",
		"no hyphen":                       "abcdefgh2345000000000001n",
		"no epoch":                        "-000000000001n",
		"no number":                       "abcdefgh2345-",
		"only a check letter":             "abcdefgh2345-a",
		"short epoch":                     "abcdefgh234-000000000001n",
		"long epoch":                      "abcdefgh2345a-000000000001n",
		"capital letter":                  "Abcdefgh2345-000000000001n",
		"digit 1":                         "abcdefgh1345-000000000001n",
		"digit 8":                         "abcdefgh8345-000000000001n",
		"in the middle":                   "abcde!gh2345-000000000001n",
		"not ASCII":                       "abcdefgh23é-000000000001n",
		"no check letter":                 "abcdefgh2345-000000000001",
		"another check letter":            "abcdefgh2345-000000000001b",
		"capital check letter":            "abcdefgh2345-000000000001N",
		"another digit":                   "abcdefgh2345-000000000002n",
		"digits swapped":                  "abcdefgh2345-000000000010n",
		"neighbours of the epoch swapped": "bacdefgh2345-000000000001n",
		"short number":                    "abcdefgh2345-1n",
		"leading zero too many":           "abcdefgh2345-0000000000001n",
		"negative":                        "abcdefgh2345--00000000001n",
		"plus":                            "abcdefgh2345-+00000000001n",
		"space before":                    " abcdefgh2345-000000000001n",
		"space after":                     "abcdefgh2345-000000000001n ",
		"line break":                      "abcdefgh2345-000000000001n\n",
		"fraction":                        "abcdefgh2345-0000000001.0n",
		"hexadecimal":                     "abcdefgh2345-0x0000000001n",
		"underscore":                      "abcdefgh2345-0000000001_0n",
		"too large":                       "abcdefgh2345-9223372036854775808n",
		"another part":                    "abcdefgh2345-000000000001n-2",
		"Socket.IO's offsets":             "1.2.3",
		"NUL":                             "abcdefgh2345-000000000001n\x00",
		"other digits":                    "abcdefgh2345-00000000000१n",
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
	for _, seed := range []string{"abcdefgh2345-000000000001n", "abcdefgh2345-000000000000k", "-", epoch + "-01", "abcdefgh2345-9223372036854775807t"} {
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
		`{}`:                    `{"position":"abcdefgh2345-000000000007i"}`,
		`{"a":1}`:               `{"a":1,"position":"abcdefgh2345-000000000007i"}`,
		`{"a":{}}`:              `{"a":{},"position":"abcdefgh2345-000000000007i"}`,
		`{"a":"}"}`:             `{"a":"}","position":"abcdefgh2345-000000000007i"}`,
		`{ }`:                   `{"position":"abcdefgh2345-000000000007i"}`,
		" {\"a\" : [1, 2]\n}\n": `{"a" : [1, 2],"position":"abcdefgh2345-000000000007i"}`,
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
	roles := eventlog.Audience{Roles: []string{"NGO", "VOLUNTEER"}}
	for name, tc := range map[string]struct {
		audience eventlog.Audience
		user     string
		role     string
		want     bool
	}{
		"everyone":             {eventlog.Audience{Everyone: true}, "x", "DONOR", true},
		"one of them":          {some, "b", "DONOR", true},
		"another":              {some, "c", "DONOR", false},
		"case counts":          {some, "A", "DONOR", false},
		"nobody":               {eventlog.Audience{}, "a", "DONOR", false},
		"nobody, empty id":     {eventlog.Audience{}, "", "", false},
		"one of the roles":     {roles, "x", "NGO", true},
		"another role":         {roles, "x", "DONOR", false},
		"no role":              {roles, "x", "", false},
		"a role is no account": {roles, "NGO", "DONOR", false},
		"an account, no role":  {some, "c", "a", false},
		"by name, not by role": {eventlog.Audience{Users: []string{"a"}, Roles: []string{"NGO"}}, "a", "DONOR", true},
		"by role, not by name": {eventlog.Audience{Users: []string{"a"}, Roles: []string{"NGO"}}, "b", "NGO", true},
	} {
		if got := tc.audience.Includes(tc.user, tc.role); got != tc.want {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
}
