// Package timer does what happens by itself: donations are announced when they
// expire soon and expire at their second, and what is old goes: idempotency keys,
// records of the log, notifications.
//
// A time-driven change is a command of the clock, through the same path as
// everybody's: in one transaction with its records. What was due while no node
// ran is done when one starts; several nodes do no harm to each other. An NGO's
// daily intake needs nothing here: the load counts from the start of the day.
//
// # A clock that jumps
//
// What is due is asked of the database each time, by the wall clock of that
// moment; only how long to wait is measured by the monotonic one, and it is never
// more than a second. So a clock that jumps ahead makes everything that is due
// then happen once, within a second; one that jumps back only makes things wait,
// because what has happened is written down and is not asked for again. A time in
// a record is what the clock said; the order is that of positions and versions.
package timer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/store"
)

const (
	// lookEvery bounds how late something is that was not known at the last look.
	lookEvery = time.Second
	// forgetEvery is how often what is old goes.
	forgetEvery = time.Hour
)

// Timer runs the clock's commands.
type Timer struct {
	store    *store.Store
	commands *command.Service
	keep     time.Duration
	log      *slog.Logger

	forgot time.Time      // when what is old went; zero: never yet
	pruned command.Pruned // so far, until all that is old has gone
}

// New returns a Timer. keep is how long records of the log are kept; 0 means for
// ever.
func New(st *store.Store, commands *command.Service, keep time.Duration, log *slog.Logger) *Timer {
	return &Timer{store: st, commands: commands, keep: keep, log: log}
}

// Run works until ctx ends and returns nil then. A failure is logged and tried
// again at the next look.
func (t *Timer) Run(ctx context.Context) error {
	look := time.NewTimer(0)
	defer look.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		wait := lookEvery
		var errs []error
		for _, work := range []func(context.Context) (time.Duration, error){t.expire, t.announce, t.forget} {
			next, err := work(ctx)
			if err != nil {
				errs, next = append(errs, err), lookEvery
			}
			wait = min(wait, next)
		}
		err := errors.Join(errs...)
		if err != nil && ctx.Err() == nil && !failing {
			t.log.Error("clock can't do its work", "err", err)
		}
		failing = err != nil
		look.Reset(max(0, wait))
	}
}

// expire writes down what is due, one transaction of it, and returns when to look
// again.
func (t *Timer) expire(ctx context.Context) (time.Duration, error) {
	wait, err := t.until(ctx, func(tx *store.Tx) (time.Time, error) { return tx.NextExpiry(ctx) })
	if err != nil || wait > 0 {
		return wait, err
	}
	n, err := t.commands.ExpireDue(ctx)
	if n > 0 {
		t.log.Info("donations expired", "count", n)
	}
	return 0, err
}

// announce does the same for donations that expire soon.
func (t *Timer) announce(ctx context.Context) (time.Duration, error) {
	wait, err := t.until(ctx, func(tx *store.Tx) (time.Time, error) {
		return tx.NextNearExpiry(ctx, time.Now(), donation.NearExpiryLead)
	})
	if err != nil || wait > 0 {
		return wait, err
	}
	n, err := t.commands.AnnounceNearExpiry(ctx)
	if n > 0 {
		t.log.Info("donations expire soon", "count", n)
	}
	return 0, err
}

// until asks the database for a moment and returns how far it is.
func (t *Timer) until(ctx context.Context, next func(tx *store.Tx) (time.Time, error)) (time.Duration, error) {
	var at time.Time
	err := t.store.View(ctx, func(tx *store.Tx) (err error) {
		at, err = next(tx)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return lookEvery, nil
	}
	return time.Until(at), err
}

// forget removes what is old, one transaction of it, when it is time to.
func (t *Timer) forget(ctx context.Context) (time.Duration, error) {
	if !t.forgot.IsZero() && time.Since(t.forgot) < forgetEvery {
		return lookEvery, nil
	}
	if t.keep > 0 {
		p, err := t.commands.PruneLog(ctx, t.keep)
		if err != nil {
			return 0, err
		}
		t.pruned.Records += p.Records
		t.pruned.Views += p.Views
		if p.More {
			return 0, nil
		}
		if t.pruned.Records+t.pruned.Views > 0 {
			t.log.Info("log pruned", "records", t.pruned.Records, "views", t.pruned.Views, "older_than", t.keep.String())
		}
		t.pruned = command.Pruned{}
	}
	n, more, err := t.commands.PruneNotifications(ctx)
	if n > 0 {
		t.log.Info("notifications pruned", "count", n, "older_than", command.NotificationLife.String())
	}
	if err != nil || more {
		return 0, err
	}
	if more, err = t.commands.ForgetKeys(ctx); err != nil || more {
		return 0, err
	}
	t.forgot = time.Now()
	return lookEvery, nil
}
