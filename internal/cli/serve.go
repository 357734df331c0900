package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"

	"larder/internal/config"
	"larder/internal/node"
	"larder/internal/telemetry"
)

// loadConfig parses the flags of a command that runs or opens a node.
func loadConfig(env Env, f *flag.FlagSet, args []string) (config.Config, error) {
	cfg, err := config.Bind(f).Load(args, env.LookupEnv, config.DotEnv())
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		return cfg, usageError{err.Error()}
	}
	return cfg, err
}

func newLogger(env Env, cfg config.Config) *slog.Logger {
	return telemetry.NewLogger(env.Stderr, cfg.LogLevel, cfg.LogFormat)
}

// gcPercent is the GOGC of a node whose environment does not set one. Most of its
// memory are clients that wait, and to deliver allocates nothing: the collector
// has little to do, and a signed-in client takes 7.1 to 7.8 KB (ADR 0007).
const gcPercent = 30

// serve runs a node until ctx ends.
func serve(ctx context.Context, env Env, args []string) error {
	if _, set := env.LookupEnv("GOGC"); !set {
		defer debug.SetGCPercent(debug.SetGCPercent(gcPercent))
	}
	cfg, err := loadConfig(env, newFlags(env, "serve", "serve [flags]   (each flag is also an environment variable)"), args)
	if err != nil {
		return err
	}
	n, err := node.New(ctx, cfg, newLogger(env, cfg), env.Stderr)
	if err != nil {
		return err
	}
	greet(env.Stdout, cfg, n)
	return n.Run(ctx)
}

// greet says where to go next, and plainly what was made up.
func greet(w io.Writer, cfg config.Config, n *node.Node) {
	var b strings.Builder
	fmt.Fprintf(&b, "\nLarder %s is ready.\n\n", versionText())
	fmt.Fprintf(&b, "  Board      %s\n", n.URL())
	fmt.Fprintf(&b, "  Socket.IO  io(%q, { auth: { token } })\n", n.URL()+"/donations")
	fmt.Fprintf(&b, "  Health     %s/health\n\n", n.URL())
	fmt.Fprintf(&b, "  Database   %s\n", cfg.DatabaseAddress())
	fmt.Fprintf(&b, "  Browsers   may come from %s (FRONTEND_URL) and from this address\n", strings.Join(cfg.FrontendURLs, ", "))
	made := n.MadeUp()
	switch {
	case cfg.JWTSecret != "":
		b.WriteString("  Secret     JWT_SECRET\n")
	case made.Secret:
		fmt.Fprintf(&b, "  Secret     made up now and kept in %s/jwt-secret; set JWT_SECRET to use your own\n", cfg.DataDir)
	default:
		fmt.Fprintf(&b, "  Secret     from %s/jwt-secret, made up at an earlier start\n", cfg.DataDir)
	}
	switch {
	case made.Admin:
		fmt.Fprintf(&b, "  Admin      %s was added\n", cfg.AdminEmail)
	case cfg.AdminEmail == "":
		fmt.Fprintf(&b, "  Admin      none was made up; add one: %s user add --role ADMIN --email you@example.org --name You\n", invocation())
	}
	b.WriteString("\nCtrl-C stops it in order; a second one at once.\n\n")
	_, _ = io.WriteString(w, b.String())
}

// version prints what this binary was built from.
func version(_ context.Context, env Env, _ []string) error {
	_, err := fmt.Fprintf(env.Stdout, "larder %s\n", versionText())
	return err
}

func versionText() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown build)"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	return v + " " + info.GoVersion
}
