package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"larder/internal/verify"
)

// Bounds of a run: a seed that people can type, and what one machine can hold.
const (
	maxSeed    = 1_000_000
	maxClients = 5_000
	maxRate    = 1_000
)

// verifyCommand checks a server: that what was acknowledged is in its log, and that
// its log reached every client, through faults and kills.
func verifyCommand(ctx context.Context, env Env, args []string) (err error) {
	f := newFlags(env, "verify", "verify [--kills N] [--stops N] [--clients N] [--for D]   on a server of its own\n       larder verify --url U --email E [--password P] [--clients N] [--for D]   on one that runs")
	address := f.String("url", "", "check the server that runs there; it is not killed. What stays in it: 17 accounts verify-…@verify.test, which later checks of the same admin use again, and donations of theirs, all of them ended")
	var who signIn
	f.StringVar(&who.email, "email", "", "e-mail of an admin of that server (LARDER_EMAIL)")
	f.StringVar(&who.password, "password", "", "the admin's password; on a shared machine rather LARDER_PASSWORD or standard input")
	kills := f.Int("kills", 5, "how often the server is ended with SIGKILL; not with --url")
	stops := f.Int("stops", 2, "how often the server is stopped in order, with SIGTERM; not with --url")
	database := f.String("database-url", "", "database of its own server (default: SQLite in the data folder); not with --url")
	dataDir := f.String("data-dir", "", "folder for the data of its own server (default: a temporary one, kept only when something is wrong)")
	clients := f.Int("clients", 40, "clients that listen")
	doors := f.String("doors", "", "comma list of the doors that they use (default: all): "+strings.Join(verify.Doors(), ", "))
	length := f.Duration("for", 30*time.Second, "how long commands are given")
	rate := f.Int("rate", 30, "turns a second in which commands are given; when several contend, a turn is several commands")
	faults := f.Bool("faults", true, "disturb the connections of clients: delay, cut, half-open, stall")
	seed := f.Uint64("seed", 0, "repeat the plan of an earlier run (default: a new one)")
	zone := f.String("timezone", "UTC", "the server's TIMEZONE, where the day of the daily capacity begins; with --url")
	if err := parseOnly(f, args); err != nil {
		return err
	}
	if err := onlyHere(f, *address); err != nil {
		return err
	}
	o := verify.Options{
		Seed: *seed, Clients: *clients, For: *length, Rate: *rate, Faults: *faults, Kills: *kills, Stops: *stops, DatabaseURL: *database,
		Say: func(line string) {
			fmt.Fprintf(env.Stdout, "%s  %s\n", time.Now().Format(time.TimeOnly), printable(line))
		},
	}
	if o.Seed == 0 {
		o.Seed = 1 + rand.Uint64N(maxSeed)
	}
	if *address != "" {
		o.Kills, o.Stops = 0, 0
	}
	if *doors != "" {
		o.Doors = strings.Split(*doors, ",")
	}
	if err := checkVerify(&o, *zone); err != nil {
		return err
	}
	if *address != "" {
		err = verifyThere(env, &o, *address, who)
	} else {
		var done func(bad bool) error
		if done, err = verifyHere(env, &o, *dataDir); err == nil {
			defer func() { err = errors.Join(err, done(err != nil)) }()
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stdout, "Seed %d: %d clients, %s of commands, %d kills, %d stops. To repeat the plan:\n  %s\n",
		o.Seed, o.Clients, o.For, o.Kills, o.Stops, repetition(f, o.Seed))
	report, err := verify.Run(ctx, o)
	if err != nil {
		return err
	}
	if err := report.Write(env.Stdout); err != nil {
		return err
	}
	if len(report.Violations) > 0 {
		return errReported
	}
	return nil
}

// onlyHere refuses what means nothing for a server that runs already.
func onlyHere(f *flag.FlagSet, address string) (err error) {
	f.Visit(func(set *flag.Flag) {
		if address != "" && slices.Contains([]string{"kills", "stops", "database-url", "data-dir"}, set.Name) {
			err = usageError{"--" + set.Name + " is for a server that verify starts itself, not with --url"}
		}
	})
	return err
}

// repetition is the command line that repeats the plan of a run: the flags that were
// set, without passwords, and the seed.
func repetition(f *flag.FlagSet, seed uint64) string {
	words := []string{invocation(), "verify"}
	f.Visit(func(set *flag.Flag) {
		value := set.Value.String()
		switch u, err := url.Parse(value); {
		case set.Name == "seed" || set.Name == "password":
			return
		case set.Name == "database-url" && err == nil:
			value = u.Redacted()
		}
		if strings.ContainsFunc(value, func(r rune) bool {
			return !strings.ContainsRune("-_.,:/@%+=", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
		}) {
			value = "'" + strings.ReplaceAll(printable(value), "'", `'\''`) + "'"
		}
		words = append(words, "--"+set.Name+"="+value)
	})
	return strings.Join(append(words, fmt.Sprintf("--seed=%d", seed)), " ")
}

func checkVerify(o *verify.Options, zone string) (err error) {
	if o.Place, err = time.LoadLocation(zone); err != nil {
		return usageError{"--timezone: " + err.Error()}
	}
	switch {
	case o.Clients < 1 || o.Clients > maxClients:
		return usageError{fmt.Sprintf("--clients must be 1 to %d", maxClients)}
	case o.Rate < 1 || o.Rate > maxRate:
		return usageError{fmt.Sprintf("--rate must be 1 to %d", maxRate)}
	case o.Kills < 0 || o.Stops < 0:
		return usageError{"--kills and --stops must not be negative"}
	case o.For < 5*time.Second || o.For < time.Duration(o.Kills+o.Stops)*3*time.Second:
		return usageError{"--for must be at least 5s, and 3s for each kill and each stop"}
	}
	return nil
}

// verifyThere prepares the check of a server that runs.
func verifyThere(env Env, o *verify.Options, address string, who signIn) (err error) {
	if o.URL, err = url.Parse(strings.TrimRight(address, "/")); err != nil || o.URL.Host == "" || o.URL.Scheme != "http" && o.URL.Scheme != "https" {
		return usageError{fmt.Sprintf("--url %q must begin with http:// or https:// and name a host", address)}
	}
	o.Email, o.Password = who.email, who.password
	if o.Email == "" {
		o.Email = fromEnv(env, "LARDER_EMAIL", "")
	}
	if o.Email == "" {
		return usageError{"--url needs --email (LARDER_EMAIL) of an admin, who verifies the NGOs of the check"}
	}
	if o.Password == "" {
		if o.Password, err = askPassword(env); err != nil {
			return err
		}
	}
	fmt.Fprintf(env.Stdout, "This makes accounts verify-…@verify.test and donations at %s. They stay there, the donations ended, and later checks use the accounts again.\n", o.URL)
	return nil
}

// verifyHere prepares a server of the check's own. done removes its folder when all
// was well.
func verifyHere(env Env, o *verify.Options, folder string) (done func(bad bool) error, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	o.Command = []string{exe}
	// Real settings stand in the environment: only what a program needs is passed on.
	for _, key := range []string{"PATH", "HOME", "TMPDIR", "SystemRoot", "GOMAXPROCS", "GORACE", "GOTRACEBACK", "LOG_LEVEL", "DEBUG", childVariable} {
		if v, ok := env.LookupEnv(key); ok {
			o.Environ = append(o.Environ, key+"="+v)
		}
	}
	if folder != "" {
		if o.Folder, err = filepath.Abs(folder); err != nil { // the server runs in it
			return nil, err
		}
		return func(bool) error { return nil }, os.MkdirAll(o.Folder, 0o700)
	}
	if o.Folder, err = os.MkdirTemp("", "larder-verify-"); err != nil {
		return nil, fmt.Errorf("make a folder for the data: %w", err)
	}
	return func(bad bool) error {
		if bad {
			fmt.Fprintf(env.Stdout, "  The server's data and log are kept in %s\n", o.Folder)
			return nil
		}
		return os.RemoveAll(o.Folder)
	}, nil
}

// childVariable tells the program of a test that it is to be a server.
const childVariable = "LARDER_TEST_SERVE"
