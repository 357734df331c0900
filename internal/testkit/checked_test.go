package testkit_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"larder/internal/httpapi"
	"larder/internal/testkit"
)

// TestSurface sees the checker catch what a route could do wrong.
func TestSurface(t *testing.T) {
	s, err := testkit.NewSurface(httpapi.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	const (
		plain   = "application/json"
		problem = "application/problem+json"
		toggled = "/admin/users/00000000-0000-4000-8000-000000000000/toggle-status"
		missing = `{"statusCode":404,"error":"Not Found","message":"No","code":"not_found"}`
	)
	for name, tc := range map[string]struct {
		method, path string
		status       int
		kind, body   string
		fault        string // empty: none
	}{
		"good":                  {"PATCH", toggled, 200, plain, `{"message":"Done","isActive":true}`, ""},
		"a slash at the end":    {"PATCH", toggled + "/", 200, plain, `{"message":"Done","isActive":true}`, ""},
		"an escaped slash":      {"PATCH", "/admin/users/..%2Fx/toggle-status", 404, plain, missing, ""},
		"head":                  {"HEAD", "/health", 200, plain, "", ""},
		"not modified":          {"GET", "/api-json", 304, "", "", ""},
		"a stream":              {"GET", "/events", 200, "text/event-stream", "", ""},
		"another field":         {"PATCH", toggled, 200, plain, `{"message":"Done","isActive":true,"passwordHash":"x"}`, "passwordHash"},
		"a field in a list":     {"GET", "/admin/users", 200, plain, `[{"hash":"x"}]`, "hash"},
		"a field missing":       {"PATCH", toggled, 200, plain, `{"message":"Done"}`, "isActive"},
		"null":                  {"PATCH", toggled, 200, plain, `{"message":null,"isActive":true}`, "message"},
		"another type":          {"PATCH", toggled, 200, plain, `{"message":"Done","isActive":"yes"}`, "isActive"},
		"no JSON":               {"PATCH", toggled, 200, plain, `done`, "done"},
		"no body":               {"PATCH", toggled, 200, plain, ``, "answer 200"},
		"a body too much":       {"GET", "/api-json", 304, plain, `{}`, "has a body"},
		"another status":        {"PATCH", toggled, 202, plain, `{"message":"Done","isActive":true}`, "202 is not documented"},
		"another media type":    {"PATCH", toggled, 200, "text/html", `{"message":"Done","isActive":true}`, "text/html"},
		"no media type":         {"PATCH", toggled, 200, "", `{"message":"Done","isActive":true}`, `type ""`},
		"refused":               {"PATCH", toggled, 404, plain, `{"statusCode":404,"error":"Not Found","message":"No","code":"user_not_found"}`, ""},
		"refused with a list":   {"PATCH", toggled, 400, plain, `{"statusCode":400,"error":"Bad Request","message":["a","b"],"code":"validation_failed"}`, ""},
		"a problem":             {"PATCH", toggled, 404, problem, `{"type":"about:blank","title":"Not Found","status":404,"detail":"No","code":"user_not_found"}`, ""},
		"an unknown code":       {"PATCH", toggled, 404, plain, `{"statusCode":404,"error":"Not Found","message":"No","code":"gone_fishing"}`, "code"},
		"a code of another":     {"PATCH", toggled, 404, plain, `{"statusCode":404,"error":"Not Found","message":"No","code":"email_taken"}`, "code"},
		"another status inside": {"PATCH", toggled, 404, plain, `{"statusCode":400,"error":"Not Found","message":"No","code":"user_not_found"}`, "statusCode"},
		"unknown path":          {"GET", "/nowhere", 404, plain, missing, ""},
		"a route in secret":     {"GET", "/nowhere", 200, plain, `{}`, "no such route"},
		"a method in secret":    {"DELETE", "/donations", 200, plain, `{}`, "no such route"},
		"unknown method":        {"DELETE", "/donations", 405, plain, `{"statusCode":405,"error":"Method Not Allowed","message":"No","code":"method_not_allowed"}`, ""},
		"the console":           {"GET", "/console.css", 200, "text/css", "a{}", ""},
		"the engine":            {"GET", "/socket.io/", 400, plain, `{"code":1}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(tc.path)
			if err != nil {
				t.Fatal(err)
			}
			r := &http.Request{Method: tc.method, URL: u, Header: http.Header{}}
			resp := &http.Response{StatusCode: tc.status, Header: http.Header{"X-Request-Id": {"x"}}}
			err = s.Check(r, resp, tc.kind, []byte(tc.body))
			switch {
			case tc.fault == "" && err != nil:
				t.Errorf("got %v, want no fault", err)
			case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), tc.fault)):
				t.Errorf("got %v, want a fault that names %q", err, tc.fault)
			}
		})
	}
}

// TestSurfaceLooksAtRequests sees that what a route takes has to be documented.
func TestSurfaceLooksAtRequests(t *testing.T) {
	s, err := testkit.NewSurface(httpapi.OpenAPI())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := json.Marshal(map[string]any{
		"success": true, "message": "Signed in",
		"data": map[string]any{"token": "x", "user": map[string]any{"id": "1", "email": "a@b.c", "name": "A", "role": "NGO", "isVerified": true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for body, good := range map[string]bool{
		`{"email":"a@b.c","password":"secret"}`:             true,
		`{"email":"a@b.c"}`:                                 false,
		`{"email":"a@b.c","password":"secret","code":"42"}`: false,
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://larder.test/auth/login", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: http.StatusCreated, Header: http.Header{"X-Request-Id": {"x"}}}
		if err := s.Check(r, resp, "application/json", answer); (err == nil) != good {
			t.Errorf("%s: got %v, want it good: %t", body, err, good)
		}
	}
}
