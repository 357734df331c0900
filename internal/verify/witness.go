package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"larder/api"
)

// Doors are the names of all doors, in the order in which clients are spread over
// them: those that most clients use come more than once.
var doorWheel = []string{
	DoorSocketIO, DoorPlain, DoorSSE, DoorNarrowed, DoorWatch,
	DoorSocketIO, DoorPlain, DoorPolling, DoorNarrowed, DoorREST,
}

// Names of the doors.
const (
	DoorSocketIO = "socketio" // Socket.IO over WebSocket, coming back as the stock client does
	DoorPolling  = "polling"  // the same over long-polling
	DoorNarrowed = "narrowed" // Socket.IO with feed.subscribe
	DoorWatch    = "watch"    // the Go client
	DoorPlain    = "plain"    // plain WebSocket with after
	DoorSSE      = "sse"      // GET /events with Last-Event-ID
	DoorREST     = "rest"     // GET /events?after= again and again
)

// Doors are the names of all doors.
func Doors() []string {
	return []string{DoorSocketIO, DoorPolling, DoorNarrowed, DoorWatch, DoorPlain, DoorSSE, DoorREST}
}

const (
	firstPause   = 100 * time.Millisecond // before coming back, doubled up to longestPause
	longestPause = 2 * time.Second
	goodAfter    = 2 * time.Second  // a connection that lived so long was no failure
	openTimeout  = 10 * time.Second // from dialling to the first answer
	quiet        = 60 * time.Second // without a sign of life a connection is given up
	maxMessage   = 16 << 20
)

// site is the server as witnesses and writers see it: through the proxy.
type site struct {
	base *url.URL
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
	http *http.Client // without a time limit
}

func newSite(base *url.URL, through string) *site {
	var d net.Dialer
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if through != "" {
			addr = through
		}
		return d.DialContext(ctx, network, addr)
	}
	return &site{base: base, dial: dial, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, MaxIdleConnsPerHost: 256, IdleConnTimeout: 90 * time.Second, ResponseHeaderTimeout: quiet,
		DisableCompression: true,
	}}}
}

func (s *site) url(scheme, path string, query url.Values) string {
	u := s.base.JoinPath(path)
	if scheme == "ws" {
		u.Scheme = map[string]string{"http": "ws", "https": "wss"}[u.Scheme]
	}
	u.RawQuery = query.Encode()
	return u.String()
}

// witness is one client: it comes back whenever its connection ends, as its door
// allows.
type witness struct {
	Testimony
	site  *site
	book  *ledger
	tally *tally
	token string
	fresh string // another token, which it has shown
	start string // position at which the run began

	began  bool
	lostAt time.Time // zero: connected
	pid    string    // Socket.IO: what the stock client keeps
	offset string
	subscription
	steps []step // what it will do, over Socket.IO
	heard int    // events

	mu     sync.Mutex // guards the fields below
	last   string     // everything up to here was heard
	latest string     // position of the last event
}

// session is one connection of a door, from dialling to its end. It returns why it
// ended.
type session func(ctx context.Context, w *witness) error

func sessionOf(door string) session {
	switch door {
	case DoorSocketIO, DoorNarrowed:
		return overWebSocket
	case DoorPolling:
		return overPolling
	case DoorPlain:
		return plain
	case DoorSSE:
		return serverSent
	case DoorREST:
		return rest
	}
	return nil
}

// run connects again and again until ctx ends.
func (w *witness) run(ctx context.Context) {
	if w.Door == DoorWatch {
		w.watch(ctx)
		return
	}
	connect := sessionOf(w.Door)
	pause := firstPause
	for ctx.Err() == nil {
		from := time.Now()
		err := connect(ctx, w)
		if ctx.Err() != nil {
			return
		}
		w.lost(err)
		if time.Since(from) > goodAfter {
			pause = firstPause
		}
		_ = sleep(ctx, pause/2+rand.N(pause))
		pause = min(pause*2, longestPause)
	}
}

func (w *witness) lost(err error) {
	if w.lostAt.IsZero() {
		w.lostAt = time.Now()
	}
	var no *refusedError
	switch {
	case !errors.As(err, &no):
	case no.code == api.CodeAccountSuspended:
		w.Notes = append(w.Notes, Note{Kind: NoteSuspended})
	case !no.retry:
		w.fault("was not let in: %v", err)
	}
	w.tally.ended(w.Door, err)
}

