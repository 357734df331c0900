// Package cli is the command line of Larder: larder serve, migrate, user, token,
// tail, demo, doctor, verify, backup, restore, import, version.
//
// Each subcommand parses its own flags, reports to the writers that it is given
// and returns an error for people; Run turns that into an exit code. Nothing here
// ends the process, so that tests run the real commands.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Env is what a command knows of the world around it.
type Env struct {
	LookupEnv func(key string) (string, bool)
	Stdin     io.Reader
	Stdout    io.Writer
	Stderr    io.Writer
}

// errReported is a failure that has been told already.
var errReported = errors.New("reported")

// usageError is a command line that can't be understood.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// subcommand is one entry of the command line.
type subcommand struct {
	name    string
	summary string
	run     func(ctx context.Context, env Env, args []string) error
}

func subcommands() []subcommand {
	return []subcommand{
		{"serve", "run the server", serve},
		{"demo", "run the server with a small city that donates, claims and delivers", demo},
		{"tail", "show live events in the terminal, resuming by itself", tail},
		{"doctor", "say what is wrong with a set-up", doctor},
		{"verify", "check that nothing is lost, through faults and kills", verifyCommand},
		{"user", "add or change an account: larder user add|role|suspend|restore|logout|delete", user},
		{"token", "mint a token for a known account", token},
		{"migrate", "bring the database schema up to date, or show its state", migrate},
		{"backup", "copy the SQLite database to a file, also under a running server", backup},
		{"restore", "put a backup in the place of the database, with the server stopped", restore},
		{"import", "bring the data of a SurplusSync database in; a dry run unless --apply", importCommand},
		{"version", "print the version", version},
	}
}

// Run runs the command that args name and returns the exit code: 0 when it did
// what was asked, 1 when it could not, 2 when args can't be understood.
func Run(ctx context.Context, args []string, env Env) int {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		usage(env.Stdout)
		return 0
	}
	for _, c := range subcommands() {
		if c.name == args[0] {
			return exitCode(c.run(ctx, env, args[1:]), env)
		}
	}
	fmt.Fprintf(env.Stderr, "larder: there is no command %q\n\n", args[0])
	usage(env.Stderr)
	return 2
}

func exitCode(err error, env Env) int {
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errReported):
		return 1
	}
	fmt.Fprintf(env.Stderr, "larder: %v\n", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

func usage(w io.Writer) {
	var b strings.Builder
	b.WriteString("Larder is a live board for donated food.\n\nUsage: larder <command> [flags]\n\n")
	for _, c := range subcommands() {
		fmt.Fprintf(&b, "  %-9s %s\n", c.name, c.summary)
	}
	b.WriteString("\nlarder <command> --help lists the flags of a command.\n")
	_, _ = io.WriteString(w, b.String())
}

// invocation is how the program is called in texts that are meant to be copied:
// whoever started it with go run has no program of that name.
func invocation() string {
	if exe, err := os.Executable(); err == nil && filepath.Base(exe) == "larder" && strings.Contains(exe, "go-build") {
		return "go run ./cmd/larder"
	}
	return "larder"
}

// newFlags returns the flag set of a command that writes its help to stdout when
// asked and its errors nowhere: exitCode tells them.
func newFlags(env Env, name, synopsis string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(env.Stdout)
	f.Usage = func() {
		fmt.Fprintf(env.Stdout, "Usage: larder %s\n\n", synopsis)
		showFlags(env.Stdout, f)
	}
	return f
}
