package httpapi

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"larder/api"
	"larder/engineio"
)

// requestInfo is what handlers know of their request beyond its content.
type requestInfo struct {
	id      string
	address string
	rfc9457 bool
	base    string // where the client reaches this server
}

const (
	// answerTime bounds how long a client may take for its answer, and for its body.
	// Held polls, WebSockets and forms set deadlines of their own.
	answerTime = time.Minute
	// restTime bounds how long what nobody has read of a body is waited for: the
	// server takes it in before it answers.
	restTime = 5 * time.Second
)

type infoKey struct{}

func infoFrom(ctx context.Context) requestInfo {
	info, _ := ctx.Value(infoKey{}).(requestInfo)
	return info
}

// Edge wraps everything that a node serves: a request id, security headers, a log
// line, and a clear answer for panics. Mux answers unknown paths.
func Edge(next http.Handler, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info := requestInfo{id: rand.Text()[:16], address: engineio.AddressOf(r), rfc9457: wantsProblem(r.Header.Get("Accept")), base: baseOf(r)}
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Now().Add(answerTime)) // an error: w has no connection
		// Without a body there is nothing to wait for, and the end of a reading would
		// be the end of a held request.
		body := r.ContentLength != 0
		if body {
			_ = control.SetReadDeadline(time.Now().Add(answerTime))
		}
		h := w.Header()
		h.Set("X-Request-Id", info.id)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		start, sw := time.Now(), &statusWriter{ResponseWriter: w}
		r = r.WithContext(context.WithValue(r.Context(), infoKey{}, info))
		defer func() {
			if v := recover(); v != nil {
				if v == http.ErrAbortHandler { //nolint:errorlint // the documented sentinel, compared as documented
					panic(v)
				}
				log.Error("panic in a handler", "request_id", info.id, "panic", v, "stack", string(debug.Stack()))
				if sw.status == 0 {
					WriteError(sw, r, api.NewError(500, api.CodeInternal, "Something went wrong on our side"))
				}
			}
			if body {
				_ = control.SetReadDeadline(time.Now().Add(restTime))
			}
			log.LogAttrs(r.Context(), slog.LevelDebug, "request", slog.String("request_id", info.id),
				slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.Int("status", sw.status),
				slog.Duration("dur", time.Since(start)))
		}()
		next.ServeHTTP(sw, r)
	})
}

// statusWriter remembers the status for the log. Unwrap lets the server's own
// abilities (hijack, deadlines) through.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status.
func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts as 200 when nothing was said before.
func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Mux serves mux, with unknown paths and methods answered in the form of the
// contract, and a slash at the end of a path forgiven.
func Mux(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern == "" && len(r.URL.Path) > 1 && strings.HasSuffix(r.URL.Path, "/") {
			u := *r.URL
			u.Path, u.RawPath = strings.TrimRight(r.URL.Path, "/"), ""
			r = r.Clone(r.Context())
			r.URL = &u
			handler, pattern = mux.Handler(r)
		}
		if pattern != "" {
			// A media type is compared without case (RFC 9110, 8.3.1), which huma does not.
			if kind, params, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.EqualFold(strings.TrimSpace(kind), "application/json") {
				r.Header.Set("Content-Type", "application/json;"+params)
			}
			mux.ServeHTTP(w, r)
			return
		}
		probe := &headerProbe{header: http.Header{}}
		handler.ServeHTTP(probe, r)
		if probe.status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", probe.header.Get("Allow"))
			WriteError(w, r, api.NewError(405, api.CodeMethodNotAllowed, r.Method+" is not possible here; allowed: "+probe.header.Get("Allow")))
			return
		}
		WriteError(w, r, api.NewError(404, api.CodeNotFound, "Cannot "+r.Method+" this path"))
	})
}

// headerProbe finds out what ServeMux would have said of a path without a route.
type headerProbe struct {
	header http.Header
	status int
}

// Header implements http.ResponseWriter.
func (p *headerProbe) Header() http.Header { return p.header }

// WriteHeader implements http.ResponseWriter.
func (p *headerProbe) WriteHeader(status int) { p.status = status }

// Write implements http.ResponseWriter.
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
