package socketio

import (
	"time"

	"larder/engineio"
)

// Observer is told what a [Server] does, for counters. It hears what happens to
// connections too. Its methods are called from any goroutine, and with locks
// held: they must be quick and must not call back. Embed [Unobserved] to hear
// of some things only. Namespaces are called by their names, but all children
// of parents "*", since clients choose their names.
type Observer interface {
	engineio.Observer

	// SocketJoined and SocketLeft tell of each socket that got its CONNECT
	// answer, and of its end.
	SocketJoined(namespace string)
	SocketLeft(namespace string, reason engineio.Reason)

	// ConnectRefused tells of each CONNECT that was refused. The namespace is
	// empty if there is none of that name, for clients can make up many, or if
	// nobody looked because the packet was over a limit.
	ConnectRefused(namespace string)

	// Recovered tells how a client fared that came back with a pid: result is
	// "recovered", or why not. Replayed is how many events it was sent.
	Recovered(namespace, result string, replayed int)

	// Acked tells how long a client took for an ack that the server asked for,
	// AckMissed that it did not come: in time, before the caller gave up, or
	// before the socket was gone.
	Acked(namespace string, after time.Duration)
	AckMissed(namespace string)

	// RateLimited tells of each packet over a limit: scope is "socket", "user"
	// or "address". S-60
	RateLimited(scope string)
}

// Unobserved is an [Observer] that nobody listens to.
type Unobserved struct{ engineio.Unobserved }

// The methods of [Observer] that engineio's has not, which do nothing.
func (Unobserved) SocketJoined(string)                {}
func (Unobserved) SocketLeft(string, engineio.Reason) {}
func (Unobserved) ConnectRefused(string)              {}
func (Unobserved) Recovered(string, string, int)      {}
func (Unobserved) Acked(string, time.Duration)        {}
func (Unobserved) AckMissed(string)                   {}
func (Unobserved) RateLimited(string)                 {}
