package console_test

import (
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"larder/internal/console"
)

// newMux is a server as the node builds it: the console beside the engine and a catch-all.
func newMux() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, name := range map[string]string{"/": "catch-all", "/socket.io/": "engine"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusTeapot)
			_, _ = io.WriteString(w, name)
		})
	}
	console.Routes(mux)
	return mux
}

// do asks h; header lists names and values in turn.
func do(h http.Handler, method, target string, header ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// get fetches one file as a browser would that takes no compression.
func get(t *testing.T, target string) string {
	t.Helper()
	res := do(newMux(), http.MethodGet, target)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: got %d, want 200", target, res.StatusCode)
	}
	return read(t, res.Body)
}

// onDisk maps every path that must be served to the file it must come from.
func onDisk(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{}
	err := fs.WalkDir(os.DirFS("."), "page", func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			want["/"+strings.TrimPrefix(file, "page/")] = file
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want["/"] = want["/index.html"]
	delete(want, "/index.html")
	bundle, err := fs.Glob(os.DirFS("."), "bundle/socket.io*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range bundle {
		want["/socket.io/"+path.Base(file)] = file
	}
	if len(bundle) != 6 || len(want) < 15 {
		t.Fatalf("found %d bundle files and %d in all", len(bundle), len(want))
	}
	return want
}

func TestEveryFileIsServed(t *testing.T) {
	types := map[string]string{
		".html": "text/html; charset=utf-8",
		".css":  "text/css; charset=utf-8",
		".js":   "text/javascript; charset=utf-8",
		".svg":  "image/svg+xml",
		".map":  "application/json; charset=utf-8",
	}
	mux := newMux()
	files := onDisk(t)
	for target, file := range files {
		t.Run(target, func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			res := do(mux, http.MethodGet, target)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status: got %d, want 200", res.StatusCode)
			}
			if got := read(t, res.Body); got != string(want) {
				t.Errorf("body: got %d bytes, want the %d of %s", len(got), len(want), file)
			}
			for name, want := range map[string]string{
				"Content-Type":           types[path.Ext(file)],
				"Content-Length":         fmt.Sprint(len(want)),
				"Content-Encoding":       "",
				"Vary":                   "Accept-Encoding",
				"X-Content-Type-Options": "nosniff",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
		})
	}
	if got := len(console.PagePatterns()) + len(console.BundlePatterns()); got != len(files) {
		t.Errorf("got %d patterns for %d files", got, len(files))
	}
}

func TestOnlyTheConsolesPathsAreTaken(t *testing.T) {
	mux := newMux()
	for target, want := range map[string]string{
		"/socket.io/?EIO=4&transport=polling":  "engine",
		"/socket.io/socket.io.msgpack.min.js":  "engine", // E-11: an unknown file is the engine's
		"/socket.io/socket.io.js/more":         "engine",
		"/index.html":                          "catch-all",
		"/assets/":                             "catch-all",
		"/assets/none.js":                      "catch-all",
		"/bundle/README.md":                    "catch-all",
		"/donations":                           "catch-all",
		"/socket.io/socket.io.js?v=1&unneeded": "",
		"/?from=mail":                          "",
	} {
		t.Run(target, func(t *testing.T) {
			res := do(mux, http.MethodGet, target)
			if want == "" {
				if res.StatusCode != http.StatusOK {
					t.Fatalf("got %d, want the console's 200", res.StatusCode)
				}
				return
			}
			if got := read(t, res.Body); got != want {
				t.Errorf("answered by %.40q, want %q", got, want)
			}
		})
	}
}

