// Command pg runs a PostgreSQL of its own for a developer, prints the address of
// an empty database in it, and removes everything when it is interrupted.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"larder/internal/testkit/pgtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "pg:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	c, err := pgtest.Start()
	if err != nil {
		return err
	}
	address, err := c.Database()
	if err == nil {
		fmt.Printf("PostgreSQL is ready; Ctrl-C stops and removes it.\n\nexport DATABASE_URL='%s'\n\n", address)
		<-ctx.Done()
	}
	if removeErr := c.Remove(); err == nil {
		err = removeErr
	}
	return err
}
