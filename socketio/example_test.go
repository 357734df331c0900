package socketio_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http/httptest"
	"strings"

	"github.com/coder/websocket"

	"larder/engineio"
	"larder/socketio"
)

// A chat: what one says, all others hear.
func Example_chat() {
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	chat := srv.Of("/")
	socketio.On(chat, "say", func(_ context.Context, s *socketio.Socket, text string) (bool, error) {
		line, err := json.Marshal(text)
		if err != nil {
			return false, err
		}
		said, err := socketio.NewEvent("said", line)
		if err != nil {
			return false, err
		}
		chat.EmitExcept(said, []string{s.ID()})
		return true, nil
	})

	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(context.Background())
	ann, bob := dial(web.URL), dial(web.URL)
	defer ann.close()
	defer bob.close()
	ann.say(`0`)
	bob.say(`0`)
	fmt.Println("ann:", ann.hear())
	fmt.Println("bob:", bob.hear())
	ann.say(`21["say","soup for six"]`)
	fmt.Println("bob:", bob.hear())
	fmt.Println("ann:", ann.hear())
	// Output:
	// ann: 0{"sid":"…"}
	// bob: 0{"sid":"…"}
	// bob: 2["said","soup for six"]
	// ann: 31[true]
}

// A middleware that knows its users. What it refuses with, the client finds in
// its connect_error; what it finds out, handlers find in Data.
func ExampleNamespace_Use() {
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	board := srv.Of("/donations")
	board.Use(func(_ context.Context, s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
			return err
		}
		if auth.Token != "secret of ann" {
			return &socketio.Refusal{Message: "sign in first", Data: map[string]string{"code": "token_invalid"}}
		}
		s.SetData("ann")
		return nil
	})
	socketio.On(board, "whoami", func(_ context.Context, s *socketio.Socket, _ any) (any, error) {
		return s.Data(), nil
	})

	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(context.Background())
	client := dial(web.URL)
	defer client.close()
	client.say(`0/donations,{"token":"?"}`)
	fmt.Println(client.hear())
	client.say(`0/donations,{"token":"secret of ann"}`)
	fmt.Println(client.hear())
	client.say(`2/donations,1["whoami"]`)
	fmt.Println(client.hear())
	// Output:
	// 4/donations,{"message":"sign in first","data":{"code":"token_invalid"}}
	// 0/donations,{"sid":"…"}
	// 3/donations,1["ann"]
}

// Rooms say who hears what: an event goes to the union of the rooms it is sent
// to, once to each socket. Rooms that a middleware joins have no gap: the client
// gets all that is sent to them after its CONNECT answer.
func ExampleNamespace_Emit() {
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	board := srv.Of("/")
	board.Use(func(_ context.Context, s *socketio.Socket) error {
		s.Join(strings.Fields(s.Handshake().Query().Get("rooms"))...)
		return nil
	})

	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(context.Background())
	ngo := dial(web.URL + "/socket.io/?rooms=ngo+berlin")
	donor := dial(web.URL + "/socket.io/?rooms=donor")
	for _, client := range []*exampleClient{ngo, donor} {
		defer client.close()
		client.say(`0`)
		client.hear()
	}
	created, err := socketio.NewEvent("donation.created", json.RawMessage(`{"name":"bread"}`))
	if err != nil {
		log.Fatal(err)
	}
	bye, err := socketio.NewEvent("bye")
	if err != nil {
		log.Fatal(err)
	}
	board.Emit(created, "ngo", "berlin")
	board.Emit(bye)
	fmt.Println("ngo:  ", ngo.hear())
	fmt.Println("ngo:  ", ngo.hear())
	fmt.Println("donor:", donor.hear())
	// Output:
	// ngo:   2["donation.created",{"name":"bread"}]
	// ngo:   2["bye"]
	// donor: 2["bye"]
}

// A client goes away, misses two events, comes back and gets them. What it says
// here, the stock client says by itself.
func ExampleNamespace_Recover() {
	memory, err := socketio.NewMemoryRecovery(socketio.MemoryConfig{})
	if err != nil {
		log.Fatal(err)
	}
	srv, err := socketio.NewServer(socketio.Config{})
	if err != nil {
		log.Fatal(err)
	}
	board := srv.Of("/")
	board.Recover(memory)
	left := make(chan bool, 1)
	board.OnConnect(func(_ context.Context, s *socketio.Socket) {
		s.Join("news")
		if err := s.Emit(mustEvent("welcome")); err != nil {
			log.Print(err)
		}
	})
	board.OnDisconnect(func(*socketio.Socket, engineio.Reason) { left <- true })

	web := httptest.NewServer(srv)
	defer web.Close()
	defer srv.Shutdown(context.Background())
	client := dial(web.URL)
	client.say(`0`)
	var session struct{ PID, Offset string }
	if err := json.Unmarshal([]byte(client.hear()[1:]), &session); err != nil {
		log.Fatal(err)
	}
	listen := func() { // and remember the offset, which is the last argument
		heard := client.hear()
		name, offset, _ := strings.Cut(strings.Trim(heard[1:], "[]"), ",")
		session.Offset = strings.Trim(offset, `"`)
		fmt.Println(name)
	}
	listen()
	listen()
	client.close()
	<-left

	board.Emit(mustEvent("bread"), "news")
	board.Emit(mustEvent("soup"), "news")

	client = dial(web.URL)
	defer client.close()
	auth, err := json.Marshal(map[string]string{"pid": session.PID, "offset": session.Offset})
	if err != nil {
		log.Fatal(err)
	}
	client.say(`0` + string(auth))
	client.hear()
	fmt.Println("back")
	for range 4 {
		listen()
	}
	// Output:
	// "recovery.ready"
	// "welcome"
	// back
	// "bread"
	// "soup"
	// "recovery.ready"
	// "welcome"
}

// The codec stands alone.
func ExampleParsePacket() {
	p, err := socketio.ParsePacket([]byte(`2/donations,012["claim",{"id":7}]`))
	fmt.Println(p.Type, p.Namespace, p.ID, string(p.Data), err)
	fmt.Println(string(socketio.AppendPacket(nil, p)))
	_, err = socketio.ParsePacket([]byte(`2["disconnect"]`))
	fmt.Println(err)
	// Output:
	// EVENT /donations 12 ["claim",{"id":7}] <nil>
	// 2/donations,12["claim",{"id":7}]
	// socketio: malformed packet: reserved event name
}

// An exampleClient writes packets down as they are on the wire.
type exampleClient struct{ ws *websocket.Conn }

func dial(url string) *exampleClient {
	if !strings.Contains(url, "?") {
		url += "/socket.io/?"
	}
	ws, _, err := websocket.Dial(context.Background(), url+"&EIO=4&transport=websocket", nil)
	if err != nil {
		log.Fatal(err)
	}
	c := &exampleClient{ws}
	c.hear() // the open packet
	return c
}

func (c *exampleClient) say(packet string) {
	if err := c.ws.Write(context.Background(), websocket.MessageText, []byte("4"+packet)); err != nil {
		log.Fatal(err)
	}
}

func (c *exampleClient) hear() string {
	_, text, err := c.ws.Read(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	return sidPattern.ReplaceAllString(string(text[1:]), `"sid":"…"`)
}

func (c *exampleClient) close() { _ = c.ws.CloseNow() }
