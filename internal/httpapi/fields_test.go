package httpapi_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"larder/api"
	"larder/internal/testkit"
)

func chars(n int) string { return strings.Repeat("ä", n) }

func hours(n float64) string {
	return time.Now().Add(time.Duration(n * float64(time.Hour))).UTC().Format(time.RFC3339Nano)
}

// draftFields has, for each field of a donation, values that are taken and values
// that are not.
var draftFields = map[string]struct{ good, bad []any }{
	"name":     {[]any{"x", chars(200)}, []any{absent, nil, "", " \n", chars(201), 1, true, []any{}, map[string]any{}}},
	"foodType": {[]any{"uncooked rice", chars(200)}, []any{absent, nil, "", " ", chars(201), 1}},
	"unit":     {[]any{"kg", chars(200)}, []any{absent, nil, "", "\t", chars(201), 1}},
	"quantity": {
		[]any{0.1, 1_000_000, "0.1", "1000000", " 5 ", "2.50", ".5", "5.", "1e3", "+5"},
		[]any{absent, nil, 0, 0.09, -1, 1_000_000.1, 1e300, "", "x", "1e9", "-1", ".", "e3", "5e", "0x10", "NaN", "Infinity", "5kg", true, []any{1}},
	},
	"latitude":        {[]any{-90, 90, 0, 1e-9}, []any{absent, nil, -90.0001, 90.0001, "52", true, 1e300}},
	"longitude":       {[]any{-180, 180, 0}, []any{absent, nil, -180.0001, 180.0001, "13", []any{}}},
	"preparationTime": {[]any{nil, "", "2020-02-29", "2026-01-01T10:00", hours(-1), hours(0)}, []any{hours(1), "yesterday", 1, "2026-02-30", "0000-01-01T00:00:00+01:00", chars(41)}},
	"expiryTime": {
		[]any{hours(0.1), hours(366*24 - 1), hours(5)},
		[]any{absent, nil, "", "2020-01-01", hours(-0.01), "soon", 1, hours(366*24 + 1), "9999-12-31T23:59:59-01:00", "10000-01-01T00:00:00Z"},
	},
	"description":         {[]any{nil, "", chars(2000)}, []any{chars(2001), 1}},
	"address":             {[]any{nil, "", chars(500)}, []any{chars(501), 1}},
	"specialInstructions": {[]any{nil, "", chars(1000)}, []any{chars(1001), 1}},
	"hygiene": {
		[]any{nil, map[string]any{}, `{"a":1}`, "", map[string]any{"a": map[string]any{"b": []any{1}}}},
		[]any{1, true, []any{}, "x", "[]", "{", map[string]any{"a": strings.Repeat("x", 4096)}},
	},
	"imageUrls": {
		[]any{nil, []any{}, []any{"http://example.org/a", "https://example.org/b", "https://a", "https://b", "https://c"}},
		[]any{
			"https://a",
			[]any{1},
			[]any{nil},
			[]any{""},
			[]any{"ftp://a"},
			[]any{"javascript:alert(1)"},
			[]any{"//a/b"},
			[]any{"https://"},
			[]any{"https://" + strings.Repeat("x", 2048)},
			[]any{"https://a", "https://a", "https://a", "https://a", "https://a", "https://a"},
		},
	},
	"donorName":       {[]any{nil, "", chars(200)}, []any{chars(201), 1}},
	"donorId":         {[]any{nil, "", "x"}, []any{1}},
	"donorTrustScore": {[]any{nil, 4.5, "4.5", []any{}}, nil},
	"colour":          {nil, []any{"red"}},
}

func TestFieldsOfADonation(t *testing.T) {
	w := newWorld(t)
	token := w.users["donor"].Token
	for field, values := range draftFields {
		t.Run(field, func(t *testing.T) {
			for _, v := range values.good {
				body := with(testkit.Draft(nil), map[string]any{field: v})
				if field == "expiryTime" {
					body["preparationTime"] = hours(-1)
				}
				if r := w.Post("/donations", token, body); r.Status != 201 {
					t.Errorf("%.60v: got %s", v, r)
				}
			}
			for _, v := range values.bad {
				r := w.Post("/donations", token, with(testkit.Draft(nil), map[string]any{field: v}))
				wantRefusal(t, fmt.Sprintf("%.60v", v), r, 400, "")
				if !strings.Contains(string(r.Body), field) {
					t.Errorf("%.60v: %s does not name the field", v, r)
				}
			}
		})
	}
}

