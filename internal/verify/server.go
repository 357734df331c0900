package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 30 * time.Second
)

// server is a Larder of the run's own, in a process that can be killed.
type server struct {
	command []string // program and its first arguments
	environ []string
	folder  string
	args    []string
	log     *os.File

	since time.Time // when it was ready
	port  string    // of the first start; the same for all later ones
	cmd   *exec.Cmd
	gone  chan struct{} // closed when the process has ended
}

// greeting finds the address in what larder serve says when it is ready.
var greeting = regexp.MustCompile(`(?m)^\s*Board\s+(http://\S+)`)

// announced is the standard output of a server: it tells the address once.
type announced struct {
	mu   sync.Mutex // guards text
	text []byte
	once sync.Once
	url  chan string
}

// Write implements io.Writer.
func (a *announced) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.text) < 64<<10 {
		a.text = append(a.text, p...)
	}
	// A whole line: the address may come in two writes.
	if m := greeting.FindSubmatchIndex(a.text); m != nil && bytes.IndexByte(a.text[m[1]:], '\n') >= 0 {
		a.once.Do(func() { a.url <- string(a.text[m[2]:m[3]]) })
	}
	return len(p), nil
}

// start starts the server and returns its address when it is ready.
func (s *server) start(ctx context.Context) (*url.URL, error) {
	port := s.port
	if port == "" {
		port = "0"
	}
	args := append(append([]string{}, s.command[1:]...), "serve", "--host", "127.0.0.1", "--port", port)
	s.cmd = exec.Command(s.command[0], append(args, s.args...)...)
	out := &announced{url: make(chan string, 1)}
	s.cmd.Env, s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = s.environ, s.folder, out, s.log
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server: %w", err)
	}
	s.gone = make(chan struct{})
	go func(cmd *exec.Cmd, gone chan struct{}) {
		defer close(gone)
		_ = cmd.Wait() // how it ended is no matter: it is killed, or it was not to end
	}(s.cmd, s.gone)
	timeout := time.NewTimer(startTimeout)
	defer timeout.Stop()
	select {
	case text := <-out.url:
		u, err := url.Parse(text)
		if err != nil {
			return nil, errors.Join(err, s.kill())
		}
		s.port, s.since = u.Port(), time.Now()
		u.Host = "127.0.0.1:" + s.port
		return u, nil
	case <-s.gone:
		return nil, fmt.Errorf("the server has ended at its start: %s", s.lastWords())
	case <-timeout.C:
		return nil, errors.Join(fmt.Errorf("the server is not ready after %s", startTimeout), s.kill())
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), s.kill())
	}
}

// stop asks the process to end, with SIGTERM, and waits until it has. One that does
// not is killed: that is the fault it returns. clean is one that had to cut nobody off.
func (s *server) stop() (clean bool, fault string, err error) {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false, "", fmt.Errorf("stop the server: %w", err)
	}
	patience := time.NewTimer(stopTimeout)
	defer patience.Stop()
	select {
	case <-s.gone:
	case <-patience.C:
		return false, fmt.Sprintf("the server did not stop within %s: %s", stopTimeout, s.lastWords()), s.kill()
	}
	switch code := s.cmd.ProcessState.ExitCode(); code {
	case 0:
		return true, "", nil
	case 1: // its time was too short for some clients: they lose their connections, and nothing else
		return false, "", nil
	default:
		return false, fmt.Sprintf("the server stopped with exit status %d: %s", code, s.lastWords()), nil
	}
}

// kill ends the process as it stands, with SIGKILL, and waits for its end.
func (s *server) kill() error {
	select {
	case <-s.gone:
		return nil
	default:
	}
	if err := s.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill the server: %w", err)
	}
	<-s.gone
	return nil
}

// lastWords are the last lines of the server's log.
func (s *server) lastWords() string {
	b, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

// newServer prepares a server on data of its own.
func newServer(o Options, admin, password string) (*server, error) {
	log, err := os.OpenFile(filepath.Join(o.Folder, "server.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	s := &server{
		command: o.Command, folder: o.Folder, log: log,
		// Anybody on the machine can read a command line, so no secret stands there.
		environ: slices.Concat(o.Environ, []string{"SUPER_ADMIN_EMAIL=" + admin, "SUPER_ADMIN_PASSWORD=" + password}),
		args: []string{
			"--data-dir", filepath.Join(o.Folder, "data"),
			// A half-open connection is to be noticed within the run.
			"--ping-interval", "3s", "--ping-timeout", "3s", "--log-format", "json", "--timezone", "UTC",
		},
	}
	if o.DatabaseURL != "" {
		s.environ = append(s.environ, "DATABASE_URL="+o.DatabaseURL)
	}
	return s, nil
}
