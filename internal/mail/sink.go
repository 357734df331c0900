package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"larder/internal/eventlog"
	"larder/internal/store"
)

// sinkName is that of the sink's row in the database.
const sinkName = "mail"

const (
	// lookEvery bounds how long a mail waits for a node that has nothing to do.
	lookEvery = 3 * time.Second
	// readLimit bounds one read of the log.
	readLimit = 256
	// keepEvery is how often a place is written down behind which no mail was found.
	keepEvery = 10 * time.Minute
	// maxWaiting bounds the mails that wait. Beyond it the sink stays where it is in
	// the log until there is room.
	maxWaiting = 10_000
	// maxTries is when a mail is given up: after about six hours.
	maxTries = 12
	// firstWait is how long a mail waits after its first try; each further wait is
	// twice as long, up to maxWait.
	firstWait = time.Minute
	maxWait   = time.Hour
	// maxPause bounds how long a node leaves a mail server alone that fails again and
	// again.
	maxPause = 30 * time.Second
)

// Results are what can come of a mail, or of a try to send it.
const (
	Sent    = "sent"
	Logged  = "logged"   // there is no mail server
	Failed  = "failed"   // will be tried again
	GivenUp = "given_up" // was tried too often, or the recipient was refused for good
	Void    = "void"     // nobody to be told any more
)

// Settings say how mails are sent and what they say of the board.
type Settings struct {
	Server Server
	URL    string         // where people find the board; empty: not said
	Zone   *time.Location // of times in texts
	// Count is called with what came of each mail and try; nil: nobody counts.
	Count func(result string)
}

// Sink sends mails because of what the log says. It is run by one goroutine.
type Sink struct {
	store  *store.Store
	server Server
	board  board
	count  func(string)
	log    *slog.Logger

	epoch    string    // the life of the log
	at       int64     // everything up to here was read
	kept     int64     // the place in the database, at or before at
	keptAt   time.Time // when it was last written
	full     bool      // too many wait: said so
	failures int       // of the server, one after another
	pause    time.Time // until then the server is left alone
}

// New returns a Sink.
func New(st *store.Store, s Settings, log *slog.Logger) *Sink {
	if s.Count == nil {
		s.Count = func(string) {}
	}
	if s.Zone == nil {
		s.Zone = time.UTC
	}
	return &Sink{store: st, server: s.Server, board: board{s.URL, s.Zone}, count: s.Count, log: log}
}

// Start finds the place in the log after which to read: where the sink was left, or
// the head when it has never been in this life of the log. Then mails that wait are
// from before a backup, and are forgotten. It is called once, before Run.
func (s *Sink) Start(ctx context.Context) error {
	err := s.store.Update(ctx, func(tx *store.Tx) error {
		pos, err := tx.Sink(ctx, sinkName)
		if errors.Is(err, store.ErrNotFound) {
			if pos, err = tx.Head(ctx); err == nil {
				err = errors.Join(tx.ForgetMails(ctx), tx.StartSink(ctx, sinkName, pos.Seq))
			}
		}
		s.epoch, s.at, s.kept = pos.Epoch, pos.Seq, pos.Seq
		return err
	})
	s.keptAt = time.Now()
	return err
}

// Run works until ctx ends and returns nil then. A failure is logged and tried again.
func (s *Sink) Run(ctx context.Context) error {
	look := time.NewTimer(0)
	defer look.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		read, err := s.read(ctx)
		tried, err2 := s.try(ctx)
		err = errors.Join(err, err2)
		if err != nil && ctx.Err() == nil && !failing {
			s.log.Error("mails can't be looked after", "err", err)
		}
		failing = err != nil
		wait := lookEvery
		if left := time.Until(s.pause); left > 0 {
			wait = min(wait, left)
		}
		if (read || tried) && err == nil {
			wait = 0
		}
		look.Reset(wait)
	}
}

// read takes up what is new in the log, one read of it. more says that there may be
// more.
func (s *Sink) read(ctx context.Context) (more bool, err error) {
	var recs []eventlog.Record
	var tail eventlog.Position
	err = s.store.View(ctx, func(tx *store.Tx) error {
		if tail, err = tx.Tail(ctx); err == nil {
			recs, err = tx.Since(ctx, max(s.at, tail.Seq), readLimit)
		}
		return err
	})
	if err != nil {
		return false, err
	}
	if tail.Seq > s.at {
		s.log.Warn("records went before they were read for mails", "up_to", tail.Seq-s.at)
		s.at = tail.Seq
	}
	last := s.at
	if len(recs) > 0 {
		last = recs[len(recs)-1].Position.Seq
	}
	mails := mailsOf(recs, time.Now())
	if len(mails) == 0 && (last == s.kept || last-s.kept < readLimit && time.Since(s.keptAt) < keepEvery) {
		s.at = last
		return false, nil
	}
	taken, err := s.takeUp(ctx, last, mails)
	return taken && len(recs) == readLimit, err
}

