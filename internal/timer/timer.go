// Package timer does what happens by itself: donations expire at their second,
// and old idempotency keys are forgotten.
//
// A time-driven change is a command of the clock, through the same path as
// everybody's: in one transaction with its records. What was due while no node
// ran is done when one starts; several nodes do no harm to each other.
package timer

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"larder/internal/command"
	"larder/internal/store"
)

const (
	// lookEvery bounds how late a donation may expire that was listed meanwhile.
	lookEvery = time.Second
	// forgetEvery is how often old idempotency keys go.
	forgetEvery = time.Hour
)

// Timer runs the clock's commands.
type Timer struct {
	store    *store.Store
	commands *command.Service
	log      *slog.Logger
}

// New returns a Timer.
func New(st *store.Store, commands *command.Service, log *slog.Logger) *Timer {
	return &Timer{store: st, commands: commands, log: log}
}

// Run works until ctx ends and returns nil then. A failure is logged and tried
// again at the next look.
func (t *Timer) Run(ctx context.Context) error {
	look := time.NewTimer(0)
	defer look.Stop()
	var forgot time.Time
	failing := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		next, err := t.expire(ctx)
		if err == nil && time.Since(forgot) >= forgetEvery {
			forgot, err = time.Now(), t.commands.ForgetKeys(ctx)
		}
		if err != nil && ctx.Err() == nil && !failing {
			t.log.Error("clock can't do its work", "err", err)
		}
		failing = err != nil
		look.Reset(max(0, min(next, lookEvery)))
	}
}

// expire writes down what is due and returns when to look again.
func (t *Timer) expire(ctx context.Context) (time.Duration, error) {
	var at time.Time
	err := t.store.View(ctx, func(tx *store.Tx) (err error) {
		at, err = tx.NextExpiry(ctx)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return lookEvery, nil
	case err != nil:
		return lookEvery, err
	}
	if wait := time.Until(at); wait > 0 {
		return wait, nil
	}
	n, err := t.commands.ExpireDue(ctx)
	if n > 0 {
		t.log.Info("donations expired", "count", n)
	}
	if err != nil {
		return lookEvery, err
	}
	return 0, nil
}
