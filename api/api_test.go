package api_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/api"
)

func TestParseTime(t *testing.T) {
	for text, want := range map[string]string{ // want in RFC 3339, empty: refused
		"2026-11-02T09:30:00Z":                "2026-11-02T09:30:00Z",
		"2026-11-02T09:30:00.5Z":              "2026-11-02T09:30:00.5Z",
		"2026-11-02T09:30:00.123456789Z":      "2026-11-02T09:30:00.123456789Z",
		"2026-11-02T09:30:00+05:30":           "2026-11-02T04:00:00Z",
		"2026-11-02T00:30:00.001-11:00":       "2026-11-02T11:30:00.001Z",
		"2026-11-02T09:30:00":                 "2026-11-02T09:30:00Z",
		"2026-11-02T09:30:00.25":              "2026-11-02T09:30:00.25Z",
		"2026-11-02T09:30":                    "2026-11-02T09:30:00Z",
		"2026-11-02":                          "2026-11-02T00:00:00Z",
		"2024-02-29":                          "2024-02-29T00:00:00Z",
		"9999-12-31T23:59:59Z":                "9999-12-31T23:59:59Z",
		"0000-01-01":                          "0000-01-01T00:00:00Z",
		"":                                    "",
		"tomorrow":                            "",
		"1762075800000":                       "",
		"2026-02-29":                          "",
		"2026-13-01":                          "",
		"2026-11-02T24:00:00Z":                "",
		"2026-11-02T09:60:00Z":                "",
		"2026-11-02 09:30:00":                 "",
		"02/11/2026":                          "",
		"Mon, 02 Nov 2026 09:30:00 GMT":       "",
		" 2026-11-02":                         "",
		"2026-11-02T09:30:00Z ":               "",
		"20261102T093000Z":                    "",
		"+12026-11-02T09:30:00Z":              "",
		"-0001-11-02T09:30:00Z":               "",
		"9999-12-31T23:59:59-01:00":           "", // the year 10000
		"0000-01-01T00:00:00+01:00":           "", // the year -1
		strings.Repeat("2026-11-02 ", 10_000): "",
	} {
		got, err := api.ParseTime(text)
		if want == "" {
			if err == nil || len(err.Error()) > 200 {
				t.Errorf("ParseTime(%.40q): got %v, %v, want a short refusal", text, got, err)
			}
			continue
		}
		if err != nil || got.Format(time.RFC3339Nano) != want || got.Location() != time.UTC {
			t.Errorf("ParseTime(%q): got %v, %v, want %s", text, got, err, want)
		}
	}
}

func TestTimeOnTheWire(t *testing.T) {
	for text, want := range map[string]string{
		`"2026-11-02T09:30:00.1239+02:00"`: `"2026-11-02T07:30:00.123Z"`,
		`"2026-11-02"`:                     `"2026-11-02T00:00:00.000Z"`,
		`"1969-12-31T23:59:59.9996Z"`:      `"1969-12-31T23:59:59.999Z"`, // cut, never rounded up
		`null`:                             `"0001-01-01T00:00:00.000Z"`,
	} {
		var at api.Time
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			t.Errorf("read %s: %v", text, err)
			continue
		}
		if got := encode(t, at); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{`""`, `"x"`, `5`, `true`, `{}`, `[]`, `"2026-11-02`} {
		var at api.Time
		if err := json.Unmarshal([]byte(text), &at); err == nil {
			t.Errorf("read %s: got %v, want an error", text, at)
		}
	}
	if api.AtPtr(nil) != nil {
		t.Error("AtPtr of nothing is not nil")
	}
	east := time.Date(2026, 11, 2, 9, 0, 0, 1_999_999, time.FixedZone("", 3600))
	if got, want := api.At(east), (api.Time{Time: time.Date(2026, 11, 2, 8, 0, 0, 1e6, time.UTC)}); !got.Equal(want.Time) || got.Location() != time.UTC {
		t.Errorf("At: got %v, want %v", got, want)
	}
	if got := api.AtPtr(&east); !got.Equal(api.At(east).Time) {
		t.Errorf("AtPtr: got %v", got)
	}
}

