package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"larder/internal/store"
)

// fileArgument takes the file that a command is about from before or behind its flags.
func fileArgument(args []string, synopsis string) (file string, rest []string, err error) {
	last := len(args) - 1
	switch {
	case slices.ContainsFunc(args, isHelp):
		return "", args, nil
	case last >= 0 && !isFlag(args[0]):
		return args[0], args[1:], nil
	case last >= 0 && !isFlag(args[last]):
		return args[last], args[:last], nil
	}
	return "", nil, usageError{"usage: larder " + synopsis}
}

func isFlag(arg string) bool { return strings.HasPrefix(arg, "-") }

func isHelp(arg string) bool { return arg == "-h" || arg == "-help" || arg == "--help" }

// backup copies the database while a server may be writing to it.
func backup(ctx context.Context, env Env, args []string) error {
	const synopsis = "backup FILE [flags]"
	file, args, err := fileArgument(args, synopsis)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(env, newFlags(env, "backup", synopsis+"   (copies the SQLite database, also under a running server)"), args)
	if err != nil {
		return err
	}
	head, err := store.Backup(ctx, cfg.DatabaseURL, file)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "%s holds everything up to position %s\n", file, head)
	if cfg.JWTSecret == "" {
		_, noteErr := fmt.Fprintf(env.Stdout, "note: %s is not in it; keep a copy of it, too, or every token becomes void with a new one\n",
			filepath.Join(cfg.DataDir, "jwt-secret"))
		err = errors.Join(err, noteErr)
	}
	return err
}

// restore puts a backup in the place of the database.
func restore(ctx context.Context, env Env, args []string) error {
	const synopsis = "restore FILE [flags]"
	file, args, err := fileArgument(args, synopsis)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(env, newFlags(env, "restore", synopsis+"   (the server has to be stopped; the old database is kept)"), args)
	if err != nil {
		return err
	}
	done, err := store.Restore(ctx, cfg.DatabaseURL, file)
	if err != nil {
		return err
	}
	if done.Damaged {
		fmt.Fprintln(env.Stderr, "note: the old database is damaged, so it could not be seen whether a server has it open; make sure that none has")
	}
	if done.Kept != "" {
		fmt.Fprintf(env.Stdout, "the database that was there is %s now\n", done.Kept)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s is restored as a new life of the log, at position %s: live clients start over\n", file, done.Head)
	return err
}
