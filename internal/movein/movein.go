// Package movein brings the data of a SurplusSync backend into a Larder: accounts
// with their password hashes, donations, karma, feedback, tickets, flags and
// notifications. What it decides about each value, and why, is in ADR 0018.
//
// Ids stay as they are. What is here already, by its id, is left as it is: a second
// run takes only what is new. Each batch is one transaction of the store; in it the
// log gets a new epoch, and each new donation a record that nobody is sent.
//
// Rows are read one batch after another. Of each account and donation a few words are
// kept in memory until the end, so that what refers to them can be checked.
package movein

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"larder/internal/account"
	"larder/internal/store"
	"larder/internal/store/surplussync"
)

// Options say how to move in.
type Options struct {
	Apply         bool           // false: only say what would be done
	Admins        []string       // e-mails of those who stay ADMIN
	Zone          *time.Location // of the source's times that have no zone
	Notifications int            // at most so many for each account; 0: none
	Lines         io.Writer      // gets a line of JSON for all that was not simply taken; nil: nobody
	Now           time.Time      // of the run
}

// batchSize bounds the rows of one transaction: others wait for it.
const batchSize = 100

// person is what has to be known of an account that is here, or will be.
type person struct {
	account.Account
	oldKarma int
	proven   int // karma that donations of the source prove
}

// lot is what has to be known of a donation that is here, or will be.
type lot struct {
	donor, claimer *person // claimer nil: nobody
	delivered      bool
	rated          bool
}

type mover struct {
	Options
	source *surplussync.DB
	store  *store.Store
	report *Report
	admins map[string]bool // by the key of the e-mail; true: met
	emails map[string]bool // keys that are given away in this run
	people map[string]*person
	lots   map[string]*lot
	open   map[string]bool // open flags, by donation and author
}

// Run moves in, or says what would be done. With an error the report holds what was
// done until then; run it again.
func Run(ctx context.Context, source *surplussync.DB, st *store.Store, o Options) (*Report, error) {
	m := &mover{
		Options: o, source: source, store: st, report: newReport(o.Lines),
		admins: map[string]bool{}, emails: map[string]bool{}, people: map[string]*person{}, lots: map[string]*lot{}, open: map[string]bool{},
	}
	for _, email := range o.Admins {
		m.admins[account.EmailKey(email)] = false
	}
	for _, step := range []struct {
		table surplussync.Table
		must  bool
		do    func(context.Context, *store.Tx, []*entry) (bool, error)
	}{
		{surplussync.Users, true, m.users},
		{surplussync.Donations, true, m.donations},
		{surplussync.Feedback, false, m.feedback},
		{surplussync.Tickets, false, m.tickets},
		{surplussync.Flags, false, m.flags},
	} {
		if ok, err := m.find(step.table, step.must); err != nil || !ok {
			if err != nil {
				return m.report, err
			}
			continue
		}
		if err := m.batches(ctx, step.table.Entity, source.Rows(ctx, step.table), step.do); err != nil {
			return m.report, err
		}
	}
	if err := m.karma(ctx); err != nil {
		return m.report, err
	}
	if err := m.notifications(ctx); err != nil {
		return m.report, err
	}
	for email, met := range m.admins {
		if !met {
			m.report.note("--admins names %s, and no admin there has that e-mail", email)
		}
	}
	return m.report, m.report.lineErr
}

// find says whether a table is there, and notes what it lacks.
func (m *mover) find(t surplussync.Table, must bool) (bool, error) {
	name, missing, err := m.source.Find(t)
	if errors.Is(err, surplussync.ErrNoTable) && !must {
		m.report.note("%s: skipped, %v", t.Entity, err)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", t.Entity, err)
	}
	m.report.note("%s are read from table %q", t.Entity, name)
	for _, c := range missing {
		m.report.note("%s: there is no column %q; taken as empty", t.Entity, c)
	}
	return true, nil
}

// batches hands rows to do, some in each transaction. do says whether it wrote.
func (m *mover) batches(ctx context.Context, entity string, rows iter.Seq2[surplussync.Row, error],
	do func(context.Context, *store.Tx, []*entry) (bool, error),
) error {
	tally := m.report.table(entity)
	var batch []*entry
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := m.transaction(ctx, func(tx *store.Tx) (bool, error) { return do(ctx, tx, batch) })
		if err != nil {
			return fmt.Errorf("%s: %w", entity, err)
		}
		for _, e := range batch {
			m.report.add(tally, e)
		}
		batch = batch[:0]
		return nil
	}
	for row, err := range rows {
		if err != nil {
			return fmt.Errorf("%s: %w", entity, err)
		}
		if batch = append(batch, m.entry(row)); len(batch) == batchSize {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// transaction runs fn on the store. What it wrote is a new life of the log.
func (m *mover) transaction(ctx context.Context, fn func(*store.Tx) (wrote bool, err error)) error {
	if !m.Apply {
		return m.store.View(ctx, func(tx *store.Tx) error {
			_, err := fn(tx)
			return err
		})
	}
	return m.store.Update(ctx, func(tx *store.Tx) error {
		wrote, err := fn(tx)
		if err == nil && wrote {
			err = tx.NewLife(ctx)
		}
		return err
	})
}
