package httpapi_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"larder/internal/httpapi"
)

func TestTrustProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, tc := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"no proxy":                          {"203.0.113.9:5", nil, "203.0.113.9:5"},
		"a stranger who claims to be one":   {"203.0.113.9:5", []string{"1.2.3.4"}, "203.0.113.9:5"},
		"one proxy":                         {"127.0.0.1:5", []string{"1.2.3.4"}, "1.2.3.4:5"},
		"an address in IPv6":                {"[fd00::1]:5", []string{"2001:db8::7"}, "[2001:db8::7]:5"},
		"a mapped peer":                     {"[::ffff:10.1.1.1]:5", []string{"::ffff:1.2.3.4"}, "1.2.3.4:5"},
		"two proxies":                       {"127.0.0.1:5", []string{"1.2.3.4, 10.0.0.7"}, "1.2.3.4:5"},
		"two lines":                         {"127.0.0.1:5", []string{"1.2.3.4", "10.0.0.7"}, "1.2.3.4:5"},
		"what the client wrote before":      {"127.0.0.1:5", []string{"9.9.9.9, 10.0.0.1, 1.2.3.4"}, "1.2.3.4:5"},
		"rubbish that the client wrote":     {"127.0.0.1:5", []string{"x, 1.2.3.4"}, "1.2.3.4:5"},
		"rubbish that a proxy passed on":    {"127.0.0.1:5", []string{"1.2.3.4, unknown"}, "127.0.0.1:5"},
		"rubbish behind a proxy":            {"127.0.0.1:5", []string{"1.2.3.4, unknown, 10.0.0.7"}, "10.0.0.7:5"},
		"nothing":                           {"127.0.0.1:5", nil, "127.0.0.1:5"},
		"from the proxy's network itself":   {"127.0.0.1:5", []string{"10.0.0.7"}, "10.0.0.7:5"},
		"a peer that has no address at all": {"@", []string{"1.2.3.4"}, "@"},
	} {
		var got string
		h := httpapi.TrustProxies(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.RemoteAddr }), trusted)
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = tc.peer, tc.forwarded
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != tc.want {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
		if r.RemoteAddr != tc.peer {
			t.Errorf("%s: the caller's request was changed", name)
		}
	}
}
