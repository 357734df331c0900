package engineio_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/engineio"
)

// gone is the application of a session that ends as soon as it is there.
type gone struct{}

func (gone) Receive([]byte) error       { return nil }
func (gone) ReceiveBinary([]byte) error { return nil }
func (gone) Closed(engineio.Cause)      {}

const listed = "https://app.example.org"

// FuzzRequest serves any request that net/http can read. Whatever it is, the
// answer is one of E-4 or an opened session, the CORS headers say no more than
// the list does (C-2), and what is kept of an opening request is what it said.
func FuzzRequest(f *testing.F) {
	const get = "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: larder.test\r\n"
	f.Add([]byte(get + "\r\n"))
	f.Add([]byte(get + "Origin: " + listed + "\r\nAccept-Encoding: gzip;q=0.5, *\r\nX-A: 1\r\nX-A: \r\n\r\n"))
	f.Add([]byte(get + "Origin: http://larder.test:80/\r\nX-Folded: a\r\n b\r\n\r\n"))
	f.Add([]byte(get + "Origin: http://evil.example\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"))
	f.Add([]byte("OPTIONS /socket.io HTTP/1.1\r\nHost: larder.test\r\nOrigin: " + listed +
		"\r\nAccess-Control-Request-Headers: x-a, x-b\r\n\r\n"))
	f.Add([]byte("GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: larder.test\r\nConnection: keep-alive, Upgrade\r\n" +
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"))
	f.Add([]byte("POST /socket.io/?EIO=4&transport=polling&sid=x HTTP/1.1\r\nHost: larder.test\r\nContent-Length: 2\r\n\r\n4a"))
	f.Add([]byte("GET /socket.io/?EIO=4&EIO=3&transport=polling&j=0&a=%zz HTTP/1.1\r\nHost: larder.test\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(in)))
		if err != nil || !served(r.Header) {
			return
		}
		header, uri := r.Header.Clone(), r.URL.RequestURI()
		var kept *engineio.Request
		srv, err := engineio.NewServer(engineio.Config{
			WriteTimeout: time.Millisecond, // so that nothing of the session stays
			CORS:         &engineio.CORS{Origins: []string{listed}},
		}, func(s *engineio.Session) engineio.Receiver {
			kept = s.Request()
			s.Close(engineio.ReasonForcedServerClose)
			return gone{}
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		checkAnswer(t, w, kept != nil)
		checkCORS(t, w.Header(), header.Get("Origin"), r.Host)
		if kept != nil {
			checkKept(t, kept, header, uri)
		}
	})
}

// served reports whether the server of net/http would let a handler see these
// headers. It is stricter than http.ReadRequest.
func served(h http.Header) bool {
	for name, values := range h {
		for _, c := range []byte(name) {
			if c <= ' ' || c >= 0x7f || strings.IndexByte("\"(),/:;<=>?@[\\]{}", c) >= 0 {
				return false
			}
		}
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return false
			}
		}
	}
	return true
}

// checkAnswer wants an opened session, a preflight, the 404 of another path, or
// a refusal of E-4.
func checkAnswer(t *testing.T, w *httptest.ResponseRecorder, opened bool) {
	body := w.Body.String()
	switch {
	case opened != (w.Code == http.StatusOK), opened && !strings.HasPrefix(body, `0{"sid":`):
		t.Errorf("opened %v: got %d %q", opened, w.Code, body)
	case opened, w.Code == http.StatusNoContent, w.Code == http.StatusNotFound:
	case w.Header().Get("Content-Type") == "text/html" && w.Code >= 400: // E-5
	default:
		var refusal struct {
			Code    *int
			Message string
		}
		if err := json.Unmarshal([]byte(body), &refusal); err != nil || w.Code < 400 || refusal.Code == nil ||
			*refusal.Code < 0 || *refusal.Code > 5 || refusal.Message == "" {
			t.Errorf("refusal: got %d %q", w.Code, body)
		}
	}
}

// checkCORS wants an origin reflected only if it is the listed one or the own
// one, as an independent reader of URLs sees it.
func checkCORS(t *testing.T, h http.Header, origin, host string) {
	allowed := h.Get("Access-Control-Allow-Origin")
	switch {
	case allowed == "":
		if h.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials without an origin")
		}
		return
	case allowed != origin:
		t.Errorf("origin %q: reflected as %q", origin, allowed)
	case !slices.Contains(h.Values("Vary"), "Origin"):
		t.Errorf("origin %q: reflected without Vary", origin)
	}
	if !mayConnect(origin, host) {
		t.Errorf("origin %q is allowed on host %q", origin, host)
	}
}

func mayConnect(origin, host string) bool {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(origin), "/"))
	if err != nil {
		// No browser sends it. Only the very text of the Host header may pass.
		_, text, _ := strings.Cut(strings.ToLower(strings.TrimRight(strings.TrimSpace(origin), "/")), "://")
		return text != "" && bare(text) == bare(strings.ToLower(host))
	}
	of := u.Host
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery {
		_, of, _ = strings.Cut(strings.TrimRight(strings.TrimSpace(origin), "/"), "://")
	}
	of = strings.ToLower(of)
	return u.Scheme == "https" && bare(of) == "app.example.org" ||
		(u.Scheme == "http" || u.Scheme == "https") && bare(of) == bare(strings.ToLower(host))
}

