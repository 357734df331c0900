package verify

import (
	"context"
	"fmt"
	"time"
)

// Suspension is a time in which an account of the run was suspended.
type Suspension struct {
	Account string
	After   string            // position of the log soon after it was answered
	Heard   map[string]string // by witness: the last event that it had heard when the time was over
}

// suspended is how long an account stays so.
const suspended = 1500 * time.Millisecond

// suspendSome suspends the bystanders, one after the other, until disturbed ends. ctx
// is for taking the last suspension back.
func (r *run) suspendSome(ctx, disturbed context.Context) error {
	n := time.Duration(len(r.crew.bystanders))
	pause := max(0, (r.For-n*suspended)/(n+1))
	for _, p := range r.crew.bystanders {
		if sleep(disturbed, pause) != nil {
			return nil
		}
		if err := r.suspend(ctx, p); err != nil {
			return fmt.Errorf("suspend %s: %w", p.email, err)
		}
	}
	return nil
}

func (r *run) suspend(ctx context.Context, p *person) error {
	if done, err := r.admin.ToggleStatus(ctx, p.id); err != nil || done.IsActive {
		return fmt.Errorf("active: %t, %w", done.IsActive, err)
	}
	after, err := r.head(ctx)
	if err != nil {
		return err
	}
	if err := sleep(ctx, suspended); err != nil {
		return err
	}
	s := Suspension{Account: p.id, After: after, Heard: map[string]string{}}
	for _, w := range r.people {
		if w.Account == p.id {
			s.Heard[w.Name] = w.lastHeard()
		}
	}
	r.suspensions = append(r.suspensions, s)
	if done, err := r.admin.ToggleStatus(ctx, p.id); err != nil || !done.IsActive {
		return fmt.Errorf("restored: %t, %w", done.IsActive, err)
	}
	return nil
}

// head is the position of the newest event.
func (r *run) head(ctx context.Context) (string, error) {
	for after := r.people[0].start; ; {
		page, err := r.admin.Events(ctx, after, pageOfEvents)
		if err != nil || !page.Recovered {
			return "", fmt.Errorf("find the head of the log: %s %w", page.Reason, err)
		}
		if after = page.Position; !page.More {
			return after, nil
		}
	}
}
