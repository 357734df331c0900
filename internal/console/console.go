// Package console serves what a browser needs to see Larder work: the web console, which is plain
// HTML, CSS and ES modules without a build step, and the stock Socket.IO client in the places
// where pages written for a Socket.IO server load it from.
//
// Everything is embedded, read-only and safe for concurrent use. Nothing here has a lifecycle:
// a file is hashed and compressed when it is first asked for, so an idle console costs start-up
// nothing. The package imports only the standard library.
package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

// ClientVersion is the version of the embedded npm package socket.io-client.
const ClientVersion = "4.8.4"

//go:embed page bundle/socket.io*
var files embed.FS

// policy is the console's Content-Security-Policy. 'self' in connect-src covers ws: and wss: of the
// same origin (CSP level 3); a browser too old to know that keeps working over HTTP long-polling.
// Photos may come from anywhere because donors may name any http(s) address. form-action 'none'
// makes sure that a form sent before the scripts have loaded never puts a password into a URL.
var policy = strings.Join([]string{
	"default-src 'none'",
	"script-src 'self'",
	"style-src 'self'",
	"connect-src 'self'",
	"img-src 'self' https: http: data:",
	"base-uri 'none'",
	"form-action 'none'",
	"frame-ancestors 'none'",
	"require-trusted-types-for 'script'",
	"trusted-types 'none'",
}, "; ")

// page and bundle list what is served: the route's path, and the file behind it.
var (
	page = []route{
		{"/{$}", "page/index.html"},
		{"/console.css", "page/console.css"},
		{"/console.js", "page/console.js"},
		{"/assets/account.js", "page/assets/account.js"},
		{"/assets/admin.js", "page/assets/admin.js"},
		{"/assets/api.js", "page/assets/api.js"},
		{"/assets/availability.js", "page/assets/availability.js"},
		{"/assets/board.js", "page/assets/board.js"},
		{"/assets/card.js", "page/assets/card.js"},
		{"/assets/dom.js", "page/assets/dom.js"},
		{"/assets/feed.js", "page/assets/feed.js"},
		{"/assets/icon.svg", "page/assets/icon.svg"},
		{"/assets/impact.js", "page/assets/impact.js"},
		{"/assets/journal.js", "page/assets/journal.js"},
		{"/assets/notices.js", "page/assets/notices.js"},
		{"/assets/offer.js", "page/assets/offer.js"},
	}
	bundle = []route{
		{"/socket.io/socket.io.js", "bundle/socket.io.js"},
		{"/socket.io/socket.io.js.map", "bundle/socket.io.js.map"},
		{"/socket.io/socket.io.min.js", "bundle/socket.io.min.js"},
		{"/socket.io/socket.io.min.js.map", "bundle/socket.io.min.js.map"},
		{"/socket.io/socket.io.esm.min.js", "bundle/socket.io.esm.min.js"},
		{"/socket.io/socket.io.esm.min.js.map", "bundle/socket.io.esm.min.js.map"},
	}
)

type route struct{ path, file string }

// Routes registers the console and the client bundle on mux, path by path and for GET and HEAD
// only. The patterns are exact, so they win over "/", "/socket.io/" and "GET /socket.io/".
func Routes(mux *http.ServeMux) {
	register(mux, page, Handler())
	register(mux, bundle, ClientBundle())
}

// PagePatterns returns the ServeMux patterns that Handler answers, for callers that register them
// one by one around a wrapper of their own.
func PagePatterns() []string { return patterns(page) }

// BundlePatterns returns the ServeMux patterns that ClientBundle answers.
func BundlePatterns() []string { return patterns(bundle) }

// Handler serves the console's page and its files, and 404 or 405 for everything else.
func Handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range page {
		a := newAsset(r.file, "no-cache", "")
		mux.HandleFunc("GET "+r.path, func(w http.ResponseWriter, req *http.Request) {
			h := w.Header()
			h.Set("Content-Security-Policy", policy)
			h.Set("Referrer-Policy", "same-origin")
			h.Set("Permissions-Policy", "geolocation=(self), camera=(), microphone=()")
			a.serve(w, req)
		})
	}
	return mux
}

