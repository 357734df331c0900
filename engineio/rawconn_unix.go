//go:build unix

package engineio

import (
	"io"
	"net"
	"syscall"
)

// rawOf returns the descriptor under a connection, or nil if what is written
// to the connection and what goes over the descriptor are not the same bytes,
// as with TLS.
func rawOf(conn net.Conn) syscall.RawConn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// readReady reads what is there. ready is false if nothing is yet.
func readReady(fd uintptr, b []byte) (n int, ready bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return 0, false, nil
		case err != nil:
			return 0, true, err
		case n == 0:
			return 0, true, io.EOF
		}
		return n, true, nil
	}
}

// writeReady writes as much as the descriptor takes without waiting.
func writeReady(fd uintptr, b []byte) (n int, err error) {
	for n < len(b) {
		k, err := syscall.Write(int(fd), b[n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			return n, nil
		case err != nil:
			return n, err
		}
		n += k
	}
	return n, nil
}
