package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"larder/internal/store"
)

// migrate brings the schema up to date, or shows its state.
func migrate(ctx context.Context, env Env, args []string) error {
	verb := "up"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		verb, args = args[0], args[1:]
	}
	if verb != "up" && verb != "status" {
		return usageError{"usage: larder migrate [up|status]"}
	}
	cfg, err := loadConfig(env, newFlags(env, "migrate", "migrate [up|status] [flags]"), args)
	if err != nil {
		return err
	}
	path, file := strings.CutPrefix(cfg.DatabaseURL, "sqlite:")
	if _, err := os.Stat(path); file && verb == "status" && errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no database %s: larder serve and larder migrate make one", path)
	}
	st, err := store.Open(ctx, cfg.DatabaseURL)
	if err != nil {
		return err
	}
	defer st.Close()
	if verb == "status" {
		return migrationStatus(ctx, env, st)
	}
	applied, err := st.Migrate(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s: %d migrations applied\n", cfg.DatabaseAddress(), len(applied))
	return err
}

func migrationStatus(ctx context.Context, env Env, st *store.Store) error {
	list, err := st.Migrations(ctx)
	if err != nil {
		return err
	}
	for _, m := range list {
		state := "pending"
		if !m.AppliedAt.IsZero() {
			state = "applied " + m.AppliedAt.UTC().Format(time.RFC3339)
		}
		if _, err := fmt.Fprintf(env.Stdout, "%04d %-30s %s\n", m.Version, m.Name, state); err != nil {
			return err
		}
	}
	return nil
}
