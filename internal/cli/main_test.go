package cli_test

import (
	"context"
	"os"
	"testing"

	"larder/internal/cli"
)

// TestMain lets this program be the server that larder verify starts and kills.
func TestMain(m *testing.M) {
	if _, ok := os.LookupEnv(serveVariable); ok {
		os.Exit(cli.Run(context.Background(), os.Args[1:], cli.Env{LookupEnv: os.LookupEnv, Stdout: os.Stdout, Stderr: os.Stderr}))
	}
	os.Exit(m.Run())
}

const serveVariable = "LARDER_TEST_SERVE"