func TestHandlersAloneRefuseOtherMethodsAndPaths(t *testing.T) {
	for name, tc := range map[string]struct {
		h              http.Handler
		method, target string
		want           int
	}{
		"post to page":         {console.Handler(), http.MethodPost, "/", http.StatusMethodNotAllowed},
		"put to script":        {console.Handler(), http.MethodPut, "/console.js", http.StatusMethodNotAllowed},
		"delete asset":         {console.Handler(), http.MethodDelete, "/assets/api.js", http.StatusMethodNotAllowed},
		"post to bundle":       {console.ClientBundle(), http.MethodPost, "/socket.io/socket.io.js", http.StatusMethodNotAllowed},
		"unknown asset":        {console.Handler(), http.MethodGet, "/assets/none.js", http.StatusNotFound},
		"bundle in the page":   {console.Handler(), http.MethodGet, "/socket.io/socket.io.js", http.StatusNotFound},
		"page in the bundle":   {console.ClientBundle(), http.MethodGet, "/", http.StatusNotFound},
		"licence of bundle":    {console.ClientBundle(), http.MethodGet, "/socket.io/LICENSE", http.StatusNotFound},
		"page":                 {console.Handler(), http.MethodGet, "/", http.StatusOK},
		"head of the bundle":   {console.ClientBundle(), http.MethodHead, "/socket.io/socket.io.js", http.StatusOK},
		"climbing out of it":   {console.Handler(), http.MethodGet, "/assets/%2e%2e/index.html", http.StatusNotFound},
		"climbing, cleaned":    {console.Handler(), http.MethodGet, "/assets/../index.html", http.StatusNotFound},
		"file behind the page": {console.Handler(), http.MethodGet, "/page/index.html", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			res := do(tc.h, tc.method, tc.target)
			if res.StatusCode/100 == 3 { // ServeMux cleans a path by redirecting
				res = do(tc.h, tc.method, res.Header.Get("Location"))
			}
			if res.StatusCode != tc.want {
				t.Errorf("%s %s: got %d, want %d", tc.method, tc.target, res.StatusCode, tc.want)
			}
			if allow := res.Header.Get("Allow"); tc.want == http.StatusMethodNotAllowed && allow != "GET, HEAD" {
				t.Errorf("Allow: got %q, want GET, HEAD", allow)
			}
		})
	}
}

func TestPageSecurityHeaders(t *testing.T) {
	for _, target := range []string{"/", "/console.js", "/assets/feed.js", "/assets/icon.svg"} {
		h := do(newMux(), http.MethodGet, target).Header
		policy := map[string]string{}
		for directive := range strings.SplitSeq(h.Get("Content-Security-Policy"), "; ") {
			name, value, _ := strings.Cut(directive, " ")
			policy[name] = value
		}
		for name, want := range map[string]string{
			"default-src":     "'none'",
			"script-src":      "'self'",
			"style-src":       "'self'",
			"connect-src":     "'self'",
			"img-src":         "'self' https: http: data:",
			"base-uri":        "'none'",
			"form-action":     "'none'",
			"frame-ancestors": "'none'",
		} {
			if policy[name] != want {
				t.Errorf("%s: %s: got %q, want %q", target, name, policy[name], want)
			}
		}
		if got := h.Get("Referrer-Policy"); got != "same-origin" {
			t.Errorf("%s: Referrer-Policy: got %q", target, got)
		}
		if got := h.Get("Cache-Control"); got != "no-cache" {
			t.Errorf("%s: Cache-Control: got %q, want no-cache", target, got)
		}
	}
}

// E-11: what a page that loads the client from its server counts on.
func TestBundleHeaders(t *testing.T) {
	mux := newMux()
	for _, pattern := range console.BundlePatterns() {
		_, target, _ := strings.Cut(pattern, " ")
		h := do(mux, http.MethodGet, target, "Accept-Encoding", "gzip").Header
		if got := h.Get("Cache-Control"); got != "public, max-age=0" {
			t.Errorf("%s: Cache-Control: got %q", target, got)
		}
		if got, want := h.Get("ETag"), `"`+console.ClientVersion+`"`; got != want {
			t.Errorf("%s: ETag: got %s, want %s", target, got, want)
		}
		for _, name := range []string{"Content-Security-Policy", "Cross-Origin-Resource-Policy", "Access-Control-Allow-Origin"} {
			if got := h.Get(name); got != "" {
				t.Errorf("%s: %s: got %q, want none", target, name, got)
			}
		}
	}
}

func TestRevalidation(t *testing.T) {
	const client = "/socket.io/socket.io.min.js"
	mux := newMux()
	plain := do(mux, http.MethodGet, "/").Header.Get("ETag")
	zipped := do(mux, http.MethodGet, "/", "Accept-Encoding", "gzip").Header.Get("ETag")
	if plain == "" || plain == zipped {
		t.Fatalf("ETags of the page: plain %s, gzip %s; want two", plain, zipped)
	}
	if other := do(mux, http.MethodGet, "/console.js").Header.Get("ETag"); other == plain {
		t.Fatalf("two files share the ETag %s", plain)
	}
	for name, tc := range map[string]struct {
		target, method, match, accept string
		want                          int
	}{
		"same":                {"/", http.MethodGet, plain, "", 304},
		"same, asked by head": {"/", http.MethodHead, plain, "", 304},
		"same, compressed":    {"/", http.MethodGet, zipped, "gzip", 304},
		"other form":          {"/", http.MethodGet, zipped, "", 200},
		"weak":                {"/", http.MethodGet, "W/" + plain, "", 304},
		"in a list":           {"/", http.MethodGet, `"x", ` + plain, "", 304},
		"any":                 {"/", http.MethodGet, "*", "", 304},
		"older":               {"/", http.MethodGet, `"older"`, "", 200},
		"without quotes":      {"/", http.MethodGet, strings.Trim(plain, `"`), "", 200},
		"bundle":              {client, http.MethodGet, `"4.8.4"`, "", 304},
		"bundle, compressed":  {client, http.MethodGet, `"4.8.4"`, "gzip", 304},
		"bundle, weak":        {client, http.MethodGet, `W/"4.8.4"`, "", 304},
		"bundle, older":       {client, http.MethodGet, `"4.8.3"`, "", 200},
	} {
		t.Run(name, func(t *testing.T) {
			res := do(mux, tc.method, tc.target, "If-None-Match", tc.match, "Accept-Encoding", tc.accept)
			if res.StatusCode != tc.want {
				t.Fatalf("got %d, want %d", res.StatusCode, tc.want)
			}
			if res.Header.Get("ETag") == "" || res.Header.Get("Cache-Control") == "" || res.Header.Get("Vary") == "" {
				t.Errorf("headers a cache needs are missing: %v", res.Header)
			}
			if body := read(t, res.Body); tc.want == 304 && (body != "" || res.Header.Get("Content-Length") != "") {
				t.Errorf("304 with a body of %d bytes, Content-Length %q", len(body), res.Header.Get("Content-Length"))
			}
		})
	}
}

