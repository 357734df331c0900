package cli_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/cli"
	"larder/internal/config"
	"larder/internal/testkit"
)

const (
	adminEmail = "admin@example.org"
	password   = "correct horse"
	patience   = 20 * time.Second // for something that has to come
)

// startNode runs a real node on a free port of this machine.
func startNode(t *testing.T) string {
	t.Helper()
	return testkit.Start(t, testkit.Options{Config: func(c *config.Config) {
		c.AdminEmail, c.AdminPassword = adminEmail, password
	}}).URL()
}

func newClient(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{BaseURL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// register makes an account and returns its client.
func register(t *testing.T, url, role, email string) (*client.Client, api.User) {
	t.Helper()
	c := newClient(t, url)
	s, err := c.Register(t.Context(), api.Registration{Email: email, Password: password, Name: role, Role: role})
	if err != nil {
		t.Fatal(err)
	}
	return c, s.User
}

func offer(t *testing.T, c *client.Client, name string) api.Donation {
	t.Helper()
	d, err := c.CreateDonation(t.Context(), api.DonationDraft{
		Name: name, FoodType: "Bread", Unit: "kg", Quantity: 4, ExpiryTime: time.Now().Add(5 * time.Hour).Format(time.RFC3339),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// command is a command line that runs.
type command struct {
	stdout, stderr *lines
	stop           context.CancelFunc
	code           chan int
}

// start runs larder with args. env holds its environment.
func start(t *testing.T, env map[string]string, args ...string) *command {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &command{stdout: newLines(), stderr: newLines(), stop: cancel, code: make(chan int, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		code := cli.Run(ctx, args, cli.Env{
			LookupEnv: func(k string) (string, bool) { v, ok := env[k]; return v, ok },
			Stdin:     strings.NewReader(""), Stdout: c.stdout, Stderr: c.stderr,
		})
		c.stdout.end()
		c.stderr.end()
		c.code <- code
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

// run is start for a command that ends by itself.
func run(t *testing.T, env map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	c := start(t, env, args...)
	select {
	case code = <-c.code:
	case <-time.After(patience):
		t.Fatalf("larder %q does not end; so far:\n%s%s", args, c.stdout, c.stderr)
	}
	return c.stdout.String(), c.stderr.String(), code
}

// end stops a command and wants a clean exit.
func (c *command) end(t *testing.T) {
	t.Helper()
	c.stop()
	select {
	case code := <-c.code:
		if code != 0 {
			t.Errorf("exit code %d, want 0; stderr:\n%s", code, c.stderr)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// lines is an output that can be waited for.
type lines struct {
	mu   sync.Mutex // guards text
	text strings.Builder
	pipe *io.PipeWriter
	each chan string
}

func newLines() *lines {
	r, w := io.Pipe()
	l := &lines{pipe: w, each: make(chan string, 10_000)}
	go func() {
		for s := bufio.NewScanner(r); s.Scan(); {
			l.each <- s.Text()
		}
		close(l.each)
	}()
	return l
}

// Write implements io.Writer.
func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	l.text.Write(b)
	l.mu.Unlock()
	return l.pipe.Write(b)
}

func (l *lines) end() { _ = l.pipe.Close() }

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await returns the next line that has all of the words in it.
func (l *lines) await(t *testing.T, words ...string) string {
	t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-l.each:
			if !ok {
				t.Fatalf("it ended without a line with %q:\n%s", words, l)
			}
			if containsAll(line, words) {
				return line
			}
		case <-late:
			t.Fatalf("no line with %q; so far:\n%s", words, l)
		}
	}
}

func containsAll(s string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(s, w) {
			return false
		}
	}
	return true
}

// cable is a proxy that can be cut.
type cable struct {
	listener net.Listener
	target   string

	mu    sync.Mutex // guards the fields below
	conns map[net.Conn]bool
	down  bool
}

// newCable leads to a server at url.
func newCable(t *testing.T, url string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{listener: l, target: strings.TrimPrefix(url, "http://"), conns: map[net.Conn]bool{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.join(in) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		c.cut()
		running.Wait()
	})
	return c
}

func (c *cable) url() string { return "http://" + c.listener.Addr().String() }

func (c *cable) join(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.target)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	if c.down {
		c.mu.Unlock()
		return
	}
	c.conns[in], c.conns[out] = true, true
	c.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // an end is all there is to know
			_ = errors.Join(way[0].Close(), way[1].Close())
		})
	}
	both.Wait()
}

// cut breaks every connection and lets no new one through until mend.
func (c *cable) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = true
	for conn := range c.conns {
		_ = conn.Close() // broken is what it should be
	}
	clear(c.conns)
}

func (c *cable) mend() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.down = false
}