func bare(host string) string {
	return strings.TrimSuffix(strings.TrimSuffix(host, ":80"), ":443")
}

func checkKept(t *testing.T, kept *engineio.Request, header http.Header, uri string) {
	for _, name := range []string{
		"Connection", "Upgrade", "Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions",
	} {
		header.Del(name)
	}
	if diff := cmp.Diff(header, kept.Header(), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("header, want - got +:\n%s", diff)
	}
	if kept.URL != uri {
		t.Errorf("URL: got %q, want %q", kept.URL, uri)
	}
	if u, err := url.ParseRequestURI(uri); err == nil {
		if diff := cmp.Diff(u.Query(), kept.Query()); diff != "" {
			t.Errorf("query, want - got +:\n%s", diff)
		}
	}
}

// FuzzOrigin has a list and a host of any form. What Allows is the same however
// the origin is written, and never another host than those of the list and the
// own one.
func FuzzOrigin(f *testing.F) {
	f.Add("https://app.example.org", "https://app.example.org/", "larder.test")
	f.Add("HTTPS://App.example.org:443", "https://app.example.org", "larder.test:80")
	f.Add("http://larder.test:8080", "null", "LARDER.test:8080")
	f.Add("http://a@larder.test", "", "larder.test")
	f.Add("http://larder.test:80:80", "file://", "larder.test:80")
	f.Fuzz(func(t *testing.T, origin, entry, host string) {
		ask := func(origin string) bool {
			c := &engineio.CORS{Origins: []string{entry}}
			return c.Allows(&http.Request{Host: host, Header: http.Header{"Origin": {origin}}})
		}
		got := ask(origin)
		if trimmed := strings.TrimSpace(origin); origin != "" && got != ask(trimmed+"/") {
			t.Errorf("%q with a slash: got %v", trimmed, !got)
		}
		if ascii(origin) && got != ask(strings.ToUpper(origin)) {
			t.Errorf("%q in capitals: got %v", origin, !got)
		}
		scheme, of, _ := strings.Cut(strings.ToLower(strings.TrimRight(strings.TrimSpace(origin), "/")), "://")
		entryText := strings.ToLower(strings.TrimRight(strings.TrimSpace(entry), "/"))
		entryScheme, entryHost, _ := strings.Cut(entryText, "://")
		inList := scheme == entryScheme && bare(of) == bare(entryHost)
		own := (scheme == "http" || scheme == "https") && bare(of) == bare(strings.ToLower(host))
		if got && origin != "" && !inList && !own {
			t.Errorf("origin %q is allowed with the list %q and the host %q", origin, entry, host)
		}
	})
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// FuzzAcceptEncoding: a coding is only used when it is named or covered by *,
// lines are the same as commas, capitals as small letters, and the last word
// about a coding counts. E-22
func FuzzAcceptEncoding(f *testing.F) {
	f.Add("gzip, deflate, br")
	f.Add("deflate;q=0.5, gzip;q=0.4, *;q=0")
	f.Add("x-gzip;Q=1;a=b, identity;q=0")
	f.Add("gzip;q=nan")
	f.Add("*;q=1e-400")
	f.Fuzz(func(t *testing.T, header string) {
		got := engineio.AcceptedCoding([]string{header})
		switch lower := strings.ToLower(header); {
		case got != "" && got != "gzip" && got != "deflate":
			t.Errorf("%q: got %q", header, got)
		case got != "" && !strings.Contains(lower, got) && !strings.Contains(lower, "*"):
			t.Errorf("%q: got %q, which it does not name", header, got)
		}
		if again := engineio.AcceptedCoding(strings.Split(header, ",")); again != got {
			t.Errorf("%q in lines: got %q, want %q", header, again, got)
		}
		if ascii(header) {
			if again := engineio.AcceptedCoding([]string{strings.ToUpper(header)}); again != got {
				t.Errorf("%q in capitals: got %q, want %q", header, again, got)
			}
		}
		for last, want := range map[string]string{
			"gzip;q=1":           "gzip",
			"gzip;q=0,deflate":   "deflate",
			"gzip;q=0,deflate;q": "",
		} {
			if again := engineio.AcceptedCoding([]string{header, last}); again != want {
				t.Errorf("%q and then %q: got %q, want %q", header, last, again, want)
			}
		}
		if w := engineio.Weight(header); !(w >= 0 && w <= 1) {
			t.Errorf("weight of %q: got %v", header, w)
		}
	})
}
