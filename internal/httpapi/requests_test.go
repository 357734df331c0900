package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

func TestTokens(t *testing.T) {
	w := newWorld(t)
	u := w.users["donor"]
	claims := func(c jwt.MapClaims) jwt.MapClaims {
		all := jwt.MapClaims{"sub": u.ID, "email": u.Email, "exp": time.Now().Add(time.Hour).Unix()}
		for k, v := range c {
			if all[k] = v; v == nil {
				delete(all, k)
			}
		}
		return all
	}
	signed := func(m jwt.SigningMethod, key any, c jwt.MapClaims) string {
		token, err := jwt.NewWithClaims(m, claims(c)).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	secret := []byte(testkit.Secret)
	good := signed(jwt.SigningMethodHS256, secret, nil)
	for name, tc := range map[string]struct {
		authorization string
		status        int
		code          api.Code
	}{
		"good":                      {"Bearer " + good, 200, ""},
		"scheme in small letters":   {"bearer " + good, 200, ""},
		"scheme in capitals":        {"BEARER   " + good, 200, ""},
		"of another backend":        {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": "42"}), 200, ""},
		"e-mail in capitals":        {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": nil, "email": "DONOR@example.org"}), 200, ""},
		"missing":                   {"", 401, api.CodeTokenMissing},
		"another scheme":            {"Basic " + good, 401, api.CodeTokenInvalid},
		"garbage":                   {"Bearer x.y.z", 401, api.CodeTokenInvalid},
		"cut":                       {"Bearer " + good[:len(good)-2], 401, api.CodeTokenInvalid},
		"too long":                  {"Bearer " + good + strings.Repeat("A", 5000), 401, api.CodeTokenInvalid},
		"another secret":            {"Bearer " + signed(jwt.SigningMethodHS256, []byte("another secret"), nil), 401, api.CodeTokenInvalid},
		"another hash":              {"Bearer " + signed(jwt.SigningMethodHS512, secret, nil), 401, api.CodeTokenInvalid},
		"no algorithm":              {"Bearer " + signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), 401, api.CodeTokenInvalid},
		"expired":                   {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"exp": time.Now().Unix() - 1}), 401, api.CodeTokenExpired},
		"expired, with bad secret":  {"Bearer " + signed(jwt.SigningMethodHS256, []byte("x"), jwt.MapClaims{"exp": 1}), 401, api.CodeTokenInvalid},
		"without expiry":            {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"exp": nil}), 401, api.CodeTokenInvalid},
		"from tomorrow":             {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"nbf": time.Now().Add(time.Hour).Unix()}), 401, api.CodeTokenInvalid},
		"of nobody":                 {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"sub": nobodysID, "email": "no@example.org"}), 401, api.CodeTokenInvalid},
		"a role of its own is none": {"Bearer " + signed(jwt.SigningMethodHS256, secret, jwt.MapClaims{"role": "ADMIN"}), 200, ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			if tc.authorization != "" {
				h.Set("Authorization", tc.authorization)
			}
			r := w.Do(testkit.Call{Method: "GET", Path: "/auth/profile", Header: h})
			if tc.status != 200 {
				wantRefusal(t, name, r, tc.status, tc.code)
				if r.Header.Get("WWW-Authenticate") != "Bearer" {
					t.Errorf("WWW-Authenticate: %q", r.Header.Get("WWW-Authenticate"))
				}
				return
			}
			if p := testkit.Must[api.Profile](w.Node, r, 200); p.ID != u.ID || p.Role != string(account.Donor) {
				t.Errorf("got the profile of %s %s", p.Role, p.ID)
			}
		})
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		method, path string
		status       int
		code         api.Code
		allow        string
	}{
		"unknown":                  {"GET", "/nowhere", 404, api.CodeNotFound, ""},
		"unknown, posted":          {"POST", "/donations/x/y/z", 404, api.CodeNotFound, ""},
		"dots":                     {"GET", "/donations/%2e%2e%2fhealth/x", 404, api.CodeNotFound, ""},
		"method of a route":        {"DELETE", "/donations", 405, api.CodeMethodNotAllowed, "GET, HEAD, POST"},
		"method of one donation":   {"PUT", "/donations/" + nobodysID, 405, api.CodeMethodNotAllowed, "GET, HEAD"},
		"GET of a command":         {"GET", "/donations/" + nobodysID + "/claim", 405, api.CodeMethodNotAllowed, "PATCH"},
		"a method of nobody":       {"BREW", "/auth/login", 405, api.CodeMethodNotAllowed, "POST"},
		"OPTIONS, no preflight":    {"OPTIONS", "/auth/login", 405, api.CodeMethodNotAllowed, "POST"},
		"method with a slash more": {"DELETE", "/donations/", 405, api.CodeMethodNotAllowed, "GET, HEAD, POST"},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.Do(testkit.Call{Method: tc.method, Path: tc.path})
			wantRefusal(t, name, r, tc.status, tc.code)
			if got := r.Header.Get("Allow"); got != tc.allow {
				t.Errorf("Allow: got %q, want %q", got, tc.allow)
			}
		})
	}
	for _, path := range []string{"/donations/", "/health/", "/donations/?limit=5"} {
		if r := w.Get(path, ""); r.Status != 200 {
			t.Errorf("GET %s: got %s", path, r)
		}
	}
	if r := w.Post("/donations/", w.users["donor"].Token, testkit.Draft(nil)); r.Status != 201 {
		t.Errorf("POST /donations/: got %s", r)
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	w := newWorld(t)
	w.Donate(w.users["donor"], nil)
	for _, path := range []string{"/donations", "/health", "/nowhere"} {
		get, head := w.Get(path, ""), w.Do(testkit.Call{Method: "HEAD", Path: path})
		if head.Status != get.Status || len(head.Body) != 0 || head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: got %s of %q, want %d", path, head, head.Header.Get("Content-Type"), get.Status)
		}
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	w := newWorld(t)
	ids, seen := map[string]bool{}, map[string]testkit.Line{}
	for _, path := range []string{"/donations", "/nowhere", "/auth/profile", "/", "/console.js", "/donations/x"} {
		r := w.Do(testkit.Call{Method: "GET", Path: path, Header: http.Header{"X-Request-Id": {"mine"}}})
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		id := r.Header.Get("X-Request-Id")
		if len(id) < 16 || ids[id] {
			t.Errorf("%s: X-Request-Id is %q, and must be new each time", path, id)
		}
		ids[id] = true
		seen[id] = testkit.Line{"path": path, "status": float64(r.Status)}
	}
	csp := w.Get("/", "").Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy of the console: %q", csp)
	}
	if err := w.Stop(); err != nil { // so that the last line is written
		t.Fatal(err)
	}
	for _, line := range w.Logs.Lines("request") {
		id, _ := line["request_id"].(string)
		if want, ok := seen[id]; ok && line["path"] == want["path"] && line["status"] == want["status"] {
			delete(seen, id)
		}
	}
	if len(seen) > 0 {
		t.Errorf("not in the log: %v", seen)
	}
}

