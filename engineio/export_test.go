package engineio

import "io"

// ReadFrames reads all messages and control frames of a client's stream, up to
// the first error; deliver gets each, valid during the call.
func ReadFrames(src io.Reader, ahead []byte, maxMessage int, deliver func(op byte, data []byte)) error {
	f := newFrameReader(src, ahead, maxMessage)
	for {
		op, data, err := f.next()
		if err != nil {
			return err
		}
		deliver(byte(op), data)
	}
}

// Known returns how many sessions the server knows, closed ones included.
func (srv *Server) Known() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.sessions)
}
