package engineio

import (
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// Transport is the name of a transport, as it stands in the query.
type Transport string

// The transports of this server.
const (
	Polling   Transport = "polling"
	WebSocket Transport = "websocket"
)

// Config is what a [Server] is made from. Zero fields take the defaults named
// here.
type Config struct {
	Path           string        // "/socket.io/"; with or without the last slash (E-1)
	PingInterval   time.Duration // 25 s between a pong and the next ping (E-55)
	PingTimeout    time.Duration // 20 s for the pong (E-55)
	UpgradeTimeout time.Duration // 10 s from the WebSocket to its upgrade packet (E-47)
	WriteTimeout   time.Duration // 10 s for each flush to a peer (E-43)
	ReadTimeout    time.Duration // 10 s for the body of one POST (E-12)
	UserTimeout    time.Duration // PingInterval + PingTimeout without a TCP acknowledgement, on WebSockets (E-43)
	MaxPayload     int           // 1,000,000 bytes in one POST body or WebSocket message (E-24, E-39)

	// QueueBytes, QueueMessages and QueueAge bound what waits for one session:
	// 256 KiB, 4,096 messages, and 10 s for the oldest of them. A batch that finds
	// the queue empty is always taken, and so is one larger than QueueBytes that
	// finds nothing above the bounds; it does not count against what follows it.
	// What happens when there is no room: E-70.
	//
	// The age is looked at when a message is sent and when a ping is due. A
	// client that polls has as long as the pong of a ping may take, if that is
	// longer: until then nobody knows whether it comes back for its poll. On
	// WebSocket WriteTimeout bounds each write beside it.
	QueueBytes    int
	QueueMessages int
	QueueAge      time.Duration

	// MaxQueued bounds what waits for all peers together who are behind: 256 MiB.
	// From three quarters on new sessions are refused; when it is full, one that
	// already has something waiting and is sent more is slow (E-71).
	MaxQueued int

	// MaxSessions bounds the open sessions: none. More are refused (E-71).
	MaxSessions int

	// MaxUnaccepted bounds the sessions of one address for which
	// [Session.Accept] has not been called: none. More are refused (E-72). A
	// whole city may come through one address after a restart, so it has to be
	// large; the time that the application gives a client to say who it is then
	// bounds what strangers can hold.
	MaxUnaccepted int

	// Address says whose address a request counts for; "" is nobody's, and not
	// limited. Nil: the IP of the connection, of IPv6 the /64. Behind a proxy that
	// is the proxy: set it, and trust only headers that the proxy sets.
	Address func(r *http.Request) string

	Transports []Transport // both

	// Compression is for WebSockets. Nil: none. Bodies of polls are compressed
	// whenever the client accepts it (E-22).
	Compression *Compression

	// CORS decides which origins may connect. Nil: no CORS headers (C-1), and
	// WebSockets only from the own origin or without an Origin header (C-4).
	CORS *CORS

	// Allow, if set, may refuse a new session. The text of its error is shown
	// to the client (E-4, code 4).
	Allow func(r *http.Request) error

	Observer Observer // nil: nobody is told

	Logger *slog.Logger // nil: nothing is logged
}

// withDefaults returns the configuration with the zero fields filled in.
func (c Config) withDefaults() Config {
	c.Path = cmp.Or(c.Path, "/socket.io/")
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.PingTimeout = cmp.Or(c.PingTimeout, 20*time.Second)
	c.UpgradeTimeout = cmp.Or(c.UpgradeTimeout, 10*time.Second)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 10*time.Second)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 10*time.Second)
	c.UserTimeout = cmp.Or(c.UserTimeout, c.PingInterval+c.PingTimeout)
	c.MaxPayload = cmp.Or(c.MaxPayload, 1_000_000)
	c.QueueBytes = cmp.Or(c.QueueBytes, 256<<10)
	c.QueueMessages = cmp.Or(c.QueueMessages, 4096)
	c.QueueAge = cmp.Or(c.QueueAge, 10*time.Second)
	c.MaxQueued = cmp.Or(c.MaxQueued, 256<<20)
	if c.Address == nil {
		c.Address = AddressOf
	}
	if c.Compression != nil {
		c.Compression = &Compression{
			Threshold: cmp.Or(c.Compression.Threshold, compressFrom),
			Level:     cmp.Or(c.Compression.Level, flate.BestSpeed),
		}
	}
	if len(c.Transports) == 0 {
		c.Transports = []Transport{Polling, WebSocket}
	}
	if c.Observer == nil {
		c.Observer = Unobserved{}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// validate reports everything that is wrong at once.
func (c Config) validate() error {
	var errs []error
	if !strings.HasPrefix(c.Path, "/") {
		errs = append(errs, fmt.Errorf("path %q does not start with a slash", c.Path))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"PingInterval", c.PingInterval},
		{"PingTimeout", c.PingTimeout},
		{"UpgradeTimeout", c.UpgradeTimeout},
		{"WriteTimeout", c.WriteTimeout},
		{"ReadTimeout", c.ReadTimeout},
		{"QueueAge", c.QueueAge},
		{"UserTimeout", c.UserTimeout},
	} {
		if d.value < time.Millisecond {
			errs = append(errs, fmt.Errorf("%s %v is less than a millisecond", d.name, d.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"MaxPayload", c.MaxPayload},
		{"QueueBytes", c.QueueBytes},
		{"QueueMessages", c.QueueMessages},
		{"MaxQueued", c.MaxQueued},
		{"MaxSessions", c.MaxSessions},
		{"MaxUnaccepted", c.MaxUnaccepted},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s %d is negative", n.name, n.value))
		}
	}
	if z := c.Compression; z != nil && z.Threshold < 0 {
		errs = append(errs, fmt.Errorf("Compression.Threshold %d is negative", z.Threshold))
	}
	if z := c.Compression; z != nil && (z.Level < flate.HuffmanOnly || z.Level > flate.BestCompression) {
		errs = append(errs, fmt.Errorf("Compression.Level %d is unknown", z.Level))
	}
	for _, t := range c.Transports {
		if t != Polling && t != WebSocket {
			errs = append(errs, fmt.Errorf("unknown transport %q", t))
		}
	}
	if c.CORS != nil {
		errs = append(errs, c.CORS.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("engineio: configuration: %w", err)
	}
	return nil
}