func TestProblemDetails(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		call   testkit.Call
		status int
		errors int
	}{
		"missing token":  {testkit.Call{Method: "GET", Path: "/auth/profile"}, 401, 0},
		"unknown path":   {testkit.Call{Method: "GET", Path: "/nowhere"}, 404, 0},
		"method":         {testkit.Call{Method: "PUT", Path: "/donations"}, 405, 0},
		"validation":     {testkit.Call{Method: "POST", Path: "/auth/login", Body: `{"x":1}`}, 400, 3},
		"broken":         {testkit.Call{Method: "POST", Path: "/auth/login", Body: `{`}, 400, 0},
		"media type":     {testkit.Call{Method: "POST", Path: "/auth/login", Body: `{}`, Header: http.Header{"Content-Type": {"text/plain"}}}, 415, 0},
		"from the rules": {testkit.Call{Method: "POST", Path: "/donations", Token: w.users["ngo"].Token, Body: testkit.Draft(nil)}, 403, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.call.Header == nil {
				tc.call.Header = http.Header{}
			}
			tc.call.Header.Set("Accept", "application/problem+json, application/json;q=0.5")
			r := w.Do(tc.call)
			p := testkit.Must[api.Problem](w.Node, r, tc.status)
			if r.Header.Get("Content-Type") != "application/problem+json" || p.Status != tc.status || p.Code == "" || p.Detail == "" ||
				p.Title != http.StatusText(tc.status) || len(p.Errors) != tc.errors {
				t.Errorf("got %s of %s", r, r.Header.Get("Content-Type"))
			}
		})
	}
	if r := w.Do(testkit.Call{Method: "GET", Path: "/donations", Header: http.Header{"Accept": {"application/problem+json"}}}); r.Status != 200 {
		t.Errorf("a success asked for with problem+json: got %s", r)
	}
	if r := w.Do(testkit.Call{Method: "GET", Path: "/donations", Header: http.Header{"Accept": {"text/html"}}}); r.Status != 200 {
		t.Errorf("a success asked for as HTML: got %s", r)
	}
}

func TestMessagesAreNotEscapedForHTML(t *testing.T) {
	w := newWorld(t)
	for _, accept := range []string{"*/*", "application/problem+json"} {
		h := http.Header{"Accept": {accept}}
		for _, call := range []testkit.Call{
			{Method: "GET", Path: "/auth/profile", Header: h},
			{Method: "POST", Path: "/donations", Token: w.users["donor"].Token, Header: h, Body: map[string]int{"<b>": 1}},
		} {
			if r := w.Do(call); strings.Contains(string(r.Body), `\u00`) || !strings.ContainsAny(string(r.Body), "<>") {
				t.Errorf("got %s", r)
			}
		}
	}
	d := w.Donate(w.users["donor"], map[string]any{"name": `<b> & "c"`})
	if r := w.Get("/donations/"+d.ID, w.users["ngo"].Token); !strings.Contains(string(r.Body), `<b> & \"c\"`) {
		t.Errorf("got %s", r)
	}
}

