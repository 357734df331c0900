package engineio

import (
	"encoding/json"
	"html"
	"net/http"
	"strconv"
	"time"
)

// Refusal is why a request was not served. Several causes share a code and a
// status.
type Refusal struct {
	Code   int    // of E-4
	Status int    // of HTTP
	Cause  string // one of the constants below, for logs and counters
}

// The causes of refusals.
const (
	CauseTransport    = "transport"        // missing, unknown or disabled (E-3)
	CauseWebTransport = "webtransport"     // a transport that we do not have (E-60)
	CauseJSONP        = "jsonp"            // old browsers, or an attempt on them (E-34)
	CauseProtocol     = "protocol_version" // EIO missing or unknown (E-2)
	CauseOldClient    = "old_client"       // EIO=3: Socket.IO 1 or 2
	CauseSession      = "session_unknown"  // closed, expired, or of another server
	CauseMethod       = "method"           // no sid and not GET
	CauseBadRequest   = "bad_request"      // anything else that breaks the protocol
	CauseOrigin       = "origin"           // not on the list (C-4)
	CauseForbidden    = "forbidden"        // Config.Allow said no
	CauseTooLarge     = "too_large"        // a body over MaxPayload (E-24)
	CauseAddress      = "address"          // too many sessions of one address are not accepted yet
	CauseOverload     = "overload"         // the budget of the server is spent
	CauseShutdown     = "shutdown"         // the server drains
)

// refusal is the answer to a request that is not served (E-4).
type refusal struct {
	status  int
	code    int
	message string
	cause   string
}

// The refusals of docs/protocol.md, E-4, and those of ours that share a code.
var (
	refuseTransport      = &refusal{http.StatusBadRequest, 0, "Transport unknown", CauseTransport}
	refuseWebTransport   = &refusal{http.StatusBadRequest, 0, "Transport unknown", CauseWebTransport} // E-60
	refuseUnknownSession = &refusal{http.StatusBadRequest, 1, "Session ID unknown", CauseSession}
	refuseMethod         = &refusal{http.StatusBadRequest, 2, "Bad handshake method", CauseMethod}
	refuseBadRequest     = &refusal{http.StatusBadRequest, 3, "Bad request", CauseBadRequest}
	refuseJSONP          = &refusal{http.StatusBadRequest, 3, "Bad request", CauseJSONP} // E-34
	refuseProtocol       = &refusal{http.StatusBadRequest, 5, "Unsupported protocol version", CauseProtocol}
	refuseOldClient      = &refusal{http.StatusBadRequest, 5, "Unsupported protocol version", CauseOldClient}

	refuseVersion  = &refusal{http.StatusUpgradeRequired, 3, "Bad request", CauseBadRequest}         // RFC 6455, 4.4
	refuseTooLarge = &refusal{http.StatusRequestEntityTooLarge, 3, "Body is too big", CauseTooLarge} // E-24
	refuseShutdown = &refusal{http.StatusServiceUnavailable, 3, "Server is shutting down", CauseShutdown}
	refuseOverload = &refusal{http.StatusServiceUnavailable, 3, "Server is full", CauseOverload}             // E-71
	refuseAddress  = &refusal{http.StatusTooManyRequests, 3, "Too many sessions being opened", CauseAddress} // E-72
)

// forbidden is code 4, with the text for the client.
func forbidden(message, cause string) *refusal {
	if message == "" {
		message = "Forbidden"
	}
	return &refusal{http.StatusForbidden, 4, message, cause}
}

// refuse answers a request with a refusal. It runs before any 101 (E-5).
func (srv *Server) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	srv.countRefusal(why)
	srv.log.DebugContext(r.Context(), "request refused", "code", why.code, "status", why.status,
		"cause", why.cause, "message", why.message)
	h := w.Header()
	status := why.status
	switch status {
	case http.StatusUpgradeRequired:
		h.Set("Sec-WebSocket-Version", "13")
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", "1")
	}
	var body []byte
	if wantsWebSocket(r) {
		body = []byte(html.EscapeString(why.message))
		h.Set("Content-Type", "text/html") // E-5
		h.Set("Connection", "close")
		if status == http.StatusForbidden {
			status = http.StatusBadRequest // E-5
		}
	} else {
		body = refusalBody(why)
		h.Set("Content-Type", "application/json")
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	// A client that asks and asks and reads nothing is not waited for (E-12).
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(srv.cfg.WriteTimeout))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func refusalBody(why *refusal) []byte {
	body, err := json.Marshal(struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{why.code, why.message})
	if err != nil {
		panic("engineio: bug: " + err.Error()) // a number and a string always encode
	}
	return body
}
