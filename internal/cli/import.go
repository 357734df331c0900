package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"larder/internal/config"
	"larder/internal/movein"
	"larder/internal/store"
	"larder/internal/store/surplussync"
)

// importCommand brings the data of a SurplusSync database into this Larder.
func importCommand(ctx context.Context, env Env, args []string) error {
	f := newFlags(env, "import", "import --from postgres://USER:PASSWORD@HOST:PORT/NAME [--apply] [flags]   (a dry run unless told otherwise)")
	from := f.String("from", "", "database of the SurplusSync backend; on a shared machine rather LARDER_IMPORT_FROM")
	apply := f.Bool("apply", false, "write; stop the server before")
	dry := f.Bool("dry-run", false, "only say what would be taken, fixed and refused: what is done without --apply, too")
	admins := f.String("admins", "", "comma list of the e-mails of those admins who stay it; others become donors")
	zone := f.String("from-timezone", "UTC", "where the old backend ran: its database keeps times without a zone")
	notices := f.Int("notifications", 20, "take so many of the newest notifications about new food for each NGO and volunteer")
	file := f.String("report", "", "file that gets a line of JSON for each row that was not simply taken; it holds e-mails")
	cfg, err := loadConfig(env, f, args)
	if err != nil {
		return err
	}
	if *from == "" {
		*from, _ = env.LookupEnv("LARDER_IMPORT_FROM")
	}
	place, zoneErr := time.LoadLocation(*zone)
	switch {
	case *apply && *dry:
		return usageError{"--apply and --dry-run exclude each other"}
	case !strings.HasPrefix(*from, "postgres://") && !strings.HasPrefix(*from, "postgresql://"):
		return usageError{"--from: the address of the old database, postgres://USER:PASSWORD@HOST:PORT/NAME"}
	case zoneErr != nil:
		return usageError{"--from-timezone: " + *zone + " is no zone"}
	case *notices < 0 || *notices > 100:
		return usageError{"--notifications: 0 to 100"}
	}
	o := movein.Options{Apply: *apply, Zone: place, Notifications: *notices, Now: time.Now().UTC().Truncate(time.Millisecond)}
	for email := range strings.SplitSeq(*admins, ",") {
		if email = strings.TrimSpace(email); email != "" {
			o.Admins = append(o.Admins, email)
		}
	}
	if *file != "" {
		lines, err := os.OpenFile(*file, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		o.Lines = lines
		return errors.Join(moveIn(ctx, env.Stdout, cfg, *from, o), lines.Close())
	}
	return moveIn(ctx, env.Stdout, cfg, *from, o)
}

// moveIn runs the import and tells what it did.
func moveIn(ctx context.Context, out io.Writer, cfg config.Config, from string, o movein.Options) (err error) {
	source, err := surplussync.Open(ctx, from)
	if err != nil {
		return err
	}
	defer source.Close()
	if err := apart(ctx, source, cfg.DatabaseURL); err != nil {
		return err
	}
	st, end, err := target(ctx, cfg, o.Apply)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	report, err := movein.Run(ctx, source, st, o)
	what := "Dry run: nothing was written. What --apply would do:"
	if o.Apply {
		what = "Moved in:"
	}
	if _, writeErr := fmt.Fprintf(out, "%s\n%s", what, report); err != nil || writeErr != nil {
		if err != nil && o.Apply {
			err = fmt.Errorf("%w\nwhat is told above is in the database; run it again, it goes on where it ended", err)
		}
		return cmp.Or(err, writeErr)
	}
	if o.Apply {
		fmt.Fprintln(out, "\nThe log has a new epoch: live clients start over. Start the server now, or again if it ran meanwhile.")
	}
	if report.Refused() {
		return errReported
	}
	return nil
}

// apart makes sure that the old database is not this Larder's own: the settings of
// both have the same names, and Larder's tables would be made beside the old ones.
func apart(ctx context.Context, source *surplussync.DB, address string) error {
	if strings.HasPrefix(address, "sqlite:") {
		return nil
	}
	own, err := surplussync.Open(ctx, address)
	if err != nil {
		return fmt.Errorf("this Larder's own database: %w", err)
	}
	defer own.Close()
	same, err := source.Same(ctx, own)
	if err == nil && same {
		err = errors.New("--from is this Larder's own database (DATABASE_URL, or DATABASE_HOST and POSTGRES_DB): give Larder another one, the old one stays as it is")
	}
	return err
}

// target opens this Larder's database. A dry run leaves no trace: where there is no
// database yet it looks at an empty one that is thrown away.
func target(ctx context.Context, cfg config.Config, apply bool) (*store.Store, func() error, error) {
	if apply {
		st, err := openStore(ctx, cfg)
		if err != nil {
			return nil, nil, err
		}
		return st, st.Close, nil
	}
	st, err := openAsItIs(ctx, cfg)
	if errors.Is(err, errNoDatabase) {
		return emptyStore(ctx)
	}
	if err != nil {
		return nil, nil, err
	}
	return st, st.Close, nil
}

func emptyStore(ctx context.Context) (*store.Store, func() error, error) {
	folder, err := os.MkdirTemp("", "larder-dry-run-")
	if err != nil {
		return nil, nil, err
	}
	st, err := openStore(ctx, config.Config{DatabaseURL: "sqlite:" + filepath.Join(folder, "larder.db")})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(folder))
	}
	return st, func() error { return errors.Join(st.Close(), os.RemoveAll(folder)) }, nil
}
