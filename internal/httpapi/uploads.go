package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"larder/api"
	"larder/internal/auth"
)

// Limits of uploads (P-54). Honest use stays below, from behind a proxy too, where all have
// one address; nobody alone can keep others out, or fill the disk soon.
const (
	uploadWindow      = 5 * time.Minute
	uploadsPerAccount = 40 // begun within the window
	uploadsPerAddress = 600
	strangerWindow    = time.Hour
	strangersUploads  = 30 // of one address, by who has no account yet

	openPerAccount = 3 // at once
	openPerAddress = 8
	openUploads    = 16 // of all together: each holds one file
	waitingUploads = 64 // for their turn, having sent nothing yet
	uploadPatience = 10 * time.Second

	// A body comes in at least at this pace, in bytes a second, after a start, and
	// never stops for longer than the start.
	leastPace = 64 << 10
	paceStart = 10 * time.Second
)

// uploads bounds the uploads that are under way.
type uploads struct {
	accounts, addresses *auth.Limit
	strangers           *auth.Limit // by address
	slots, waiting      chan struct{}

	mu   sync.Mutex // guards open
	open map[string]int
}

func newUploads() *uploads {
	return &uploads{
		accounts: auth.NewLimit(uploadsPerAccount, uploadWindow), addresses: auth.NewLimit(uploadsPerAddress, uploadWindow),
		strangers: auth.NewLimit(strangersUploads, strangerWindow),
		slots:     make(chan struct{}, openUploads), waiting: make(chan struct{}, waitingUploads), open: map[string]int{},
	}
}

// begin lets an upload of an account (empty: nobody's) and an address begin, when it
// is its turn. end is called when its files have been taken in.
func (u *uploads) begin(ctx context.Context, accountID, address string) (end func(), err error) {
	now := time.Now()
	whose := map[string]int{"address " + address: openPerAddress}
	limit, key := u.strangers, address
	if accountID != "" {
		limit, key, whose["account "+accountID] = u.accounts, accountID, openPerAccount
	}
	if err := limit.Allow(key, now); err != nil {
		return nil, err
	}
	if err := u.addresses.Allow(address, now); err != nil {
		return nil, err
	}
	if !u.enter(whose) {
		return nil, &auth.RateError{RetryAfter: paceStart}
	}
	if err := u.turn(ctx); err != nil {
		u.leave(whose)
		return nil, err
	}
	return func() {
		<-u.slots
		u.leave(whose)
	}, nil
}

// enter counts one more for each of whose, unless one has as many as it may.
func (u *uploads) enter(whose map[string]int) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key, most := range whose {
		if u.open[key] >= most {
			return false
		}
	}
	for key := range whose {
		u.open[key]++
	}
	return true
}

func (u *uploads) leave(whose map[string]int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range whose {
		if u.open[key]--; u.open[key] == 0 {
			delete(u.open, key)
		}
	}
}

func (u *uploads) turn(ctx context.Context) error {
	select {
	case u.slots <- struct{}{}:
		return nil
	default:
	}
	busy := api.NewError(http.StatusServiceUnavailable, api.CodeUnavailable, "Too many uploads at once, try again")
	select {
	case u.waiting <- struct{}{}:
		defer func() { <-u.waiting }()
	default:
		return busy
	}
	patience := time.NewTimer(uploadPatience)
	defer patience.Stop()
	select {
	case u.slots <- struct{}{}:
		return nil
	case <-patience.C:
		return busy
	case <-ctx.Done():
		return ctx.Err()
	}
}

// paced reads a body under deadlines that a slow honest client meets. Time in which
// nobody reads does not count.
type paced struct {
	r           io.Reader
	setDeadline func(time.Time) error
	read        int64
	spent       time.Duration
}

// Read implements io.Reader. A body that is too slow is os.ErrDeadlineExceeded.
func (p *paced) Read(b []byte) (int, error) {
	left := paceStart + time.Duration(p.read)*time.Second/leastPace - p.spent
	now := time.Now()
	_ = p.setDeadline(now.Add(min(left, paceStart))) // an error: there is no connection
	n, err := p.r.Read(b)
	p.read, p.spent = p.read+int64(n), p.spent+time.Since(now)
	return n, err
}
