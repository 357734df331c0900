package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// Bounds of the connections to PostgreSQL. The server keeps the first three, so
// that a node that stalls holds up nobody for long; the address may set others.
const (
	lockTimeout      = "5s"  // waiting for another writer, as long as SQLite waits
	statementTimeout = "10s" // one statement
	idleTimeout      = "10s" // between two statements of a transaction, where we never wait for anybody

	pgReaders   = 8
	connectTime = 5 * time.Second
	lifetime    = 5 * time.Minute // then a connection is made anew, perhaps to another server after a failover
	// silence bounds how long a server may take to send anything: a little longer
	// than it gives itself, so that only one that is away or stalled meets it.
	silence = 15 * time.Second
	// lastWords is how long a statement may go on after its context has ended:
	// breaking it off costs the connection.
	lastWords = 2 * time.Second
)

// writerLock waits until the transaction is the only one that writes. The lock's
// number is ours and the schema's; hashtext is the server's, the same for all nodes.
const writerLock = `SELECT pg_advisory_xact_lock(1279349316, hashtext(COALESCE(current_schema(), '')))`

func openPostgres(address string) (*Store, error) {
	c, err := pgx.ParseConfig(address)
	if err != nil {
		// What it says of a broken address may hold parts of the password.
		return nil, errors.New("store: database address is not understood; user and password need percent-encoding: postgres://user:password@host:5432/name")
	}
	setDefault(c.RuntimeParams, "application_name", "larder")
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTime
	}
	migrations := c.Copy()
	for name, value := range map[string]string{
		"lock_timeout": lockTimeout, "statement_timeout": statementTimeout, "idle_in_transaction_session_timeout": idleTimeout,
	} {
		setDefault(c.RuntimeParams, name, value)
		migrations.RuntimeParams[name] = "0" // a change of the schema takes its time
	}
	c.DialFunc = dial
	c.BuildContextWatcherHandler = func(pc *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: pc.Conn(), DeadlineDelay: lastWords}
	}
	write, read := stdlib.OpenDB(*c, stdlib.OptionAfterConnect(durable)), stdlib.OpenDB(*c)
	write.SetMaxOpenConns(1) // one writer: waiting in Go is cheaper than in PostgreSQL
	read.SetMaxOpenConns(pgReaders)
	read.SetMaxIdleConns(pgReaders)
	write.SetConnMaxLifetime(lifetime)
	read.SetConnMaxLifetime(lifetime)
	return &Store{write: write, read: read, prepared: newPrepared(), engine: engine{
		dialect: goose.DialectPostgres, folder: "postgres", ping: `SELECT 1`,
		begun:     `SELECT to_regclass('goose_db_version') IS NOT NULL`,
		lock:      writerLock,
		view:      sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
		lost:      connectionLost,
		migrating: func(ctx context.Context) (*sql.DB, func() error, error) { return migratePostgres(ctx, migrations) },
	}}, nil
}

func setDefault(params map[string]string, name, value string) {
	if _, set := params[name]; !set {
		params[name] = value
	}
}

// durable has a commit wait for the disk where the server's own setting would not.
func durable(ctx context.Context, c *pgx.Conn) error {
	_, err := c.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// migratePostgres opens connections of its own, which no timeout cuts in the
// middle of a long change, and holds the writers' lock on one of them: no other
// process migrates meanwhile, and no writer gets in the way of a change. The lock
// is a transaction's, and not a session's, for the sake of poolers.
func migratePostgres(ctx context.Context, c *pgx.ConnConfig) (_ *sql.DB, end func() error, err error) {
	db := stdlib.OpenDB(*c)
	defer func() {
		if err != nil {
			err = errors.Join(unavailable(err), db.Close())
		}
	}()
	var encoding string
	if err := db.QueryRowContext(ctx, `SELECT current_setting('server_encoding')`).Scan(&encoding); err != nil {
		return nil, nil, err
	}
	if encoding != "UTF8" {
		return nil, nil, fmt.Errorf("the database keeps text as %s: create it with ENCODING 'UTF8'", encoding)
	}
	holder, err := db.BeginTx(ctx, nil)
	if err != nil {
		return nil, nil, err
	}
	if _, err := holder.ExecContext(ctx, writerLock); err != nil {
		return nil, nil, errors.Join(err, holder.Rollback())
	}
	return db, func() error { return errors.Join(holder.Rollback(), db.Close()) }, nil
}

// connecting says that a connection could not be made.
func connecting(err error) bool {
	_, ok := errors.AsType[*pgconn.ConnectError](err)
	return ok
}

// connectionLost says that a connection had gone before it was used: it was cut,
// or the server was stopped.
func connectionLost(err error) bool {
	if connecting(err) {
		return false // there is none to be had
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(e.Code, "57P") // shut down, ended by an operator
	}
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return strings.HasSuffix(err.Error(), "conn closed") // of the driver, which has no name for it
}

// dial connects to a server that is not waited for without an end.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{KeepAlive: silence}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatient{Conn: c}, nil
}

// impatient is a connection whose reads end after silence. The driver reads only
// when it waits for an answer; its own deadlines count where they are nearer.
type impatient struct {
	net.Conn
	mu    sync.Mutex
	asked time.Time // the driver's deadline; zero: none
}

// SetDeadline implements net.Conn.
func (c *impatient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = t
	return c.Conn.SetDeadline(t)
}

// Read implements net.Conn.
func (c *impatient) Read(b []byte) (int, error) {
	if err := c.limit(); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *impatient) limit() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := time.Now().Add(silence)
	if !c.asked.IsZero() && c.asked.Before(limit) {
		limit = c.asked
	}
	return c.Conn.SetReadDeadline(limit)
}