func TestQuantity(t *testing.T) {
	for text, want := range map[string]float64{
		`5`: 5, `0.1`: 0.1, `-1`: -1, `1e3`: 1000, `"5"`: 5, `"0.5"`: 0.5, `".5"`: 0.5, `"5."`: 5, `" 12 "`: 12, `"1e3"`: 1000, `"-2"`: -2,
		`null`: 7, // as it was
	} {
		q := api.Quantity(7)
		if err := json.Unmarshal([]byte(text), &q); err != nil || float64(q) != want {
			t.Errorf("read %s: got %v, %v, want %v", text, q, err, want)
		}
	}
	for _, text := range []string{
		`""`, `" "`, `"five"`, `"5 kg"`, `"1,5"`, `"NaN"`, `"Inf"`, `"-Infinity"`, `"0x10"`, `"0x1p4"`, `"1_000"`, `"1e999"`, `1e999`,
		`"\"5\""`, `"null"`, `"true"`, `true`, `{}`, `[1]`, `"--1"`, `"e"`, `"."`,
	} {
		q := api.Quantity(7)
		if err := json.Unmarshal([]byte(text), &q); err == nil {
			t.Errorf("read %s: got %v, want an error", text, q)
		}
	}
	if got := encode(t, api.Quantity(12.5)); got != "12.5" {
		t.Errorf("written: got %s, want a number", got)
	}
	if _, err := json.Marshal(api.Quantity(math.NaN())); err == nil {
		t.Error("NaN was written")
	}
}

func TestMessages(t *testing.T) {
	for text, want := range map[string]api.Messages{`"one"`: {"one"}, `["one"]`: {"one"}, `["a","b"]`: {"a", "b"}, `[]`: {}, `""`: {""}} {
		var got api.Messages
		if err := json.Unmarshal([]byte(text), &got); err != nil || !cmp.Equal(got, want) {
			t.Errorf("read %s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{`5`, `{}`, `[1]`} {
		var got api.Messages
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("read %s: got %q, want an error", text, got)
		}
	}
	for name, tc := range map[string]struct {
		err          *api.Error
		message, all string
	}{
		"one sentence":  {api.NewError(404, api.CodeDonationNotFound, "Donation not found"), `"Donation not found"`, "404 donation_not_found: Donation not found"},
		"two":           {api.NewError(400, api.CodeBadRequest, "a", "b"), `["a","b"]`, "400 bad_request: a; b"},
		"one fault":     {api.NewError(400, api.CodeValidation, "name must"), `["name must"]`, "400 validation_failed: name must"},
		"two faults":    {api.NewError(400, api.CodeValidation, "a", "b"), `["a","b"]`, "400 validation_failed: a; b"},
		"no word":       {api.NewError(500, api.CodeInternal), `[]`, "500 internal_error: "},
		"not one fault": {api.NewError(400, api.CodeValidation), `[]`, "400 validation_failed: "},
	} {
		var got struct {
			Message json.RawMessage `json:"message"`
		}
		if err := json.Unmarshal([]byte(encode(t, tc.err)), &got); err != nil || string(got.Message) != tc.message {
			t.Errorf("%s: message on the wire: got %s, want %s", name, got.Message, tc.message)
		}
		if tc.err.Error() != tc.all {
			t.Errorf("%s: Error: got %q, want %q", name, tc.err.Error(), tc.all)
		}
		var back api.Error
		if err := json.Unmarshal([]byte(encode(t, tc.err)), &back); err != nil || encode(t, &back) != encode(t, tc.err) {
			t.Errorf("%s: read back: %v, %+v", name, err, back)
		}
	}
}

func TestProblem(t *testing.T) {
	for name, tc := range map[string]struct {
		err  *api.Error
		want api.Problem
	}{
		"one": {
			api.NewError(404, api.CodeNotFound, "No such path"),
			api.Problem{Type: "about:blank", Title: "Not Found", Status: 404, Detail: "No such path", Code: api.CodeNotFound},
		},
		"faults": {
			api.NewError(400, api.CodeValidation, "a", "b"),
			api.Problem{Type: "about:blank", Title: "Bad Request", Status: 400, Detail: "a; b", Code: api.CodeValidation, Errors: []string{"a", "b"}},
		},
		"sentences": {
			api.NewError(400, api.CodeBadRequest, "a", "b"),
			api.Problem{Type: "about:blank", Title: "Bad Request", Status: 400, Detail: "a; b", Code: api.CodeBadRequest},
		},
	} {
		if diff := cmp.Diff(tc.want, tc.err.Problem()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatalf("encode %T: %v", v, err)
	}
	return string(b)
}
