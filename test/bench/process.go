package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A server is one of those that are compared.
type server struct {
	name    string
	title   string   // above its column
	command []string // see bench.start
	polling bool     // whether it has that transport
}

var allServers = []server{
	{"ours", "ours", []string{"./ours"}, true},
	{"node", "Node socket.io", []string{"node", "node/server.mjs"}, true},
	{"zishang520", "zishang520", []string{"./zishang520"}, true},
	{"gobwas", "bare gobwas/ws", []string{"./bare"}, false},
	{"writeloop", "loop of write(2)", []string{"./bare", "-loop"}, false},
}

// takesPart tells whether a server has a part in a phase.
func (s server) takesPart(phase string) bool {
	switch phase {
	case manyPhase:
		return s.name == "ours"
	case pollsPhase:
		return s.polling
	}
	return true
}

// build compiles the programs of this module into a folder.
func (b *bench) build(dir string) error {
	b.programs = dir
	cmd := exec.Command("go", "build", "-o", dir+"/", "./ours", "./zishang520", "./bare", "./load")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go build, to be run in test/bench: %w", err)
	}
	return nil
}

// A process is a server or the load, running.
type process struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a program of this module, which begins with "./", or of the
// system.
func (b *bench) start(command ...string) (*process, error) {
	path := command[0]
	if program, built := strings.CutPrefix(path, "./"); built {
		path = filepath.Join(b.programs, program)
	}
	cmd := exec.Command(path, command[1:]...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, in, bufio.NewReader(out)}, nil
}

// stop kills the process and waits for its end.
func (p *process) stop() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// line reads the next line of JSON into v.
func (p *process) line(v any) error {
	text, err := p.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: no answer: %w", filepath.Base(p.cmd.Path), err)
	}
	return json.Unmarshal(text, v)
}

// cpu is the processor time of all threads, in user and system mode: utime +
// stime of /proc/PID/stat, not rounded to hundredths of a second.
func (p *process) cpu() (time.Duration, error) {
	const schedClock = 2 // of the clocks of a process; see clock_getcpuclockid(3)
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^p.cmd.Process.Pid)<<3|schedClock, &ts); err != nil {
		return 0, fmt.Errorf("processor time of %s: %w", p.cmd.Path, err)
	}
	return time.Duration(ts.Nano()), nil
}

// resident is the resident memory, in KB.
func (p *process) resident() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Rss:" {
			return strconv.ParseFloat(f[1], 64)
		}
	}
	return 0, fmt.Errorf("no Rss in smaps_rollup of %s", p.cmd.Path)
}

// A rig is a fresh server with its clients.
type rig struct {
	server, load *process
	addresses    struct{ Addr, Control string }
}

// warmUp is how many clients come and go before anything is measured, so that
// what a server does once is not counted as the cost of a connection.
const warmUp = 10

// rig starts a server, lets clients of another load come and go, and starts a
// load that has none yet.
func (b *bench) rig(s server, transport string) (*rig, error) {
	r := new(rig)
	if err := b.prepare(r, s, transport); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

func (b *bench) prepare(r *rig, s server, transport string) (err error) {
	if r.server, err = b.start(s.command...); err != nil {
		return err
	}
	if err := r.server.line(&r.addresses); err != nil {
		return err
	}
	load := []string{"./load", "-addr", r.addresses.Addr, "-transport", transport}
	if r.load, err = b.start(load...); err != nil {
		return err
	}
	if _, err := r.connect(warmUp); err != nil {
		return err
	}
	r.load.stop()
	time.Sleep(300 * time.Millisecond) // until the server has seen them go
	r.load, err = b.start(load...)
	return err
}

func (r *rig) stop() {
	for _, p := range []*process{r.load, r.server} {
		if p != nil {
			p.stop()
		}
	}
}

// ask gives the load a command and returns its answer.
func (r *rig) ask(command string) (map[string]float64, error) {
	if _, err := fmt.Fprintln(r.load.in, command); err != nil {
		return nil, err
	}
	var answer map[string]float64
	if err := r.load.line(&answer); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	return answer, nil
}

// emit makes the server emit n events, and returns when it has done so.
func (r *rig) emit(n int, every time.Duration) error {
	res, err := http.Post(fmt.Sprintf("http://%s/emit?n=%d&every=%dms", r.addresses.Control, n, every.Milliseconds()), "", nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("emit: %s", res.Status)
	}
	return nil
}
