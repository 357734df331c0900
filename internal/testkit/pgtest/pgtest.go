// Package pgtest starts PostgreSQL clusters of their own for tests, from the
// installed binaries: a temporary folder, a Unix socket and no port.
//
// [Database] gives each test an empty schema in one cluster that all tests of the
// binary share: making a database takes far longer. [StartFor] starts a cluster
// that a test may stop at will.
//
// A cluster ends with the process that started it, however that ends: a shell
// beside it waits for the end of its input, stops the server and removes the folder.
// As root, the cluster runs as another user, since PostgreSQL refuses to be root.
package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// ErrMissing says that PostgreSQL is not installed here.
var ErrMissing = errors.New("PostgreSQL's programs are not here: neither initdb in PATH nor /usr/lib/postgresql/*/bin")

// startTime bounds the start and the stop of a cluster.
const startTime = time.Minute

// owner is the superuser of the clusters. Who reaches the socket needs no password.
const owner = "larder"

// Cluster is a running server.
type Cluster struct {
	bin     string
	folder  string
	keeper  *exec.Cmd
	input   *os.File // the keeper's: when it is closed, everything goes
	asked   atomic.Int64
	runAs   *credential
	setting []string
}

// Start makes and starts a cluster. settings are those of postgresql.conf, such
// as "fsync=off".
func Start(settings ...string) (_ *Cluster, err error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	c := &Cluster{bin: bin, setting: settings}
	if c.runAs, err = unprivileged(); err != nil {
		return nil, err
	}
	if c.folder, err = os.MkdirTemp("", "larder-pg-"); err != nil {
		return nil, err
	}
	if err := c.runAs.own(c.folder); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.folder))
	}
	if err := c.keep(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(c.folder))
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Remove())
		}
	}()
	if _, err := c.run("initdb", "--pgdata="+c.data(), "--username="+owner, "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"); err != nil {
		return nil, err
	}
	return c, c.Resume()
}

// keeperScript waits for the end of its input, or for a word on it. It takes no
// notice of Ctrl-C, which goes to all of a terminal's programs: its input ends then.
const keeperScript = `trap '' INT TERM HUP
cat >/dev/null
"$0/pg_ctl" stop -s -w -m immediate -D "$1/data" >/dev/null 2>&1
rm -rf "$1"`

// keep starts the shell that ends the cluster with us.
func (c *Cluster) keep() error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	c.keeper = exec.Command("/bin/sh", "-c", keeperScript, c.bin, c.folder)
	c.keeper.Dir, c.keeper.Stdin, c.keeper.SysProcAttr = "/", read, c.runAs.process()
	if err := c.keeper.Start(); err != nil {
		return errors.Join(err, write.Close())
	}
	c.input = write
	return nil
}

// Stop stops the server as a crash would: what clients were doing is cut, and
// nothing is written that was not written before.
func (c *Cluster) Stop() error { return c.ctl("stop", "-m", "immediate") }

// Resume starts the server again after Stop.
func (c *Cluster) Resume() error {
	options := []string{"-c listen_addresses=", "-c unix_socket_directories=" + c.folder, "-c max_connections=200", "-c shared_buffers=32MB"}
	for _, s := range c.setting {
		options = append(options, "-c "+s)
	}
	return c.ctl("start", "-l", filepath.Join(c.folder, "log"), "-o", strings.Join(options, " "))
}

func (c *Cluster) ctl(verb string, args ...string) error {
	_, err := c.run("pg_ctl", append([]string{verb, "-s", "-w", "-D", c.data()}, args...)...)
	if err != nil && verb == "start" {
		if log, readErr := os.ReadFile(filepath.Join(c.folder, "log")); readErr == nil {
			err = fmt.Errorf("%w\n%s", err, log)
		}
	}
	return err
}

