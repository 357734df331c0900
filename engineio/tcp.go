package engineio

import (
	"net"
	"time"
)

// GiveUpTCP tells the operating system when to give up on the peer of a TCP
// connection, also under TLS (E-43). unacked is how long bytes that were sent may
// stay unacknowledged, or the peer may take none; without it that is a quarter
// of an hour, and more for a connection that was closed already. Only Linux has
// it. idle is after how long without a sign of the peer it is asked for one, four
// times before as much as unacked has gone by; the resolution is a second.
//
// It does nothing to other connections. What the system refuses is left as it
// is: heartbeats and write deadlines find a dead peer too, a little later.
func GiveUpTCP(conn net.Conn, idle, unacked time.Duration) {
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	const probes = 4
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Idle: max(idle, time.Second), Interval: max((unacked-idle)/probes, time.Second), Count: probes,
	})
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { setUserTimeout(fd, unacked) })
	}
}

// giveUp is GiveUpTCP for a WebSocket. A second after the ping that is due, so
// that it costs a phone no packet of its own.
func (srv *Server) giveUp(conn net.Conn) {
	GiveUpTCP(conn, srv.cfg.PingInterval+time.Second, srv.cfg.UserTimeout)
}
