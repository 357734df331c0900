package verify

import (
	"context"
	"fmt"
	"sync"
	"time"

	"larder/api"
	"larder/client"
)

const (
	pageOfEvents    = 500
	pageOfDonations = 500
	readers         = 4 // that read histories at the same time
)

var allStatuses = []string{"AVAILABLE", "CLAIMED", "PICKED_UP", "DELIVERED", "EXPIRED", "CANCELLED"}

// gather reads the log and the rows, as the accounts of the run may, past the
// proxy.
func (r *run) gather(ctx context.Context) (*Evidence, error) {
	r.Say("reading log and rows")
	e := &Evidence{
		Logs: map[string][]uint32{}, Rows: map[string]api.Donation{}, Histories: map[string][]uint32{},
		Whole: r.server != nil, Told: true, Commands: r.crew.given(), Place: r.Place,
		Suspensions: r.suspensions,
	}
	from := ""
	if !e.Whole {
		from = r.people[0].start
	}
	var err error
	if e.Oldest, err = r.oldest(ctx); err != nil {
		return nil, err
	}
	if e.Log, err = r.log(ctx, r.admin, from); err != nil {
		return nil, err
	}
	for _, p := range r.crew.everybody() {
		c, err := r.direct.newClient(p.token, newTally())
		if err != nil {
			return nil, err
		}
		if e.Logs[p.id], err = r.log(ctx, c, from); err != nil {
			return nil, err
		}
		a, err := c.Profile(ctx)
		if err != nil {
			return nil, fmt.Errorf("profile of %s: %w", p.email, err)
		}
		e.Accounts = append(e.Accounts, Account{
			ID: p.id, Role: p.role, Karma: a.KarmaPoints - p.karma, Load: a.CurrentIntakeLoad, Capacity: p.capacity, Unit: p.unit, ReadAt: time.Now(),
			Available: p.available,
		})
	}
	e.Sights = r.book.all()
	if err := r.rows(ctx, e); err != nil {
		return nil, err
	}
	if err := r.histories(ctx, e); err != nil {
		return nil, err
	}
	for _, w := range r.people {
		e.Witnesses = append(e.Witnesses, w.Testimony)
	}
	e.Sights = r.book.all()
	return e, nil
}

// oldest is the position of the oldest event that the server still has.
func (r *run) oldest(ctx context.Context) (string, error) {
	page, err := r.admin.Events(ctx, "", 1)
	if err != nil {
		return "", fmt.Errorf("find the beginning of the log: %w", err)
	}
	return page.Position, nil
}

func (r *run) log(ctx context.Context, c *client.Client, after string) (log []uint32, err error) {
	for {
		page, err := c.Events(ctx, after, pageOfEvents)
		switch {
		case err != nil:
			return nil, fmt.Errorf("read the log: %w", err)
		case !page.Recovered:
			return nil, fmt.Errorf("the log can't be read after %q: %s", after, page.Reason)
		}
		for _, ev := range page.Events {
			id, position, err := r.book.note(ev.Event, ev.Data)
			if err != nil {
				return nil, err
			}
			if position != ev.Position {
				return nil, fmt.Errorf("the log has %s at %s, and its payload says %s", ev.Event, ev.Position, position)
			}
			log = append(log, id)
		}
		if !page.More {
			return log, nil
		}
		after = page.Position
	}
}

// rows reads the donations of the run: all of them on a server of its own, and else
// those that the log has from their beginning.
func (r *run) rows(ctx context.Context, e *Evidence) error {
	created := map[string]bool{}
	for _, id := range e.Log {
		if s := e.Sights[id]; s.Name == api.EventDonationCreated {
			created[s.Donation] = true
		}
	}
	o := client.ListOptions{Statuses: allStatuses, Limit: pageOfDonations}
	for {
		list, next, err := r.admin.Donations(ctx, o)
		if err != nil {
			return fmt.Errorf("read the rows: %w", err)
		}
		for _, d := range list {
			if e.Whole || created[d.ID] {
				e.Rows[d.ID] = d
			}
		}
		if next == "" {
			return nil
		}
		o.After = next
	}
}

func (r *run) histories(ctx context.Context, e *Evidence) error {
	ids := make(chan string)
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex // guards what follows, and e.Histories
		first error
	)
	read := func(id string) error {
		var own []uint32
		for p, more := (client.Page{}), true; more; more = p.After != "" {
			list, next, err := r.admin.History(ctx, id, p)
			if err != nil {
				return fmt.Errorf("history of %s: %w", id, err)
			}
			for _, ev := range list {
				n, _, err := r.book.note(ev.Event, ev.Data)
				if err != nil {
					return err
				}
				own = append(own, n)
			}
			p.After = next
		}
		mu.Lock()
		defer mu.Unlock()
		e.Histories[id] = own
		return nil
	}
	for range readers {
		wait.Go(func() {
			for id := range ids {
				if err := read(id); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	for id := range e.Rows {
		ids <- id
	}
	close(ids)
	wait.Wait()
	return first
}
