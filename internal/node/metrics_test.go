package node_test

import (
	"net/http"
	"strings"
	"testing"

	"larder/internal/account"
	"larder/internal/config"
	"larder/internal/testkit"
)

// What the server does is counted and can be read on this machine.
func TestMetrics(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	u := n.User(account.Donor)
	s, _ := n.Watch(u)
	defer s.Abort()
	r, err := n.Try(t.Context(), testkit.Call{Method: "GET", Path: "/socket.io/?EIO=3&transport=polling"})
	if err != nil || r.Status != 400 {
		t.Fatalf("got %s, %v", r, err)
	}
	r, err = n.Try(t.Context(), testkit.Call{Method: "GET", Path: "/metrics"})
	if err != nil || r.Status != 200 {
		t.Fatalf("got %s, %v", r, err)
	}
	for _, want := range []string{
		`larder_sessions{transport="websocket"} 1`,
		`larder_sockets{namespace="/donations"} 1`,
		`larder_requests_refused_total{cause="old_client",code="5",status="400"} 1`,
		`larder_packets_sent_total{transport="websocket"} `,
		`larder_queue_bytes 0`, `larder_commands_waiting 0`, `larder_narrowed_clients 0`,
		`go_goroutines `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(string(r.Body), want) {
			t.Errorf("no line %q", want)
		}
	}
}

func TestMetricsAreNotForEverybody(t *testing.T) {
	const token = "the token of the metrics"
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	for _, c := range []struct {
		name, token string
		header      http.Header
		method      string
		status      int
	}{
		{"from this machine", "", nil, "GET", 200},
		{"through a proxy", "", http.Header{"X-Forwarded-For": {"127.0.0.1"}}, "GET", 403},
		{"with the token", token, bearer, "GET", 200},
		{"with the token, through a proxy", token, http.Header{"Authorization": {"bearer " + token}, "Forwarded": {"for=1.2.3.4"}}, "GET", 200},
		{"without the token", token, nil, "GET", 401},
		{"with another", token, http.Header{"Authorization": {"Bearer x" + token}}, "GET", 401},
		{"with another scheme", token, http.Header{"Authorization": {"Basic " + token}}, "GET", 401},
		{"written", "", nil, "POST", 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := testkit.Start(t, testkit.Options{Config: func(cfg *config.Config) { cfg.MetricsToken = c.token }})
			r, err := n.Try(t.Context(), testkit.Call{Method: c.method, Path: "/metrics", Header: c.header})
			if err != nil || r.Status != c.status {
				t.Errorf("got %s, %v, want %d", r, err, c.status)
			}
			if c.status == 403 && !strings.Contains(string(r.Body), `"code":"not_from_here"`) {
				t.Errorf("got %s", r)
			}
			if shown := strings.Contains(string(r.Body), "go_goroutines"); shown != (c.status == 200) {
				t.Errorf("metrics shown: %t", shown)
			}
		})
	}
}
