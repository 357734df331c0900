package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"

	"larder/api"
)

// Metrics guards the metrics of the node: with a token they are for whoever
// shows it as Bearer, without one for this machine alone. A request that a proxy
// passed on does not come from this machine, whatever its address is.
func Metrics(metrics http.Handler, token string) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			WriteError(w, r, api.NewError(http.StatusMethodNotAllowed, api.CodeMethodNotAllowed, "Metrics can only be read"))
		case token == "" && !fromHere(r):
			WriteError(w, r, api.NewError(http.StatusForbidden, api.CodeNotFromHere,
				"Metrics are for this machine alone; set METRICS_TOKEN to read them from elsewhere"))
		case token != "" && !showsToken(r, want):
			w.Header().Set("WWW-Authenticate", `Bearer realm="metrics"`)
			WriteError(w, r, api.NewError(http.StatusUnauthorized, api.CodeTokenInvalid, "The token of METRICS_TOKEN is needed"))
		default:
			w.Header().Set("Cache-Control", "no-store")
			metrics.ServeHTTP(w, r)
		}
	})
}

// fromHere reports whether a request was made on this machine.
func fromHere(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return true
}

func showsToken(r *http.Request, want [sha256.Size]byte) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
