package telemetry

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"larder/engineio"
	"larder/socketio"
)

// Metrics are the counters of a node, in the form of Prometheus. It hears what
// the Socket.IO server does as its observer. Names begin with larder_ and end
// with their unit; every label has few values, whatever clients send.
type Metrics struct {
	registry   *prometheus.Registry
	namespaces []string // that get a label of their own

	sessions       *prometheus.GaugeVec
	opened, closed *prometheus.CounterVec
	refused        *prometheus.CounterVec
	upgrades       *prometheus.CounterVec

	packetsIn, bytesIn   byTransport
	packetsOut, bytesOut byTransport

	roundTrip, waited     prometheus.Histogram
	merged, dropped       prometheus.Counter
	overflows             prometheus.Counter
	overflowBytes         prometheus.Histogram
	sockets               *prometheus.GaugeVec
	left, connectsRefused *prometheus.CounterVec
	recoveries            *prometheus.CounterVec
	replayed              prometheus.Counter
	acks                  prometheus.Histogram
	acksMissed            prometheus.Counter
	limited               *prometheus.CounterVec
	mails                 *prometheus.CounterVec
}

var _ socketio.Observer = (*Metrics)(nil)

// byTransport is one counter for each transport, found without a look-up: these
// count every packet.
type byTransport struct{ polling, websocket prometheus.Counter }

func (c byTransport) of(t engineio.Transport) prometheus.Counter {
	if t == engineio.WebSocket {
		return c.websocket
	}
	return c.polling
}

// Seconds in which things on the wire happen.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 45}

// NewMetrics returns counters at zero. Namespaces are those that the server
// has; what happens in any other is counted as "other", since clients can make
// up names.
func NewMetrics(namespaces ...string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), namespaces: namespaces}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	m.sessions = m.gauges("sessions", "Engine.IO sessions open now.", "transport")
	m.opened = m.counters("sessions_opened_total", "Engine.IO sessions, by the transport they began on.", "transport")
	m.closed = m.counters("sessions_closed_total", "Engine.IO sessions that ended, by transport and reason.", "transport", "reason")
	m.refused = m.counters("requests_refused_total", "Requests that the engine did not serve, by code, HTTP status and cause.", "code", "status", "cause")
	m.upgrades = m.counters("upgrades_total", "Upgrades from polling to WebSocket.", "result")
	m.packetsIn = m.perTransport("packets_received_total", "Engine.IO packets from clients, heartbeats included.")
	m.bytesIn = m.perTransport("received_bytes_total", "Bytes of those packets.")
	m.packetsOut = m.perTransport("packets_sent_total", "Engine.IO packets to clients, heartbeats included.")
	m.bytesOut = m.perTransport("sent_bytes_total", "Bytes of those packets, before compression.")
	m.roundTrip = m.histogram("ping_round_trip_seconds", "From a ping to its pong.", seconds)
	m.waited = m.histogram("queue_age_seconds", "How long the oldest message had waited for a client that was behind.", seconds)
	m.merged = m.counter("queue_merged_total", "Messages that a newer one with the same key replaced in a full queue.")
	m.dropped = m.counter("queue_dropped_total", "Volatile messages dropped from a full queue.")
	m.overflows = m.counter("queue_overflows_total", "Sessions cut because their queue was full.")
	m.overflowBytes = m.histogram("queue_overflow_bytes", "What was queued for a session that was cut.", prometheus.ExponentialBuckets(1<<10, 4, 8))
	m.sockets = m.gauges("sockets", "Sockets joined to a namespace now.", "namespace")
	m.left = m.counters("sockets_left_total", "Sockets that left a namespace, by reason.", "namespace", "reason")
	m.connectsRefused = m.counters("connects_refused_total", "CONNECT packets that were refused.", "namespace")
	m.recoveries = m.counters("recoveries_total", "Clients that came back with a pid, by how they fared.", "namespace", "result")
	m.replayed = m.counter("replayed_events_total", "Events sent again to clients that came back.")
	m.acks = m.histogram("ack_seconds", "How long clients took for an ack.", seconds)
	m.acksMissed = m.counter("acks_missed_total", "Acks that did not come.")
	m.limited = m.counters("rate_limited_total", "Packets over a rate limit, by whose limit it was.", "scope")
	m.mails = m.counters("mails_total", "Mails and tries to send them, by what came of them.", "result")
	return m
}

