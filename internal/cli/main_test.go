package cli_test

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"larder/internal/cli"
)

// TestMain lets this program be the server that larder verify starts, kills and stops.
func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(serveVariable); ok {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		os.Exit(cli.Run(ctx, os.Args[1:], cli.Env{LookupEnv: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	os.Exit(m.Run())
}

const serveVariable = "LARDER_TEST_SERVE"