// Nothing that the store or a library says gets out, and no hash.
func TestNothingInternalInAnyBody(t *testing.T) {
	w := newWorld(t)
	w.donation(t, "DELIVERED")
	paths := []string{"/admin/users", "/admin/pending-ngos", "/auth/profile", "/donations", "/events", "/health"}
	for _, path := range paths {
		r := w.Get(path, w.users["admin"].Token)
		for _, word := range []string{"argon2", "$2", "password", "hash", "sqlite", "goroutine", ".go:"} {
			if r.Status != 200 || strings.Contains(strings.ToLower(string(r.Body)), word) {
				t.Errorf("GET %s: %q in %s", path, word, r)
			}
		}
	}
	for _, body := range []string{`{"email":1e999}`, `{"email":{"a":[]},"password":"hunter22"}`, `[1,`, `"x"`, "\xff", `{"email":"a@b.c","password":"hunter22","x":1}`} {
		r := w.Post("/auth/login", "", body)
		wantRefusal(t, body, r, 400, "")
		for _, word := range []string{"Go value", "json:", "hunter22", "struct", "api."} {
			if strings.Contains(string(r.Body), word) {
				t.Errorf("%q in %s", word, r)
			}
		}
	}
}

func TestBodies(t *testing.T) {
	w := newWorld(t)
	token := w.users["donor"].Token
	draft, err := json.Marshal(testkit.Draft(nil))
	if err != nil {
		t.Fatal(err)
	}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	hygiene := func(v string) string { return strings.Replace(string(draft), "{", `{"hygiene":`+v+`,`, 1) }
	for name, tc := range map[string]struct {
		body        string
		contentType string
		status      int
		code        api.Code
	}{
		"with a charset":          {string(draft), "application/json; charset=utf-8", 201, ""},
		"in capitals":             {string(draft), "Application/JSON", 201, ""},
		"no type":                 {string(draft), "", 201, ""},
		"100 KiB":                 {string(draft) + strings.Repeat(" ", 100<<10-len(draft)), "application/json", 201, ""},
		"a byte more":             {string(draft) + strings.Repeat(" ", 100<<10-len(draft)+1), "application/json", 413, api.CodeTooLarge},
		"a megabyte":              {strings.Repeat(" ", 1<<20), "application/json", 413, api.CodeTooLarge},
		"NUL in a text":           {strings.Replace(string(draft), "Bread", `Br\u0000ead`, 1), "application/json", 400, badRequest},
		"NUL in an ignored field": {strings.Replace(string(draft), "{", `{"donorId":"\u0000",`, 1), "application/json", 400, badRequest},
		"NUL in a name":           {strings.Replace(string(draft), "{", `{"\u0000":1,`, 1), "application/json", 400, badRequest},
		"NUL deep in hygiene":     {hygiene(`{"a":[{"b":"\u0000"}]}`), "application/json", 400, badRequest},
		"raw NUL":                 {"\x00" + string(draft), "application/json", 400, badRequest},
		"no UTF-8":                {strings.Replace(string(draft), "Bread", "Br\xffead", 1), "application/json", 400, badRequest},
		"half a character":        {strings.Replace(string(draft), "Bread", "Br\xc3", 1), "application/json", 400, badRequest},
		"byte order mark":         {"\ufeff" + string(draft), "application/json", 400, badRequest},
		"deep":                    {hygiene(`{"a":` + deep(20_000) + `}`), "application/json", 400, badRequest},
		"deep enough for 4 KiB":   {hygiene(`{"a":` + deep(2_000) + `}`), "application/json", 201, ""},
		"more than 4 KiB":         {hygiene(`{"a":` + deep(2_100) + `}`), "application/json", 400, invalid},
		"field twice":             {strings.Replace(string(draft), "{", `{"NAME":"`+strings.Repeat("x", 500)+`",`, 1), "application/json", 400, invalid},
		"multipart":               {"--x--", "multipart/form-data; boundary=x", 400, invalid},
		"a type that is none":     {string(draft), "application/json, text/plain", 415, api.CodeUnsupportedMedia},
		"XML":                     {"<donation/>", "application/xml", 415, api.CodeUnsupportedMedia},
		"empty":                   {"", "application/json", 400, badRequest},
		"spaces":                  {"  \n", "application/json", 400, badRequest},
	} {
		t.Run(name, func(t *testing.T) {
			r := w.Do(testkit.Call{Method: "POST", Path: "/donations", Token: token, Body: tc.body, Header: http.Header{"Content-Type": {tc.contentType}}})
			if tc.status == 201 {
				if r.Status != 201 {
					t.Errorf("got %s", r)
				}
				return
			}
			wantRefusal(t, name, r, tc.status, tc.code)
		})
	}
}

// Rights come before the body is looked at: who may not, learns nothing from it.
func TestRightsComeBeforeTheBody(t *testing.T) {
	w := newWorld(t)
	for _, body := range []string{"", "{", `{"x":1}`, strings.Repeat("x", 200<<10)} {
		wantRefusal(t, fmt.Sprintf("%.10q", body), w.Post("/donations", "", body), 401, api.CodeTokenMissing)
	}
}
