package engineio

import (
	"bufio"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"time"
)

// Request is what is kept of the HTTP request that opened a session. Sessions
// live long and are many, so the header and the query are kept as text and
// taken apart whenever they are asked for.
type Request struct {
	RemoteAddr string
	Host       string
	URL        string // path and query
	Secure     bool   // came over TLS
	Time       time.Time

	header string // in the form of the wire
}

func newRequest(r *http.Request, now time.Time) *Request {
	return &Request{
		RemoteAddr: strings.Clone(r.RemoteAddr),
		Host:       strings.Clone(r.Host),
		URL:        r.URL.RequestURI(),
		Secure:     r.TLS != nil,
		Time:       now,
		header:     headerText(r.Header),
	}
}

// ofConnection are headers that say something about the connection and nothing
// about who is at the other end.
var ofConnection = map[string]bool{
	"Connection": true, "Upgrade": true, "Sec-Websocket-Key": true,
	"Sec-Websocket-Version": true, "Sec-Websocket-Extensions": true,
}

// headerText writes a header as one string.
func headerText(h http.Header) string {
	var b strings.Builder
	size := 0
	for name, values := range h {
		if ofConnection[name] {
			continue
		}
		for _, v := range values {
			size += len(name) + len(": \r\n") + len(v)
		}
	}
	b.Grow(size)
	_ = h.WriteSubset(&b, ofConnection) // a Builder takes everything
	return b.String()
}

// Header returns the headers of the request, without those of the WebSocket
// handshake. Each call makes a new one.
func (r *Request) Header() http.Header {
	h, _ := textproto.NewReader(bufio.NewReader(strings.NewReader(r.header + "\r\n"))).ReadMIMEHeader()
	return http.Header(h) // we wrote it, so it parses
}

// Query returns the parameters of the URL. Each call makes a new one.
func (r *Request) Query() url.Values {
	_, query, _ := strings.Cut(r.URL, "?")
	values, _ := url.ParseQuery(query) // what is malformed is left out, as in url.URL.Query
	return values
}
