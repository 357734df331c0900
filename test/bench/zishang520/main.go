// Zishang520 is the Socket.IO server github.com/zishang520/socket.io as it
// comes.
package main

import (
	"log"
	"net"
	"net/http"
	"time"

	"github.com/zishang520/socket.io/servers/socket/v3"

	"larder/test/bench/control"
	"larder/test/bench/event"
)

func main() {
	io := socket.NewServer(nil, nil)
	log.Fatal(control.Run(
		func(l net.Listener) error { return http.Serve(l, io.ServeHandler(nil)) },
		func(at time.Duration) { io.Emit(event.Name, event.Donation(at)) },
	))
}
