package engineio

import (
	"math"
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT, which package syscall does not name. It is
// the same on all architectures.
const tcpUserTimeout = 0x12

func setUserTimeout(fd uintptr, d time.Duration) {
	ms := min(d.Milliseconds(), math.MaxInt32)
	_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(ms))
}
