//go:build !unix

package engineio

import (
	"net"
	"syscall"
)

// rawOf returns nil: connections are read and written through net alone.
func rawOf(net.Conn) syscall.RawConn { return nil }

func readReady(uintptr, []byte) (n int, ready bool, err error) { panic("engineio: bug: no descriptor") }

func writeReady(uintptr, []byte) (n int, err error) { panic("engineio: bug: no descriptor") }