func TestCompression(t *testing.T) {
	mux := newMux()
	for accept, want := range map[string]bool{
		"":                       false,
		"gzip":                   true,
		"GZIP":                   true,
		"br, gzip;q=0.5":         true,
		"gzip, deflate, br":      true,
		"*":                      true,
		"gzip;q=0":               false,
		"gzip; q=0.0":            false,
		"gzip;q=many":            false,
		"*, gzip;q=0":            false,
		"*;q=0, gzip":            true,
		"identity":               false,
		"br":                     false,
		"gzipped":                false,
		"deflate;q=1, *;q=0.001": true,
	} {
		for _, target := range []string{"/", "/socket.io/socket.io.js"} {
			t.Run(accept+" "+target, func(t *testing.T) {
				res := do(mux, http.MethodGet, target, "Accept-Encoding", accept)
				if got := res.Header.Get("Content-Encoding") == "gzip"; got != want {
					t.Fatalf("compressed: got %t, want %t", got, want)
				}
				if !want {
					return
				}
				body := read(t, res.Body)
				if got := res.Header.Get("Content-Length"); got != fmt.Sprint(len(body)) {
					t.Errorf("Content-Length: got %s for %d bytes", got, len(body))
				}
				zr, err := gzip.NewReader(strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				if plain := get(t, target); read(t, zr) != plain || len(body) > len(plain)/2 {
					t.Errorf("%d compressed bytes do not hold the %d plain ones", len(body), len(plain))
				}
			})
		}
	}
}

func TestHeadIsGetWithoutBody(t *testing.T) {
	mux := newMux()
	for _, target := range []string{"/", "/console.css", "/socket.io/socket.io.esm.min.js"} {
		head, full := do(mux, http.MethodHead, target), do(mux, http.MethodGet, target)
		if body := read(t, head.Body); head.StatusCode != http.StatusOK || body != "" {
			t.Errorf("HEAD %s: got %d and %d bytes", target, head.StatusCode, len(body))
		}
		for name := range full.Header {
			if head.Header.Get(name) != full.Header.Get(name) {
				t.Errorf("HEAD %s: %s: got %q, want %q", target, name, head.Header.Get(name), full.Header.Get(name))
			}
		}
	}
}

func TestBundleIsWhatItSays(t *testing.T) {
	readme, err := os.ReadFile("bundle/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := "# socket.io-client " + console.ClientVersion + "\n"; !strings.HasPrefix(string(readme), want) {
		t.Errorf("bundle/README.md does not begin with %q", want)
	}
	mapped := regexp.MustCompile(`//# sourceMappingURL=(\S+)\s*$`)
	mux := newMux()
	for _, pattern := range console.BundlePatterns() {
		_, target, _ := strings.Cut(pattern, " ")
		text := get(t, target)
		row := fmt.Sprintf("| `%s` | `%x` |", path.Base(target), sha256.Sum256([]byte(text)))
		if !strings.Contains(string(readme), row) {
			t.Errorf("bundle/README.md lacks the row %s", row)
		}
		if path.Ext(target) != ".js" {
			continue
		}
		if !strings.Contains(text[:200], "Socket.IO v"+console.ClientVersion+"\n") {
			t.Errorf("%s is not of version %s: %q", target, console.ClientVersion, text[:80])
		}
		m := mapped.FindStringSubmatch(text)
		if m == nil {
			t.Errorf("%s names no source map", target)
			continue
		}
		if res := do(mux, http.MethodGet, path.Join(path.Dir(target), m[1])); res.StatusCode != http.StatusOK {
			t.Errorf("%s names %s, which answers %d", target, m[1], res.StatusCode)
		}
	}
}

// references finds what a file of the page makes a browser load.
var references = map[string]*regexp.Regexp{
	".html": regexp.MustCompile(`<(?:link|script|img)\b[^>]*?\s(?:src|href)="([^"]+)"`),
	".js":   regexp.MustCompile(`(?m)(?:^import|\bfrom|\bimport\()\s*['"]([^'"]+)['"]`),
	".css":  regexp.MustCompile(`(?:url\(\s*['"]?|@import\s+['"])([^'")]+)`),
}

func TestPageLoadsOnlyWhatIsServed(t *testing.T) {
	mux := newMux()
	seen := []string{"/"}
	for i := 0; i < len(seen); i++ {
		find := references[path.Ext(seen[i])]
		if seen[i] == "/" {
			find = references[".html"]
		}
		if find == nil || strings.HasPrefix(seen[i], "/socket.io/") {
			continue
		}
		for _, m := range find.FindAllStringSubmatch(get(t, seen[i]), -1) {
			target := m[1]
			if strings.Contains(target, "//") || strings.HasPrefix(target, "data:") {
				t.Errorf("%s loads %s from elsewhere", seen[i], target)
				continue
			}
			if !strings.HasPrefix(target, "/") {
				target = path.Join(path.Dir(seen[i]), target)
			}
			if res := do(mux, http.MethodGet, target); res.StatusCode != http.StatusOK {
				t.Errorf("%s loads %s, which answers %d", seen[i], target, res.StatusCode)
				continue
			}
			if !slices.Contains(seen, target) {
				seen = append(seen, target)
			}
		}
	}
	for _, pattern := range console.PagePatterns() {
		target := strings.TrimSuffix(strings.TrimPrefix(pattern, "GET "), "{$}")
		if !slices.Contains(seen, target) {
			t.Errorf("%s is served and nothing loads it", target)
		}
	}
	if !slices.Contains(seen, "/socket.io/socket.io.min.js") {
		t.Error("the page does not load the Socket.IO client")
	}
}

// The policy would block these; the page must not depend on finding that out in a browser.
func TestPageKeepsItsPolicy(t *testing.T) {
	html := get(t, "/")
	for name, forbidden := range map[string]string{
		"inline script":      `<script(?:\s[^>]*)?>[^<]`,
		"script without src": `<script(?:\s+(?:defer|async|type="[^"]*"))*\s*>`,
		"inline style":       `<style|\sstyle=`,
		"event attribute":    `\son[a-z]+\s*=`,
		"script address":     `(?i)javascript:`,
		"base":               `<base\b`,
		"form action":        `<form[^>]*\saction=`,
	} {
		if got := regexp.MustCompile(forbidden).FindString(html); got != "" {
			t.Errorf("index.html has an %s: %q", name, got)
		}
	}
	sink := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|createContextualFragment|setAttribute\('style'|parseFromString`)
	for _, pattern := range console.PagePatterns() {
		target := strings.TrimPrefix(pattern, "GET ")
		if path.Ext(target) != ".js" {
			continue
		}
		if got := sink.FindString(get(t, target)); got != "" {
			t.Errorf("%s uses %s: data reaches the page as text only", target, got)
		}
	}
}

// Every element that a script looks up by id is in the page, and every id is there once.
func TestScriptsFindTheirElements(t *testing.T) {
	ids := map[string]int{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(get(t, "/"), -1) {
		ids[m[1]]++
		if ids[m[1]] > 1 {
			t.Errorf("id %s is there twice", m[1])
		}
	}
	lookups := 0
	for _, pattern := range console.PagePatterns() {
		target := strings.TrimPrefix(pattern, "GET ")
		if path.Ext(target) != ".js" {
			continue
		}
		for _, m := range regexp.MustCompile(`\$\('([^']+)'\)`).FindAllStringSubmatch(get(t, target), -1) {
			lookups++
			if ids[m[1]] == 0 {
				t.Errorf("%s looks for #%s, which is not in the page", target, m[1])
			}
		}
	}
	if lookups < 30 {
		t.Errorf("found only %d lookups; does the expression still fit the scripts?", lookups)
	}
}

func TestHandlersServeConcurrently(t *testing.T) {
	mux := newMux()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for _, accept := range []string{"", "gzip"} {
				if res := do(mux, http.MethodGet, "/console.js", "Accept-Encoding", accept); res.StatusCode != http.StatusOK {
					t.Errorf("got %d, want 200", res.StatusCode)
				}
			}
		})
	}
}
