package engineio

import (
	"io"
	"net"
)

// ReadFrames reads all messages and control frames of a client's stream, up to
// the first error; deliver gets each, valid during the call.
func ReadFrames(src io.Reader, ahead []byte, maxMessage int, deliver func(op byte, data []byte)) error {
	return readFrames(newFrameReader(src, ahead, maxMessage), deliver)
}

// ReadDeflated is ReadFrames where permessage-deflate was agreed on.
func ReadDeflated(src io.Reader, maxMessage int, deliver func(op byte, data []byte)) error {
	f := newFrameReader(src, nil, maxMessage)
	f.deflates = true
	return readFrames(f, deliver)
}

func readFrames(f *frameReader, deliver func(op byte, data []byte)) error {
	defer f.close()
	for {
		op, data, err := f.next()
		if err != nil {
			return err
		}
		deliver(byte(op), data)
	}
}

// NegotiateDeflate returns the answer to the extensions that a client offers.
func NegotiateDeflate(lines ...string) string { return negotiateDeflate(lines) }

// HoldsBufferWaiting reports whether a reader of conn, on which nothing has
// arrived, waits with a buffer in its hands.
func HoldsBufferWaiting(conn net.Conn) (bool, error) {
	f := newFrameReader(conn, nil, 100)
	ready := false
	err := f.raw.Control(func(fd uintptr) { ready = f.tryRead(fd) })
	return ready || f.buf != nil, err
}

// Known returns how many sessions the server knows, closed ones included.
func (srv *Server) Known() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.sessions)
}

// Addresses returns of how many addresses there are sessions to be accepted.
func (srv *Server) Addresses() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.unaccepted)
}

// Requests returns how many requests are being served.
func (srv *Server) Requests() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.requests
}

// AcceptedCoding returns the name of the coding that is used for a client with
// this Accept-Encoding, or "".
func AcceptedCoding(header []string) string {
	if c := acceptedCoding(header); c != nil {
		return c.name
	}
	return ""
}

// Weight returns the q among the parameters of one item.
func Weight(params string) float64 { return weight(params) }
