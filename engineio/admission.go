package engineio

import (
	"net/http"
	"net/netip"
)

// full refuses new sessions while the server closes, or has little room left:
// those that are there go first (E-71).
func (srv *Server) full() *refusal {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.fullLocked()
}

func (srv *Server) fullLocked() *refusal {
	switch {
	case srv.closing:
		return refuseShutdown
	case srv.cfg.MaxSessions > 0 && srv.stats.Open+srv.opening >= srv.cfg.MaxSessions:
		return refuseOverload
	case srv.queued.Load() >= int64(srv.cfg.MaxQueued)/4*3:
		return refuseOverload
	}
	return nil
}

// admit lets a request in that opens a session, and keeps a place for it, which
// add takes or abandon gives back.
func (srv *Server) admit(address string) *refusal {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if refused := srv.fullLocked(); refused != nil {
		return refused
	}
	if srv.cfg.MaxUnaccepted > 0 && address != "" {
		if srv.unaccepted[address] >= srv.cfg.MaxUnaccepted {
			return refuseAddress // E-72
		}
		srv.unaccepted[address]++
	}
	srv.opening++
	return nil
}

// abandon gives the place back of a request that came to nothing.
func (srv *Server) abandon(address string) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.opening--
	srv.releaseLocked(address)
}

// acceptedLocked takes a session off the account of its address, once.
func (srv *Server) acceptedLocked(s *Session) {
	if s.unaccepted {
		s.unaccepted = false
		srv.releaseLocked(s.address)
	}
}

func (srv *Server) releaseLocked(address string) {
	if n := srv.unaccepted[address]; n > 1 {
		srv.unaccepted[address] = n - 1
	} else {
		delete(srv.unaccepted, address)
	}
}

// AddressOf is the default of Config.Address: that of the connection, of IPv6 its
// /64, because one host has as many addresses as it likes, but all of them in there.
func AddressOf(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // no IP: a socket of the system, or a test
	}
	ip := peer.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	return netip.PrefixFrom(ip, 64).Masked().String()
}
