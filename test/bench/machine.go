package main

import (
	"cmp"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// writeHeader tells on what all was measured.
func writeHeader(w io.Writer, b *bench) {
	load, _, _ := strings.Cut(read("/proc/loadavg"), " ")
	for _, line := range [][2]string{
		{"Date", time.Now().Format("2006-01-02")},
		{"Machine", fmt.Sprintf("%s, %d processors, %s of memory, load average %s at the end",
			field("/proc/cpuinfo", "model name"), runtime.NumCPU(), field("/proc/meminfo", "MemTotal"), load)},
		{"Kernel", strings.TrimSpace(read("/proc/sys/kernel/osrelease"))},
		{"Go", fmt.Sprintf("%s, GOGC %s, GOMEMLIMIT %s, GOMAXPROCS %d", runtime.Version(),
			cmp.Or(os.Getenv("GOGC"), "100 (default)"), cmp.Or(os.Getenv("GOMEMLIMIT"), "none"), runtime.GOMAXPROCS(0))},
		{"Node", output("node", "--version")},
		{"ours", "revision " + output("git", "describe", "--always", "--dirty")},
		{"socket.io", nodeVersion("node/node_modules/socket.io/package.json")},
		{"zishang520/socket.io", b.goVersion("zishang520", "github.com/zishang520/socket.io/servers/socket/v3")},
		{"gobwas/ws", b.goVersion("bare", "github.com/gobwas/ws")},
	} {
		fmt.Fprintf(w, "- %s: %s\n", line[0], line[1])
	}
	fmt.Fprint(w, "\nThe clients run on the same processors as the servers, over loopback: they take time from\n"+
		"the server, and latencies hold both. Processor time and memory are those of the server\n"+
		"process alone, without what the kernel keeps for its sockets.\n\n")
}

func read(name string) string {
	text, _ := os.ReadFile(name) // unknown is empty
	return string(text)
}

// field is the first value of that name in a file of /proc.
func field(name, key string) string {
	for line := range strings.Lines(read(name)) {
		if k, v, _ := strings.Cut(line, ":"); strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return "unknown"
}

func output(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(out))
}

func nodeVersion(name string) string {
	var p struct{ Version string }
	if err := json.Unmarshal([]byte(read(name)), &p); err != nil {
		return "not installed"
	}
	return p.Version
}

// goVersion is the version of a module that was built into a program.
func (b *bench) goVersion(program, module string) string {
	info, err := buildinfo.ReadFile(filepath.Join(b.programs, program))
	if err != nil {
		return "unknown"
	}
	for _, d := range info.Deps {
		if d.Path == module {
			return d.Version
		}
	}
	return "unknown"
}