var errFull = errors.New("mail: too many wait")

// takeUp moves the sink on and adds the mails, in one transaction: that of one node
// succeeds, another one reads again from where that node got to.
func (s *Sink) takeUp(ctx context.Context, to int64, mails []store.Mail) (taken bool, err error) {
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if len(mails) > 0 {
			n, err := tx.CountMails(ctx)
			if err != nil {
				return err
			}
			if n+len(mails) > maxWaiting {
				return errFull
			}
		}
		if err := tx.AdvanceSink(ctx, sinkName, s.kept, to); err != nil {
			return err
		}
		return tx.InsertMails(ctx, mails...)
	})
	switch {
	case errors.Is(err, store.ErrConflict):
		return true, s.store.View(ctx, func(tx *store.Tx) error {
			pos, err := tx.Sink(ctx, sinkName)
			if err == nil {
				s.at, s.kept, s.keptAt = pos.Seq, pos.Seq, time.Now()
			}
			return err
		})
	case errors.Is(err, errFull):
		if !s.full {
			s.log.Warn("too many mails wait; more are taken up when there is room", "limit", maxWaiting)
		}
		s.full = true
		return false, nil
	case err != nil:
		return false, err
	}
	s.at, s.kept, s.keptAt, s.full = to, to, time.Now(), false
	return true, nil
}

// try tries the mail whose turn it is, if there is one.
func (s *Sink) try(ctx context.Context) (tried bool, err error) {
	if time.Now().Before(s.pause) {
		return false, nil
	}
	m, msg, err := s.next(ctx)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil
	case errors.Is(err, errNobody):
		return true, s.end(ctx, m, Void, slog.LevelDebug, "nobody to send a mail to")
	case err != nil:
		return false, err
	case m.Tries > maxTries: // the node that had the last try did not live to say so
		return true, s.end(ctx, m, GivenUp, slog.LevelWarn, "mail given up", "account", msg.to.ID)
	case s.server.Host == "":
		return true, s.end(ctx, m, Logged, slog.LevelInfo, "mail not sent, as there is no mail server",
			"account", msg.to.ID, "subject", msg.subject)
	}
	id := fmt.Sprintf("%s.%d", eventlog.Position{Epoch: s.epoch, Seq: m.Seq}, m.Part)
	err = s.server.send(ctx, msg, id)
	if err == nil {
		s.failures = 0
		return true, s.end(ctx, m, Sent, slog.LevelInfo, "mail sent", "account", msg.to.ID, "tries", m.Tries)
	}
	if ctx.Err() != nil { // stopping: it will be tried again
		return true, nil
	}
	if f, ok := errors.AsType[*failure](err); m.Tries >= maxTries || ok && f.final {
		return true, s.end(ctx, m, GivenUp, slog.LevelWarn, "mail given up", "account", msg.to.ID, "tries", m.Tries, "err", err)
	}
	s.failures++
	s.pause = time.Now().Add(min(time.Duration(s.failures)*time.Second, maxPause))
	s.count(Failed)
	s.log.Warn("mail not sent", "kind", m.Kind, "account", msg.to.ID, "tries", m.Tries, "err", err)
	return true, nil
}

// next notes that the mail whose turn it is is tried now, and writes it. No other
// node tries it before it is due again.
func (s *Sink) next(ctx context.Context) (m store.Mail, msg message, err error) {
	now := time.Now()
	find := func(tx *store.Tx) error {
		m, err = tx.NextMail(ctx, now)
		return err
	}
	if err := s.store.View(ctx, find); err != nil { // most of the time there is none
		return m, msg, err
	}
	err = s.store.Update(ctx, func(tx *store.Tx) error {
		if err := find(tx); err != nil {
			return err
		}
		return tx.TryMail(ctx, m, now.Add(waitAfter(m.Tries+1)))
	})
	if err != nil {
		return m, msg, err
	}
	m.Tries++
	err = s.store.View(ctx, func(tx *store.Tx) error {
		msg, err = s.board.write(ctx, tx, m, now)
		return err
	})
	return m, msg, err
}

// waitAfter is how long a mail waits after a try.
func waitAfter(tries int) time.Duration {
	wait := firstWait
	for range tries - 1 {
		wait = min(2*wait, maxWait)
	}
	return wait
}

// end removes a mail of which nothing more will come, even when the node is being
// stopped.
func (s *Sink) end(ctx context.Context, m store.Mail, result string, level slog.Level, text string, args ...any) error {
	ctx = context.WithoutCancel(ctx)
	s.count(result)
	s.log.Log(ctx, level, text, append([]any{"kind", m.Kind, "about", m.About}, args...)...)
	return s.store.Update(ctx, func(tx *store.Tx) error { return tx.DeleteMail(ctx, m) })
}
