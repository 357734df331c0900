package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
)

// Who shows a token while the server goes away is refused at every door, be it on a
// new connection or on one that waits for its turn: P-17.
func TestNobodyIsLetInWhileTheServerGoesAway(t *testing.T) {
	const strangers = 60 // three turns
	bubble(t, func(t *testing.T, n *testkit.Node) {
		u := n.User(account.Donor)
		token, err := json.Marshal(map[string]string{"token": u.Token})
		if err != nil {
			t.Fatal(err)
		}
		var texts [2][strangers]chan string // what each hears, at each door
		var say [2][strangers]func(string) error
		listen := func(door, i int, read func() (string, error), write func(string) error) {
			heard := make(chan string, 10)
			texts[door][i], say[door][i] = heard, write
			go func() {
				defer close(heard)
				for text, err := read(); err == nil; text, err = read() {
					heard <- text
				}
			}()
		}
		for i := range strangers {
			p := n.Plain("", nil)
			listen(0, i, p.ReadText, p.Text)
			s, err := n.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.Abort)
			listen(1, i, s.Text, s.Packet)
		}
		synctest.Wait()
		n.Stopping()
		synctest.Wait() // the first turn is over, the second is not yet
		for door, hello := range []string{`{"event":"auth","data":` + string(token) + `}`, "0/donations," + string(token)} {
			waiting := 0
			for i, heard := range texts[door] {
				select {
				case <-heard: // its turn was the first
					continue
				default:
				}
				if waiting++; waiting > 1 {
					continue
				}
				if err := say[door][i](hello); err != nil {
					t.Fatal(err)
				}
				if text := <-heard; !strings.Contains(text, `"code":"draining"`) {
					t.Errorf("door %d: heard %s", door, text)
				}
			}
			if waiting == 0 {
				t.Errorf("door %d: all had their turn at once", door)
			}
		}
		wantRefused(t, n, n.Plain("", testkit.Bearer(u.Token)), api.CodeDraining, 1012)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL()+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = testkit.Bearer(u.Token)
		req.Header.Set("Accept", "text/event-stream")
		res, err := n.HTTP.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var body api.Error
		if err := json.NewDecoder(res.Body).Decode(&body); err != nil || res.StatusCode != 503 || body.Code != api.CodeDraining {
			t.Errorf("event stream: got %s %+v, %v", res.Status, body, err)
		}
		_ = res.Body.Close()
	})
}