// refusedError is a server that answered and did not let the client in.
type refusedError struct {
	status  int
	code    api.Code
	message string
	retry   bool
}

func (e *refusedError) Error() string { return fmt.Sprintf("%d %s: %s", e.status, e.code, e.message) }

// refusal reads the answer to a request that was refused.
func refusal(status int, body []byte) error {
	e := &refusedError{status: status, message: fmt.Sprintf("%.200q", body), retry: status >= 500 || status == http.StatusTooManyRequests}
	var a api.Error
	if json.Unmarshal(body, &a) == nil && a.Code != "" {
		e.code, e.message = a.Code, a.Message.String()
	}
	return e
}

// query asks for the part of the feed that the witness wants to hear (P-37).
func (w *witness) query() url.Values {
	q := url.Values{}
	if w.View == nil {
		return q
	}
	if w.View.RadiusKm > 0 {
		for name, v := range map[string]float64{"lat": w.View.Lat, "lng": w.View.Lng, "radiusKm": w.View.RadiusKm} {
			q.Set(name, strconv.FormatFloat(v, 'f', -1, 64))
		}
	}
	if len(w.View.Statuses) > 0 {
		q.Set("statuses", strings.Join(w.View.Statuses, ","))
	}
	if len(w.View.FoodTypes) > 0 {
		q.Set("foodTypes", strings.Join(w.View.FoodTypes, ","))
	}
	return q
}

func (w *witness) fault(format string, args ...any) {
	w.Notes = append(w.Notes, Note{Kind: NoteFault, Reason: fmt.Sprintf(format, args...)})
}

func (w *witness) position() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last
}

func (w *witness) lastHeard() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.latest
}

func (w *witness) reach(position string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = position
}

// begin notes where a witness starts to hear, the first time.
func (w *witness) begin(position string) {
	w.began = true
	w.Notes = append(w.Notes, Note{Kind: NoteBegan, Position: position})
	w.reach(position)
	w.ready("began")
}

// resumed notes that nothing will be missing.
func (w *witness) resumed(how string) { w.ready(how) }

// gap notes that the server can't tell what was missed.
func (w *witness) gap(position, reason string) {
	if reason == "" {
		reason = "none given"
	}
	w.Notes = append(w.Notes, Note{Kind: NoteGap, Position: position, Reason: reason})
	w.reach(position)
	w.ready("gap: " + reason)
}

func (w *witness) ready(how string) {
	var away time.Duration
	if !w.lostAt.IsZero() {
		away = time.Since(w.lostAt)
	}
	w.lostAt = time.Time{}
	w.tally.ready(w.Door, how, away)
}

// enter notes what feed.ready says to a client that resumes by position. snapshot
// is taken after a gap.
func (w *witness) enter(ctx context.Context, r api.FeedReady) error {
	switch {
	case r.Position == "":
		return errors.New("feed.ready has no position")
	case !w.began:
		w.begin(r.Position)
	case r.Recovered:
		w.resumed("resumed")
	default:
		w.gap(r.Position, r.Reason)
		return w.snapshot(ctx, r.Position)
	}
	return nil
}

// hear writes an event down. What has no position is a signal.
func (w *witness) hear(name string, data []byte) error {
	id, position, err := w.book.note(name, data)
	if err != nil {
		w.fault("heard what can't be read: %v", err)
		return err
	}
	if position == "" || position <= w.known {
		return nil
	}
	if !w.began {
		w.fault("heard %s before it was told where it begins", name)
		return errors.New("event before feed.ready")
	}
	w.saw(id)
	w.mu.Lock()
	w.last, w.latest = position, position
	w.mu.Unlock()
	w.tally.heard(w.Door)
	w.heard++
	return nil
}

// snapshot takes the board as it is now.
func (w *witness) snapshot(ctx context.Context, position string) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	var all []api.Donation
	q := url.Values{"status": {"AVAILABLE,CLAIMED,PICKED_UP"}}
	for {
		var page []api.Donation
		h, err := w.get(ctx, "/donations", q, &page)
		if err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
		all = append(all, page...)
		next := nextPage(h)
		if next == "" {
			break
		}
		q.Set("after", next)
	}
	w.Notes = append(w.Notes, Note{Kind: NoteSnapshot, Position: position, Items: itemsOf(all)})
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
