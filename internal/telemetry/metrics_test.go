package telemetry_test

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/telemetry"
	"larder/socketio"
)

// scrape returns the lines about Larder's own metrics that have a value.
func scrape(t *testing.T, m *telemetry.Metrics) map[string]string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	lines := map[string]string{}
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSpace(line)
		if i := strings.LastIndexByte(line, ' '); strings.HasPrefix(line, "larder_") {
			lines[line[:i]] = line[i+1:]
		}
	}
	return lines
}

func TestMetrics(t *testing.T) {
	m := telemetry.NewMetrics("/", "/donations")
	m.Gauge("queue_bytes", "What waits.", func() float64 { return 42 })
	var o socketio.Observer = m
	o.SessionOpened(engineio.Polling)
	o.SessionOpened(engineio.Polling)
	o.SessionOpened(engineio.WebSocket)
	o.UpgradeEnded(true)
	o.UpgradeEnded(false)
	o.SessionClosed(engineio.WebSocket, engineio.ReasonSlow)
	o.Refused(engineio.Refusal{Code: 5, Status: 400, Cause: engineio.CauseOldClient})
	o.Received(engineio.Polling, 2, 10)
	o.Sent(engineio.WebSocket, 3, 30)
	o.Ponged(20 * time.Millisecond)
	o.Waited(2 * time.Second)
	o.Merged(4)
	o.Dropped(5)
	o.QueueOverflowed(7, 300_000)
	o.SocketJoined("/donations")
	o.SocketJoined("/donations")
	o.SocketLeft("/donations", engineio.ReasonTransportClose)
	o.ConnectRefused("")
	o.ConnectRefused("/made/up/by/a/client")
	o.Recovered("/", "recovered", 11)
	o.Recovered("/", "window", 0)
	o.Acked("/", time.Second)
	o.AckMissed("/")
	o.RateLimited("user")
	got := scrape(t, m)
	for line, want := range map[string]string{
		`larder_sessions{transport="polling"}`:                                       "1",
		`larder_sessions{transport="websocket"}`:                                     "1",
		`larder_sessions_opened_total{transport="polling"}`:                          "2",
		`larder_sessions_closed_total{reason="slow",transport="websocket"}`:          "1",
		`larder_requests_refused_total{cause="old_client",code="5",status="400"}`:    "1",
		`larder_upgrades_total{result="done"}`:                                       "1",
		`larder_upgrades_total{result="failed"}`:                                     "1",
		`larder_packets_received_total{transport="polling"}`:                         "2",
		`larder_packets_received_total{transport="websocket"}`:                       "0",
		`larder_received_bytes_total{transport="polling"}`:                           "10",
		`larder_packets_sent_total{transport="websocket"}`:                           "3",
		`larder_sent_bytes_total{transport="websocket"}`:                             "30",
		`larder_ping_round_trip_seconds_sum`:                                         "0.02",
		`larder_queue_age_seconds_bucket{le="1"}`:                                    "0",
		`larder_queue_age_seconds_bucket{le="2.5"}`:                                  "1",
		`larder_queue_merged_total`:                                                  "4",
		`larder_queue_dropped_total`:                                                 "5",
		`larder_queue_overflows_total`:                                               "1",
		`larder_queue_overflow_bytes_sum`:                                            "300000",
		`larder_sockets{namespace="/donations"}`:                                     "1",
		`larder_sockets_left_total{namespace="/donations",reason="transport close"}`: "1",
		`larder_connects_refused_total{namespace="other"}`:                           "2",
		`larder_recoveries_total{namespace="/",result="recovered"}`:                  "1",
		`larder_recoveries_total{namespace="/",result="window"}`:                     "1",
		`larder_replayed_events_total`:                                               "11",
		`larder_ack_seconds_count`:                                                   "1",
		`larder_acks_missed_total`:                                                   "1",
		`larder_rate_limited_total{scope="user"}`:                                    "1",
		`larder_queue_bytes`:                                                         "42",
	} {
		if value := got[line]; value != want {
			t.Errorf("%s: got %q, want %s", line, value, want)
		}
	}
}

// Whatever the server can tell has a counter: a method that is only inherited
// would count nothing.
func TestMetricsHearEverything(t *testing.T) {
	hears := reflect.TypeFor[*telemetry.Metrics]()
	for method := range reflect.TypeFor[socketio.Observer]().Methods() {
		name := method.Name
		if _, ok := hears.MethodByName(name); !ok {
			t.Errorf("no counter for %s", name)
		}
	}
	for field := range hears.Elem().Fields() {
		if field.Anonymous {
			t.Errorf("embeds %s", field.Name)
		}
	}
}
