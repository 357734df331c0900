package engineio

import (
	"errors"
	"fmt"
)

// Errors that Send returns.
var (
	// ErrClosed says that the session no longer takes messages.
	ErrClosed = errors.New("engineio: session closed")

	// ErrSlow says that the peer did not take what was sent to it: the queue
	// was full, and the session is now closed with [ReasonSlow].
	ErrSlow = errors.New("engineio: slow consumer")
)

// Reason is why a session closed. The texts are those of the reference
// implementation, which applications match on; "slow" and "rate limited" are ours.
type Reason string

// The reasons an Engine.IO session closes for. The two namespace disconnects
// of docs/protocol.md belong to Socket.IO.
const (
	ReasonTransportClose    Reason = "transport close"      // the peer closed it
	ReasonTransportError    Reason = "transport error"      // the connection broke
	ReasonPingTimeout       Reason = "ping timeout"         // no pong in time
	ReasonParseError        Reason = "parse error"          // the peer broke the protocol
	ReasonForcedClose       Reason = "forced close"         // the application closed it for the peer's fault
	ReasonForcedServerClose Reason = "forced server close"  // the application closed it
	ReasonShutdown          Reason = "server shutting down" // Server.Shutdown
	ReasonSlow              Reason = "slow"                 // the peer did not read what was sent
	ReasonRateLimited       Reason = "rate limited"         // the peer sent too much, and did not stop
)

// Cause is a [Reason] with the detail behind it. It is the cause of the
// session's context and what the Receiver is told.
type Cause struct {
	Reason Reason
	Err    error // detail for the log; may be nil
}

// peersFault reports whether the peer did something that it may not do, which is
// for the log of whoever runs the server. That it went away is not.
func (c Cause) peersFault() bool {
	switch c.Reason {
	case ReasonParseError, ReasonForcedClose, ReasonSlow, ReasonRateLimited:
		return true
	case ReasonTransportError:
		return errors.Is(c.Err, errTwoPolls) || errors.Is(c.Err, errTwoPosts) || errors.Is(c.Err, errBinaryBody)
	case ReasonTransportClose, ReasonPingTimeout, ReasonForcedServerClose, ReasonShutdown:
	}
	return false
}

// Error implements error.
func (c Cause) Error() string {
	if c.Err == nil {
		return string(c.Reason)
	}
	return fmt.Sprintf("%s: %v", c.Reason, c.Err)
}

// Unwrap returns the detail.
func (c Cause) Unwrap() error { return c.Err }
