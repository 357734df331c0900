package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// product is what -product measures: the program that people run, with its
// default settings and clients that are signed in.
type product struct {
	program  string
	dir      string // of everything that is made
	port     int
	accounts int // behind the tokens
	settle   time.Duration
	env      []string // settings of the server
	posts    atomic.Uint32
}

// runProduct builds what is needed and measures.
func runProduct(p *plan, dir string) error {
	builds := [][]string{{"go", "build", "-o", dir + "/", "./load"}}
	if p.larder == "" {
		p.larder = filepath.Join(dir, "larder")
		builds = append(builds, []string{"go", "build", "-C", "../..", "-o", p.larder, "./cmd/larder"})
	}
	for _, build := range builds {
		cmd := exec.Command(build[0], build[1:]...)
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s, to be run in test/bench: %w", strings.Join(build, " "), err)
		}
	}
	var err error
	if p.larder, err = filepath.Abs(p.larder); err != nil { // it is started elsewhere
		return err
	}
	switch {
	case p.comeBack:
		return measureComeBack(p, dir)
	case p.heard:
		return measureHeard(p, dir)
	case p.rush:
		return measureRush(p, dir)
	}
	return measureProduct(p, dir)
}

// measureProduct prints the resident memory of `larder serve` for each of so many
// signed-in clients of "/", once for each number of accounts and round.
func measureProduct(p *plan, dir string) error {
	fmt.Printf("`larder serve`, %d clients signed in on \"/\" over WebSocket, %s, GOGC %q: resident KB for each, when the last is in, and %v later\n\n",
		p.product, runtime.Version(), os.Getenv("GOGC"), p.settle)
	fmt.Println("| accounts | round | at once | settled | lost | cut |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, accounts := range p.accounts {
		for round := range p.rounds {
			if err := measureSignedIn(p, dir, accounts, round+1); err != nil {
				return fmt.Errorf("%d accounts: %w", accounts, err)
			}
		}
	}
	return nil
}

func measureSignedIn(p *plan, dir string, accounts, round int) error {
	s := &product{program: p.larder, dir: filepath.Join(dir, fmt.Sprintf("%d-%d", accounts, round)), accounts: accounts, settle: p.settle}
	if err := s.prepare(); err != nil {
		return err
	}
	b := &bench{plan: p, programs: dir}
	r := new(rig)
	defer r.stop()
	var err error
	if r.server, err = s.serve(); err != nil {
		return err
	}
	load := []string{"./load", "-addr", s.addr(), "-tokens", s.tokens()}
	if r.load, err = b.start(load...); err != nil {
		return err
	}
	if warm, err := r.connect(warmUp); err != nil {
		return err
	} else if warm["in"] < warmUp {
		return fmt.Errorf("only %.0f clients of %d got in", warm["in"], warmUp)
	}
	r.load.stop()
	time.Sleep(300 * time.Millisecond)
	if r.load, err = b.start(load...); err != nil {
		return err
	}
	base, err := r.server.resident()
	if err != nil {
		return err
	}
	joined, err := r.connect(p.product)
	if err != nil {
		return err
	}
	once, err := r.server.resident()
	if err != nil {
		return err
	}
	time.Sleep(p.settle)
	settled, err := r.server.resident()
	if err != nil {
		return err
	}
	open, err := r.ask("open")
	if err != nil {
		return err
	}
	in := max(joined["in"], 1)
	fmt.Printf("| %d | %d | %.2f | %.2f | %.0f | %.0f |\n", accounts, round, (once-base)/in, (settled-base)/in,
		joined["lost"], joined["in"]-open["open"])
	return nil
}

func (s *product) addr() string   { return fmt.Sprintf("127.0.0.1:%d", s.port) }
func (s *product) tokens() string { return filepath.Join(s.dir, "tokens") }

// prepare registers the accounts at a server of their own, for what hashes a
// password takes 19 MB, and keeps their tokens.
func (s *product) prepare() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.port = l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return err
	}
	server, err := s.serve()
	if err != nil {
		return err
	}
	defer server.stop()
	tokens := make([]string, s.accounts)
	errs := make([]error, s.accounts)
	var wait sync.WaitGroup
	gate := make(chan struct{}, runtime.NumCPU())
	for i := range tokens {
		wait.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			tokens[i], errs[i] = s.register(fmt.Sprintf("v%d", i), "VOLUNTEER")
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	if err := os.WriteFile(s.tokens(), []byte(strings.Join(tokens, "\n")), 0o600); err != nil {
		return err
	}
	return server.end(syscall.SIGTERM)
}

func (s *product) register(name, role string) (token string, err error) {
	var answer struct{ Data struct{ Token string } }
	err = s.post("/auth/register", "", map[string]any{
		"email": name + "@example.org", "name": name, "role": role, "password": "a long password",
	}, &answer)
	return answer.Data.Token, err
}

func (s *product) post(path, token string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequest(http.MethodPost, "http://"+s.addr()+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	// Each from an address of its own, for what one address may do is limited.
	n := s.posts.Add(1)
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n)))
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	got, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusCreated {
		err = fmt.Errorf("%s: %s: %.200s", path, res.Status, got)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(got, answer)
}

// fill starts the server and, in another process, its clients, all of whom have to get
// in. It returns the token of a donor.
func (s *product) fill(r *rig, p *plan, programs string) (donor string, err error) {
	if err := s.prepare(); err != nil {
		return "", err
	}
	if r.server, err = s.serve(); err != nil {
		return "", err
	}
	if donor, err = s.register("donor", "DONOR"); err != nil {
		return "", err
	}
	if r.load, err = (&bench{plan: p, programs: programs}).start("./load", "-addr", s.addr(), "-tokens", s.tokens()); err != nil {
		return "", err
	}
	in, err := r.connect(p.product)
	if err == nil && int(in["in"]) != p.product {
		err = fmt.Errorf("only %.0f clients got in", in["in"])
	}
	return donor, err
}

// serve starts the server in the folder of its data, where there is no .env, and
// waits until it is ready.
func (s *product) serve() (*process, error) {
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = out.Close() }() // the server has its own
	cmd := exec.Command(s.program, "serve", "--host", "127.0.0.1", "--port", fmt.Sprint(s.port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = append(append(os.Environ(), s.env...), "TRUSTED_PROXIES=127.0.0.1") // see post
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd}
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		res, err := http.Get("http://" + s.addr() + "/readyz")
		if err != nil {
			continue
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			http.DefaultClient.CloseIdleConnections()
			return p, nil
		}
	}
	p.stop()
	return nil, fmt.Errorf("larder serve is not ready after 10 s: see %s", out.Name())
}

// end signals a process and waits for its end.
func (p *process) end(how unix.Signal) error {
	if err := p.cmd.Process.Signal(how); err != nil {
		return err
	}
	err := p.cmd.Wait()
	if how == unix.SIGKILL {
		return nil // it has no other end
	}
	return err
}