// Database makes an empty database and returns its address.
func (c *Cluster) Database() (string, error) {
	name := fmt.Sprintf("larder%d", c.asked.Add(1))
	if _, err := c.run("createdb", "--host="+c.folder, "--username="+owner, "--template=template0", name); err != nil {
		return "", err
	}
	u := url.URL{Scheme: "postgres", User: url.User(owner), Path: "/" + name, RawQuery: url.Values{"host": {c.folder}}.Encode()}
	return u.String(), nil
}

// Run runs one of PostgreSQL's programs against the cluster and returns what it
// printed.
func (c *Cluster) Run(program string, args ...string) (string, error) {
	return c.run(program, append([]string{"--host=" + c.folder, "--username=" + owner}, args...)...)
}

// Remove stops the server and removes all of it.
func (c *Cluster) Remove() error { return errors.Join(c.input.Close(), c.keeper.Wait()) }

func (c *Cluster) data() string { return filepath.Join(c.folder, "data") }

func (c *Cluster) run(program string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir, cmd.SysProcAttr = "/", c.runAs.process()
	// Files, and no pipes: a server that was started goes on to hold them.
	out, err := os.CreateTemp("", "larder-pg-out-")
	if err != nil {
		return "", err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	runErr := cmd.Run()
	printed, err := os.ReadFile(out.Name())
	if runErr != nil {
		return "", fmt.Errorf("%s: %w\n%s", program, runErr, bytes.TrimSpace(printed))
	}
	return string(printed), err
}

// programs finds the folder of PostgreSQL's programs: the newest version of
// Debian's, else where initdb is in PATH.
func programs() (string, error) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // no error: the pattern is fine
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) })
		return filepath.Dir(newest), nil
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", ErrMissing
	}
	// A link leads to the folder with all the others.
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return "", err
	}
	return filepath.Dir(path), nil
}

func version(path string) (n int) {
	_, _ = fmt.Sscanf(path, "/usr/lib/postgresql/%d/", &n)
	return n
}

var shared = sync.OnceValues(func() (*Cluster, error) { return Start() })

// Shared returns the cluster that all tests of this binary share. Without
// PostgreSQL the test is skipped, in CI failed.
func Shared(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := shared()
	check(tb, err)
	return c
}

// schemas hands out the schemas of the shared cluster, made many at once.
var schemas struct {
	sync.Mutex
	address string // of the database that they are in
	made    int
	given   int
}

// Database returns the address of an empty schema in the shared cluster, which to
// Larder is a database.
func Database(tb testing.TB) string {
	tb.Helper()
	c := Shared(tb)
	schemas.Lock()
	defer schemas.Unlock()
	if schemas.given == schemas.made {
		check(tb, more(c))
	}
	schemas.given++
	return fmt.Sprintf("%s&search_path=test%d", schemas.address, schemas.given)
}

func more(c *Cluster) (err error) {
	if schemas.address == "" {
		if schemas.address, err = c.Database(); err != nil {
			return err
		}
	}
	var sql strings.Builder
	const batch = 100
	for i := range batch {
		fmt.Fprintf(&sql, "CREATE SCHEMA test%d; ", schemas.made+1+i)
	}
	if _, err := c.Run("psql", "--dbname="+Name(schemas.address), "--command="+sql.String()); err != nil {
		return err
	}
	schemas.made += batch
	return nil
}

// Name returns the name of the database of an address.
func Name(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic("pgtest: " + err.Error())
	}
	return strings.TrimPrefix(u.Path, "/")
}

// StartFor starts a cluster for one test.
func StartFor(tb testing.TB, settings ...string) *Cluster {
	tb.Helper()
	c, err := Start(settings...)
	check(tb, err)
	tb.Cleanup(func() {
		if err := c.Remove(); err != nil {
			tb.Errorf("remove the cluster: %v", err)
		}
	})
	return c
}

func check(tb testing.TB, err error) {
	tb.Helper()
	switch {
	case errors.Is(err, ErrMissing) && os.Getenv("CI") == "":
		tb.Skip("not tested on PostgreSQL: ", err)
	case err != nil:
		tb.Fatalf("PostgreSQL: %v", err)
	}
}
