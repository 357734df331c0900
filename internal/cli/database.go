package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"larder/internal/config"
	"larder/internal/store"
)

// openStore opens the database of the settings with its schema up to date.
func openStore(ctx context.Context, cfg config.Config) (*store.Store, error) {
	st, err := store.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return nil, err
	}
	if _, err := st.Migrate(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// Why openAsItIs has nothing to read.
var (
	errNoDatabase = errors.New("there is no database yet: larder serve makes it")
	errOlder      = errors.New("the database is of an older Larder: larder migrate brings it up to date")
)

// openAsItIs opens the database of the settings for a command that only reads. It
// leaves the schema alone, as a server of an older Larder may be running on it: an
// older one is refused, and what is not there yet is errNoDatabase.
func openAsItIs(ctx context.Context, cfg config.Config) (*store.Store, error) {
	if path, ok := strings.CutPrefix(cfg.DatabaseURL, "sqlite:"); ok {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil, errNoDatabase
		}
	}
	st, err := store.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return nil, err
	}
	pending, all, err := pendingSteps(ctx, st)
	switch {
	case err == nil && pending == all:
		err = errNoDatabase
	case err == nil && pending > 0:
		err = errOlder
	}
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// pendingSteps counts the steps of the schema that are not applied yet, and all.
func pendingSteps(ctx context.Context, st *store.Store) (pending, all int, err error) {
	steps, err := st.Migrations(ctx)
	for _, s := range steps {
		if s.AppliedAt.IsZero() {
			pending++
		}
	}
	return pending, len(steps), err
}
