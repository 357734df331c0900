package engineio

import (
	"encoding/json"
	"html"
	"net/http"
	"strconv"
)

// refusal is the answer to a request that is not served (E-4).
type refusal struct {
	status  int
	code    int
	message string
}

// The refusals of docs/protocol.md, E-4, and those of ours that share a code.
var (
	refuseTransport      = &refusal{http.StatusBadRequest, 0, "Transport unknown"}
	refuseUnknownSession = &refusal{http.StatusBadRequest, 1, "Session ID unknown"}
	refuseMethod         = &refusal{http.StatusBadRequest, 2, "Bad handshake method"}
	refuseBadRequest     = &refusal{http.StatusBadRequest, 3, "Bad request"}
	refuseProtocol       = &refusal{http.StatusBadRequest, 5, "Unsupported protocol version"}

	refuseVersion  = &refusal{http.StatusUpgradeRequired, 3, "Bad request"}           // RFC 6455, 4.4
	refuseTooLarge = &refusal{http.StatusRequestEntityTooLarge, 3, "Body is too big"} // E-24
	refuseShutdown = &refusal{http.StatusServiceUnavailable, 3, "Server is shutting down"}
)

// forbidden is code 4, with the text for the client.
func forbidden(message string) *refusal {
	if message == "" {
		message = "Forbidden"
	}
	return &refusal{http.StatusForbidden, 4, message}
}

// refuse answers a request with a refusal. It runs before any 101 (E-5).
func (srv *Server) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	srv.countRefusal(why)
	srv.log.DebugContext(r.Context(), "request refused", "code", why.code, "status", why.status,
		"message", why.message)
	h := w.Header()
	status := why.status
	switch status {
	case http.StatusUpgradeRequired:
		h.Set("Sec-WebSocket-Version", "13")
	case http.StatusServiceUnavailable:
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
