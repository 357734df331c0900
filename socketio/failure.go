package socketio

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The errors of this package, beside those of [engineio.Session.Send], which
// come through unchanged.
var (
	// ErrArgument is what a typed handler, or a typed wait for an ack, fails
	// with when the client's argument does not decode.
	ErrArgument = errors.New("socketio: argument does not decode")

	// ErrPanic is what a handler fails with that panicked. The log has the rest.
	ErrPanic = errors.New("socketio: handler panicked")

	// ErrNotConnected says that the socket has not joined yet or has left.
	ErrNotConnected = errors.New("socketio: socket is not connected")

	// ErrAckTimeout says that an ack did not come within the deadline of the
	// context, or Config.AckTimeout if it has none.
	ErrAckTimeout = errors.New("socketio: no ack in time")

	// ErrTooManyAcks says that the socket owes Config.MaxAcks acks already.
	ErrTooManyAcks = errors.New("socketio: too many outstanding acks")

	// ErrDropped says that a volatile event was not sent, because it could
	// not have left at once. S-42
	ErrDropped = errors.New("socketio: volatile event dropped")

	// ErrRateLimited is matched by every [RateError]. S-60
	ErrRateLimited = errors.New("socketio: rate limited")

	// ErrTooManyRooms says that the socket is in Config.MaxRooms rooms already.
	ErrTooManyRooms = errors.New("socketio: too many rooms")

	// ErrInHandler says that a handler wanted to wait for an ack of its own
	// connection, whose reader it occupies.
	ErrInHandler = errors.New("socketio: ack awaited inside a handler of the same connection")

	// ErrProtocol is matched by the errors that close a connection for a
	// well-formed packet that was not allowed at its time.
	ErrProtocol = errors.New("socketio: protocol violation")
)

// What closes a connection, beside violations of the protocol.
var (
	errNotJoined   = errors.New("socketio: no namespace joined in time")              // S-1
	errAttachments = errors.New("socketio: attachments missing for too long")         // S-33
	errBacklog     = errors.New("socketio: too much waits behind the CONNECT answer") // S-53
	errRefusals    = errors.New("socketio: CONNECT was refused too often in a row")   // S-61
)

func violation(why string) error { return fmt.Errorf("%w: %s", ErrProtocol, why) }

// A Refusal is the error by which a middleware tells a client why it may not
// join. The client gets both in its connect_error. S-6
type Refusal struct {
	Message string
	Data    any // marshalled to JSON; nil leaves it out
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message }

// The messages of refusals that are not the application's.
const (
	messageNoNamespace = "Invalid namespace" // S-5: to the letter
	messageTooMany     = "Too many namespaces"
	messageLargeAuth   = "Handshake too large"
	messageRate        = "Too many requests"
	messageInternal    = "Internal error"
)

// A Failure is a handler that did not succeed. Err is what it returned, or
// matches ErrArgument or ErrPanic, or is a [*RateError] if the handler was not
// called at all. Failures of the first kind may hold internal detail that is not
// for clients.
type Failure struct {
	Event string
	Args  Args
	Err   error
}

// refusalData returns the payload of CONNECT_ERROR. S-6
func refusalData(r *Refusal) (json.RawMessage, error) {
	body := struct {
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data,omitempty"`
	}{Message: r.Message}
	var err error
	if r.Data != nil {
		body.Data, err = marshal(r.Data)
	}
	data, errBody := marshal(body)
	return data, errors.Join(err, errBody)
}