// ClientBundle serves the stock Socket.IO client, its ES module and their source maps below
// /socket.io/ (clause E-11), and 404 or 405 for everything else. It adds no CORS headers: which
// origins may read it is decided outside, for every route alike. Pages include it with a plain
// script element, which needs none.
func ClientBundle() http.Handler {
	mux := http.NewServeMux()
	for _, r := range bundle {
		mux.HandleFunc("GET "+r.path, newAsset(r.file, "public, max-age=0", ClientVersion).serve)
	}
	return mux
}

func register(mux *http.ServeMux, routes []route, h http.Handler) {
	for _, pattern := range patterns(routes) {
		mux.Handle(pattern, h)
	}
}

func patterns(routes []route) []string {
	out := make([]string, len(routes))
	for i, r := range routes {
		out[i] = "GET " + r.path
	}
	return out
}

// contentTypes is complete on purpose: mime.TypeByExtension answers what the host's tables say.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".map":  "application/json; charset=utf-8",
}

// asset is one embedded file with the headers it goes out with.
type asset struct {
	contentType  string
	cacheControl string
	plain        func() form // once
	zipped       func() form // once
}

// form is a file as it leaves the server: its bytes and their entity tag.
type form struct {
	data []byte
	tag  string
}

// newAsset prepares a file. With a version, that is its entity tag in both forms, as the clients
// of the bundle expect; otherwise the tag is a hash of the content, another one for each form.
func newAsset(file, cacheControl, version string) *asset {
	a := &asset{contentType: contentTypes[path.Ext(file)], cacheControl: cacheControl}
	tag := func(data []byte) string {
		if version != "" {
			return strconv.Quote(version)
		}
		sum := sha256.Sum256(data)
		return strconv.Quote(base64.RawURLEncoding.EncodeToString(sum[:12]))
	}
	a.plain = sync.OnceValue(func() form {
		data, err := files.ReadFile(file)
		if err != nil {
			panic("console: bug: " + err.Error())
		}
		return form{data, tag(data)}
	})
	a.zipped = sync.OnceValue(func() form {
		data := compress(a.plain().data)
		return form{data, tag(data)}
	})
	return a
}

func compress(plain []byte) []byte {
	var buf bytes.Buffer
	zw, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err == nil {
		_, err = zw.Write(plain)
	}
	if err == nil {
		err = zw.Close()
	}
	if err != nil {
		panic(fmt.Sprintf("console: bug: gzip into memory: %v", err))
	}
	return buf.Bytes()
}

func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	zipped := acceptsGzip(r.Header.Values("Accept-Encoding"))
	f := a.plain
	if zipped {
		f = a.zipped
	}
	data, tag := f().data, f().tag
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	h.Set("ETag", tag)
	h.Set("Cache-Control", a.cacheControl)
	h.Set("X-Content-Type-Options", "nosniff")
	if matches(r.Header.Values("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", a.contentType)
	h.Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(data) // a client that went away is nobody's error
}

// matches compares weakly, as RFC 9110 section 13.1.2 asks for If-None-Match.
func matches(fields []string, tag string) bool {
	for _, field := range fields {
		for candidate := range strings.SplitSeq(field, ",") {
			candidate = strings.TrimSpace(candidate)
			if candidate == "*" || strings.TrimPrefix(candidate, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// acceptsGzip reports whether the client named gzip, or anything, with a weight above zero.
// What it says about gzip itself counts more than what it says about "*".
func acceptsGzip(fields []string) bool {
	named, wild := -1.0, -1.0
	for _, field := range fields {
		for item := range strings.SplitSeq(field, ",") {
			coding, params, _ := strings.Cut(item, ";")
			weight := 1.0
			if q, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
				parsed, err := strconv.ParseFloat(q, 64)
				if err != nil {
					parsed = 0
				}
				weight = parsed
			}
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				named = max(named, weight)
			case "*":
				wild = max(wild, weight)
			}
		}
	}
	if named >= 0 {
		return named > 0
	}
	return wild > 0
}