const prefix = "larder_"

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: prefix + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: prefix + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	return m.counters(name, help).WithLabelValues()
}

func (m *Metrics) perTransport(name, help string) byTransport {
	v := m.counters(name, help, "transport")
	return byTransport{
		polling:   v.WithLabelValues(string(engineio.Polling)),
		websocket: v.WithLabelValues(string(engineio.WebSocket)),
	}
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: prefix + name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// Gauge adds a value that is read when somebody asks for the metrics.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, read))
}

// Mail counts what came of a mail or of a try to send it.
func (m *Metrics) Mail(result string) { m.mails.WithLabelValues(result).Inc() }

// Handler serves the metrics in the format that the request asks for.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// SessionOpened implements [socketio.Observer], as do the methods that follow.
func (m *Metrics) SessionOpened(t engineio.Transport) {
	m.sessions.WithLabelValues(string(t)).Inc()
	m.opened.WithLabelValues(string(t)).Inc()
}

func (m *Metrics) SessionClosed(t engineio.Transport, reason engineio.Reason) {
	m.sessions.WithLabelValues(string(t)).Dec()
	m.closed.WithLabelValues(string(t), string(reason)).Inc()
}

func (m *Metrics) Refused(why engineio.Refusal) {
	m.refused.WithLabelValues(strconv.Itoa(why.Code), strconv.Itoa(why.Status), why.Cause).Inc()
}

func (m *Metrics) UpgradeEnded(ok bool) {
	if !ok {
		m.upgrades.WithLabelValues("failed").Inc()
		return
	}
	m.upgrades.WithLabelValues("done").Inc()
	m.sessions.WithLabelValues(string(engineio.Polling)).Dec()
	m.sessions.WithLabelValues(string(engineio.WebSocket)).Inc()
}

func (m *Metrics) Received(t engineio.Transport, packets, bytes int) {
	m.packetsIn.of(t).Add(float64(packets))
	m.bytesIn.of(t).Add(float64(bytes))
}

func (m *Metrics) Sent(t engineio.Transport, packets, bytes int) {
	m.packetsOut.of(t).Add(float64(packets))
	m.bytesOut.of(t).Add(float64(bytes))
}

func (m *Metrics) Ponged(roundTrip time.Duration) { m.roundTrip.Observe(roundTrip.Seconds()) }
func (m *Metrics) Waited(age time.Duration)       { m.waited.Observe(age.Seconds()) }
func (m *Metrics) Merged(messages int)            { m.merged.Add(float64(messages)) }
func (m *Metrics) Dropped(messages int)           { m.dropped.Add(float64(messages)) }

func (m *Metrics) QueueOverflowed(_, bytes int) {
	m.overflows.Inc()
	m.overflowBytes.Observe(float64(bytes))
}

func (m *Metrics) SocketJoined(namespace string) {
	m.sockets.WithLabelValues(m.label(namespace)).Inc()
}

func (m *Metrics) SocketLeft(namespace string, reason engineio.Reason) {
	m.sockets.WithLabelValues(m.label(namespace)).Dec()
	m.left.WithLabelValues(m.label(namespace), string(reason)).Inc()
}

func (m *Metrics) ConnectRefused(namespace string) {
	m.connectsRefused.WithLabelValues(m.label(namespace)).Inc()
}

func (m *Metrics) Recovered(namespace, result string, replayed int) {
	m.recoveries.WithLabelValues(m.label(namespace), result).Inc()
	m.replayed.Add(float64(replayed))
}

func (m *Metrics) Acked(_ string, after time.Duration) { m.acks.Observe(after.Seconds()) }
func (m *Metrics) AckMissed(string)                    { m.acksMissed.Inc() }
func (m *Metrics) RateLimited(scope string)            { m.limited.WithLabelValues(scope).Inc() }

// label is what a namespace is called in a label.
func (m *Metrics) label(namespace string) string {
	if slices.Contains(m.namespaces, namespace) {
		return namespace
	}
	return "other"
}
