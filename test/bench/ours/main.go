// Ours is Larder's Socket.IO server as it comes, with the namespace "/".
package main

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
	"time"

	"larder/socketio"
	"larder/test/bench/control"
	"larder/test/bench/event"
)

func main() {
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	board := srv.Of("/")
	log.Fatal(control.Run(
		func(l net.Listener) error { return http.Serve(l, srv) },
		func(at time.Duration) {
			ev, err := socketio.NewEvent(event.Name, json.RawMessage(event.JSON(at)))
			if err != nil {
				log.Fatal(err)
			}
			board.Emit(ev)
		},
	))
}
