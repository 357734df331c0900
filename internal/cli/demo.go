package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/config"
	"larder/internal/node"
)

// The accounts of a demo are no secret: it listens on this machine alone unless
// told otherwise, and its data is thrown away.
const (
	demoPassword   = "larder-demo"
	demoAdminEmail = "admin@demo.test"
)

// demo runs a node on data of its own with a city that uses it, until ctx ends.
func demo(ctx context.Context, env Env, args []string) (err error) {
	f := newFlags(env, "demo", "demo [--port 3000] [--pace 2s] [--data-dir D]")
	port := f.String("port", fromEnv(env, "PORT", "3000"), "port to listen on (PORT); 0 takes a free one")
	host := f.String("host", "127.0.0.1", "address to listen on; the passwords of a demo are known to everybody")
	dataDir := f.String("data-dir", "", "folder to keep the data in (default: a temporary one, removed at the end)")
	pace := f.Duration("pace", 2*time.Second, "time between two actions, on average")
	logLevel := f.String("log-level", "warn", "of the server: debug, info, warn or error")
	if err := parseOnly(f, args); err != nil {
		return err
	}
	if *pace <= 0 {
		return usageError{"--pace must be a positive duration"}
	}
	folder := *dataDir
	if folder == "" {
		if folder, err = os.MkdirTemp("", "larder-demo-"); err != nil {
			return fmt.Errorf("make a folder for the data: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	cfg, err := demoConfig(env, "--port", *port, "--host", *host, "--data-dir", folder, "--log-level", *logLevel,
		"--super-admin-email", demoAdminEmail, "--super-admin-password", demoPassword)
	if err != nil {
		return err
	}
	n, err := node.New(ctx, cfg, newLogger(env, cfg), env.Stderr)
	if err != nil {
		return err
	}
	c := newCity()
	c.admin, c.password, c.pace = api.Login{Email: demoAdminEmail, Password: demoPassword}, demoPassword, *pace
	c.open = func() (*client.Client, error) { return client.New(client.Config{BaseURL: n.URL()}) }
	c.say = func(line string) {
		fmt.Fprintf(env.Stdout, "%s  %s\n", time.Now().Format(time.TimeOnly), printable(line))
	}
	return runBeside(ctx, n.Run, func(ctx context.Context) error {
		defer c.close()
		if err := c.settle(ctx); err != nil {
			return fmt.Errorf("settle the city: %w", err)
		}
		guide(env.Stdout, n.URL(), folder, *dataDir != "", c)
		return c.live(ctx)
	})
}

// demoConfig is that of a node for which only what a demo can do no harm with
// is taken from the environment, and nothing from the file .env: real data is
// named there.
func demoConfig(env Env, args ...string) (config.Config, error) {
	harmless := map[string]bool{"FRONTEND_URL": true, "LOG_FORMAT": true, "DEBUG": true}
	lookup := func(key string) (string, bool) {
		if !harmless[key] {
			return "", false
		}
		return env.LookupEnv(key)
	}
	cfg, err := config.Bind(newFlags(env, "demo", "demo")).Load(args, lookup, "")
	if err != nil {
		return cfg, usageError{err.Error()}
	}
	return cfg, nil
}

// runBeside runs work while serve runs, and returns when both have ended. The end
// of either ends the other.
func runBeside(ctx context.Context, serve, work func(context.Context) error) error {
	both, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		defer cancel()
		served <- serve(both)
	}()
	err := work(both)
	if both.Err() != nil { // it was told to stop; serve says why, if there is more to say
		err = nil
	}
	cancel()
	return errors.Join(err, <-served)
}

// guide says where to look and whom to be.
func guide(w io.Writer, url, folder string, kept bool, c *city) {
	var b strings.Builder
	fmt.Fprintf(&b, "\nA small city lives at %s\n\n", url)
	fmt.Fprintf(&b, "  Open the page and sign in as anybody; the password is always %s\n\n", demoPassword)
	fmt.Fprintf(&b, "  %-10s %s\n", "ADMIN", demoAdminEmail)
	for _, p := range c.everybody() {
		fmt.Fprintf(&b, "  %-10s %-18s  %s\n", p.Role, p.Email, p.display())
	}
	fmt.Fprintf(&b, "\n  In another terminal:\n\n  %s tail --url %s --email %s --password %s\n\n", invocation(), url, c.ngos[0].Email, demoPassword)
	if kept {
		fmt.Fprintf(&b, "  The data is kept in %s. Ctrl-C ends the demo.\n\n", folder)
	} else {
		b.WriteString("  Ctrl-C ends the demo and removes its data.\n\n")
	}
	_, _ = io.WriteString(w, b.String())
}