func TestHighRiskFoodNeedsTwoHours(t *testing.T) {
	w := newWorld(t)
	for food, status := range map[string]int{
		"cooked": 400, "Cooked rice": 400, "MEAT": 400, "dairy/eggs": 400, "fresh Seafood!": 400, "poultry": 400,
		"uncooked rice": 201, "meatless": 201, "bread": 201,
	} {
		body := testkit.Draft(map[string]any{"foodType": food, "expiryTime": hours(1.9)})
		if r := w.Post("/donations", w.users["donor"].Token, body); r.Status != status {
			t.Errorf("%s: got %s, want %d", food, r, status)
		}
		body["expiryTime"] = hours(2.1)
		if r := w.Post("/donations", w.users["donor"].Token, body); r.Status != 201 {
			t.Errorf("%s with time left: got %s", food, r)
		}
	}
}

// value is any JSON value, with the ones that hurt more often.
func value() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return rapid.Bool().Draw(t, "bool")
		case 2:
			return rapid.Float64Range(-1e18, 1e18).Draw(t, "number")
		case 3:
			return rapid.SampledFrom([]any{0, -1, 1e300, 1e-300, 9007199254740993, 0.1}).Draw(t, "edge")
		case 4:
			return rapid.String().Draw(t, "text")
		case 5:
			return rapid.SampledFrom([]any{
				"", " ", "null", "\u0000", "\u2028", "ADMIN", "AVAILABLE", "CLAIMED", "PICKED_UP", "DELIVERED", "EXPIRED", "CANCELLED", "NaN", "1e999",
				"0000-00-00", "9999-12-31T23:59:59-23:59", "2030-01-01", "2030-01-01T00:00:00.999999999+14:00", "a@b", "' OR 1=1 --", "{", "[]", "{}",
				"https://x", strings.Repeat("x", 5000), `{"a":"\u0000"}`,
			}).Draw(t, "text")
		case 6:
			return rapid.SliceOfN(rapid.Just[any](1), 0, 7).Draw(t, "list")
		case 7:
			return []any{rapid.String().Draw(t, "element"), nil, map[string]any{}}
		case 8:
			return map[string]any{rapid.String().Draw(t, "name"): rapid.String().Draw(t, "value")}
		}
		return json.RawMessage(rapid.SampledFrom([]string{"1e400", "-0", "1E5", `"\ud800"`, "[[[[]]]]", "123456789012345678901234567890"}).Draw(t, "raw"))
	})
}

// Any value in any field of any body is taken or refused in the form of every
// refusal, and never our fault.
func TestAnyValueInAnyField(t *testing.T) {
	w := newWorld(t)
	big, small := w.donation(t, "AVAILABLE"), w.donation(t, "CLAIMED")
	targets := []struct {
		method, path, as string
		base             map[string]any
	}{
		{"POST", "/auth/register", "", map[string]any{"email": "x", "password": "secret", "name": "N", "role": "NGO", "phone": "", "organizationName": "", "organizationType": "", "address": ""}},
		{"PATCH", "/auth/profile", "carrier", map[string]any{
			"name": "x", "phone": "", "organizationName": "", "organizationType": "", "address": "", "latitude": 1, "longitude": 1,
			"dailyIntakeCapacity": 1, "capacityUnit": "kg", "vehicleType": "", "vehicleNumber": "", "isAvailable": true,
		}},
		{"POST", "/donations", "donor", with(testkit.Draft(nil), map[string]any{
			"preparationTime": "", "description": "", "address": "", "specialInstructions": "", "hygiene": nil, "imageUrls": nil,
			"donorName": "", "donorId": "", "donorTrustScore": nil,
		})},
		{"PATCH", "/donations/" + big + "/claim", "rival", map[string]any{"estimatedPickupTime": ""}},
		{"PATCH", "/donations/" + small + "/release", "ngo", map[string]any{"reason": ""}},
		{"PATCH", "/donations/" + small + "/status", "ngo", map[string]any{"status": "CLAIMED", "reason": ""}},
		{"PATCH", "/donations/" + big + "/cancel", "donor", map[string]any{"reason": ""}},
		{"PATCH", "/admin/verify/" + w.users["donor"].ID, "admin", map[string]any{"x": 1}},
	}
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.SampledFrom(targets).Draw(t, "target")
		body := with(target.base, nil)
		var fields []string
		for f := range target.base {
			fields = append(fields, f)
		}
		for range rapid.IntRange(1, 3).Draw(t, "fields") {
			body[rapid.SampledFrom(fields).Draw(t, "field")] = value().Draw(t, "value")
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		call := testkit.Call{Method: target.method, Path: target.path, Body: text}
		if target.as != "" {
			call.Token = w.users[target.as].Token
		}
		r, err := w.Try(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		if r.Status >= 500 {
			t.Fatalf("%s %s %s: got %s", target.method, target.path, text, r)
		}
		var e api.Error
		if r.Status >= 400 && (json.Unmarshal(r.Body, &e) != nil || e.StatusCode != r.Status || e.Code == "" || len(e.Message) == 0) {
			t.Fatalf("%s: the shape of %s", text, r)
		}
		if !json.Valid(r.Body) {
			t.Fatalf("%s: no JSON: %s", text, r)
		}
	})
}
