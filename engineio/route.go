package engineio

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// ServeHTTP implements http.Handler. Requests outside its path get a 404.
func (srv *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	srv.enter()
	defer srv.leave()
	if r.ContentLength != 0 { // what nobody reads of a body is waited for before the answer leaves (E-12)
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(srv.cfg.ReadTimeout))
	}
	if !srv.matches(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	// Before anything else, so that refusals carry the headers too (E-3).
	if srv.cfg.CORS != nil {
		srv.cors.setHeaders(w.Header(), r)
	}
	if refused := srv.checkOrigin(r); refused != nil {
		srv.refuse(w, r, refused)
		return
	}
	if r.Method == http.MethodOptions {
		if srv.cfg.CORS == nil {
			srv.refuse(w, r, refuseMethod) // C-1
			return
		}
		srv.cors.preflight(w, r) // C-3
		return
	}
	s, refused := srv.check(r)
	if refused != nil {
		srv.refuse(w, r, refused)
		return
	}
	srv.dispatch(w, r, s)
}

// matches compares the path by prefix, with or without the last slash (E-1).
func (srv *Server) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, srv.prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// checkOrigin refuses foreign origins: on both transports alike if CORS is
// configured, and on WebSocket, which browsers do not guard, always (C-4).
func (srv *Server) checkOrigin(r *http.Request) *refusal {
	if srv.cfg.CORS == nil && !wantsWebSocket(r) || srv.cors.Allows(r) {
		return nil
	}
	return forbidden(srv.cors.refusal(r), CauseOrigin)
}

// check goes through the checks in the order of E-3. It returns the session of
// the request, or nil if it opens one.
func (srv *Server) check(r *http.Request) (*Session, *refusal) {
	q := r.URL.Query()
	t := Transport(q.Get("transport"))
	upgrade := wantsWebSocket(r)
	switch {
	case t == "webtransport":
		return nil, refuseWebTransport
	case !slices.Contains(srv.cfg.Transports, t):
		return nil, refuseTransport
	case !legalHeader(r.Header.Get("Origin")):
		return nil, refuseBadRequest
	case q.Has("j"):
		return nil, refuseJSONP
	case upgrade != (t == WebSocket):
		return nil, srv.mismatch(r, q.Get("sid"))
	}
	if upgrade {
		if refused := checkHandshake(r); refused != nil {
			return nil, refused
		}
	}
	if sid := q.Get("sid"); sid != "" {
		s := srv.session(sid)
		switch {
		case s == nil:
			return nil, refuseUnknownSession
		case !upgrade && s.Transport() != t && s.isOpen():
			return nil, refuseBadRequest
		}
		return s, nil
	}
	return nil, srv.checkOpen(r)
}

// mismatch refuses a request whose transport and headers do not go together.
func (srv *Server) mismatch(r *http.Request, sid string) *refusal {
	switch {
	case sid != "" && srv.session(sid) == nil:
		return refuseUnknownSession
	case sid == "" && r.Method != http.MethodGet:
		return refuseMethod
	}
	return refuseBadRequest
}

// checkOpen judges a request for a new session.
func (srv *Server) checkOpen(r *http.Request) *refusal {
	if r.Method != http.MethodGet {
		return refuseMethod
	}
	if refused := srv.full(); refused != nil {
		return refused
	}
	if srv.cfg.Allow != nil {
		if err := srv.cfg.Allow(r); err != nil {
			return forbidden(err.Error(), CauseForbidden)
		}
	}
	switch version := r.URL.Query()["EIO"]; { // E-2
	case len(version) == 1 && version[0] == "4":
		return nil
	case len(version) == 1 && version[0] == "3":
		srv.oldClient.Do(func() { // E-60: once is enough to find it, and nobody can fill the log with it
			srv.log.InfoContext(r.Context(), "client of Socket.IO 1 or 2 refused: it needs socket.io-client 3 or later")
		})
		return refuseOldClient
	}
	return refuseProtocol
}

// legalHeader reports whether a header value has only characters that a header
// may have (E-3).
func legalHeader(v string) bool {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// dispatch serves a request that has passed the checks.
func (srv *Server) dispatch(w http.ResponseWriter, r *http.Request, s *Session) {
	upgrade := wantsWebSocket(r)
	address := ""
	if s == nil {
		address = srv.cfg.Address(r)
		if refused := srv.admit(address); refused != nil {
			srv.refuse(w, r, refused)
			return
		}
	}
	switch {
	case s == nil && upgrade:
		srv.openWebSocket(w, r, address)
	case s == nil:
		srv.openPolling(w, r, address)
	case upgrade:
		s.upgradeSession(w, r)
	case r.Method == http.MethodGet:
		s.servePoll(w, r)
	case r.Method == http.MethodPost:
		s.servePost(w, r)
	default:
		srv.refuse(w, r, refuseBadRequest) // E-32
	}
}
