package engineio

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// maxLoggedOrigins bounds how many refused origins are remembered and
	// logged: anybody can make origins up.
	maxLoggedOrigins = 100

	// maxShownOrigin bounds what is repeated of a refused origin.
	maxShownOrigin = 200
)

// CORS decides which web origins may talk to the application. One value serves
// the polling transport, WebSocket upgrades (C-4) and, through Handler, every
// other route. It must not be copied or changed after first use.
//
// Allowed are: requests without an Origin header, which no page of another
// site can make a browser send across sites with an effect that CORS guards
// against; the origin whose host is the request's own Host; and the list.
// Allowed origins may send credentials.
type CORS struct {
	// Origins are the exact origins allowed besides the own one, such as
	// "https://app.example.org". Scheme and host are compared without regard
	// to case; slashes at the end and default ports are ignored.
	Origins []string

	// Setting is what the operator has to change when an origin is missing,
	// such as "FRONTEND_URL". Refusals and logs name it (C-5).
	Setting string

	Logger *slog.Logger // nil: nothing is logged

	once    sync.Once
	allowed map[string]bool
	refused atomic.Uint64

	mu     sync.Mutex
	logged map[string]bool
}

// Validate reports the entries of Origins that no browser would ever send.
func (c *CORS) Validate() error {
	var errs []error
	for _, o := range c.Origins {
		u, err := url.Parse(strings.TrimRight(strings.TrimSpace(o), "/"))
		if err != nil || u.Scheme == "" || u.Host == "" || *u != (url.URL{Scheme: u.Scheme, Host: u.Host}) {
			errs = append(errs, fmt.Errorf("%s: %q is not an origin like https://app.example.org",
				cmp.Or(c.Setting, "CORS.Origins"), o))
		}
	}
	return errors.Join(errs...)
}

// Allows reports whether the origin of r may talk to the application.
func (c *CORS) Allows(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	c.once.Do(func() {
		c.allowed = make(map[string]bool, len(c.Origins))
		for _, o := range c.Origins {
			c.allowed[normalOrigin(o)] = true
		}
	})
	origin = normalOrigin(origin)
	if c.allowed[origin] {
		return true
	}
	scheme, host, ok := strings.Cut(origin, "://")
	// Behind a proxy that ends TLS the scheme of the request is not known.
	return ok && (scheme == "http" || scheme == "https") &&
		host == trimDefaultPort(scheme, strings.ToLower(r.Host))
}

// normalOrigin brings an origin into the form in which it is compared.
func normalOrigin(o string) string {
	o = strings.ToLower(strings.TrimRight(strings.TrimSpace(o), "/"))
	scheme, host, ok := strings.Cut(o, "://")
	if !ok {
		return o
	}
	return scheme + "://" + trimDefaultPort(scheme, host)
}

func trimDefaultPort(scheme, host string) string {
	switch scheme {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

// Refused returns how many requests were refused for their origin (C-5).
func (c *CORS) Refused() uint64 { return c.refused.Load() }

// Handler answers preflights, sets the CORS headers, and refuses origins that
// are not allowed with 403 and a JSON body that names the setting to change.
func (c *CORS) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.setHeaders(w.Header(), r)
		switch {
		case !c.Allows(r):
			c.refuse(w, r)
		case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
			c.preflight(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// setHeaders sets the headers of any answer. Without Access-Control-Allow-Origin
// a browser keeps the answer from the page.
func (c *CORS) setHeaders(h http.Header, r *http.Request) {
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !c.Allows(r) {
		return
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Access-Control-Expose-Headers", "X-Request-Id, Link, Retry-After")
}

// preflight answers an OPTIONS request of an allowed origin (C-3).
func (c *CORS) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", "GET,HEAD,PUT,PATCH,POST,DELETE")
	h.Add("Vary", "Access-Control-Request-Headers")
	if asked := r.Header.Get("Access-Control-Request-Headers"); asked != "" {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Set("Access-Control-Max-Age", "600")
	h.Set("Content-Length", "0")
	w.WriteHeader(http.StatusNoContent)
}

func (c *CORS) refuse(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(struct {
		StatusCode int    `json:"statusCode"`
		Error      string `json:"error"`
		Message    string `json:"message"`
		Code       string `json:"code"`
	}{http.StatusForbidden, http.StatusText(http.StatusForbidden), c.refusal(r), "origin_not_allowed"})
	if err != nil {
		panic("engineio: bug: " + err.Error()) // a number and strings always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = w.Write(body)
}

// refusal counts and logs a refused origin, and returns what to say about it
// (C-5).
func (c *CORS) refusal(r *http.Request) string {
	c.refused.Add(1)
	origin := r.Header.Get("Origin")
	if len(origin) > maxShownOrigin {
		origin = strings.ToValidUTF8(origin[:maxShownOrigin], "")
	}
	c.logRefusal(r, origin)
	if c.Setting == "" {
		return fmt.Sprintf("Origin %s is not allowed", origin)
	}
	return fmt.Sprintf("Origin %s is not allowed; add it to %s", origin, c.Setting)
}

// logRefusal logs an origin the first time that it is refused, until there are
// too many: then somebody is making them up, and only the counter goes on.
func (c *CORS) logRefusal(r *http.Request, origin string) {
	if c.Logger == nil {
		return
	}
	c.mu.Lock()
	known := c.logged[origin] || len(c.logged) >= maxLoggedOrigins
	if !known {
		if c.logged == nil {
			c.logged = make(map[string]bool)
		}
		c.logged[origin] = true
	}
	last := len(c.logged) >= maxLoggedOrigins
	c.mu.Unlock()
	if known {
		return
	}
	c.Logger.WarnContext(r.Context(), "origin refused", "origin", origin, "setting", c.Setting,
		"host", r.Host, "last_one_logged", last)
}
