package engineio_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"larder/engineio"
)

// echo sends back what it gets.
type echo struct{ session *engineio.Session }

func (e echo) Receive(text []byte) error { return e.session.Send(engineio.NewMessage(text)) }

func (e echo) ReceiveBinary(data []byte) error {
	return e.session.Send(engineio.NewBinaryMessage(data))
}

func (e echo) Closed(cause engineio.Cause) { fmt.Println("closed:", cause.Reason) }

// An echo server, and a client that polls.
func Example() {
	engine, err := engineio.NewServer(engineio.Config{}, func(s *engineio.Session) engineio.Receiver {
		return echo{s}
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", engine)
	server := httptest.NewServer(mux)
	defer server.Close()

	url := server.URL + "/socket.io/?EIO=4&transport=polling"
	open := body(http.Get(url))
	_, sid, _ := strings.Cut(open, `"sid":"`)
	sid, _, _ = strings.Cut(sid, `"`)
	url += "&sid=" + sid

	fmt.Println(body(http.Post(url, "text/plain", strings.NewReader("4hello"))))
	fmt.Println(body(http.Get(url)))
	body(http.Post(url, "text/plain", strings.NewReader("1")))

	if err := engine.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output:
	// ok
	// 4hello
	// closed: transport close
}

func body(resp *http.Response, err error) string {
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	return string(data)
}
