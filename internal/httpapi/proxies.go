package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// TrustProxies gives a request that came through proxies the address of its client,
// by which logins, registrations, uploads and connections are limited. What
// X-Forwarded-For says is believed as far as trusted proxies have said it: from its
// right end up to the first address that is none of theirs. Whoever else sends that
// header keeps his own address.
func TrustProxies(next http.Handler, trusted []netip.Prefix) http.Handler {
	if len(trusted) == 0 {
		return next
	}
	isProxy := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && isProxy(peer.Addr().Unmap()) {
			client := peer.Addr().Unmap()
			hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
			for _, hop := range slices.Backward(hops) {
				a, err := netip.ParseAddr(strings.TrimSpace(hop))
				if err != nil { // nobody's address: the proxy before it is all that is known
					break
				}
				client = a.Unmap().WithZone("")
				if !isProxy(client) {
					break
				}
			}
			r = r.WithContext(r.Context()) // a copy
			r.RemoteAddr = netip.AddrPortFrom(client, peer.Port()).String()
		}
		next.ServeHTTP(w, r)
	})
}
