//go:build unix

package engineio_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// benchReader names, to the process that reads, the addresses to read from.
const benchReader = "LARDER_BENCH_READER"

const (
	benchSockets = 1000 // of each kind
	benchBurst   = 50   // events in one burst
)

// benchmarked is one server and its WebSockets, and as many plain TCP
// connections to write to in a loop. The peers are in a process of their own,
// so that their work is not counted.
type benchmarked struct {
	sessions []*engineio.Session
	plain    []net.Conn
}

// nothing is a Receiver.
type nothing struct{}

func (nothing) Receive([]byte) error       { return nil }
func (nothing) ReceiveBinary([]byte) error { return nil }
func (nothing) Closed(engineio.Cause)      {}

func newBenchmarked(b *testing.B) *benchmarked {
	b.Helper()
	bm := new(benchmarked)
	opened := make(chan *engineio.Session, benchSockets)
	srv, err := engineio.NewServer(engineio.Config{QueueBytes: 64 << 20, QueueMessages: 1 << 20},
		func(s *engineio.Session) engineio.Receiver {
			opened <- s
			return nothing{}
		})
	if err != nil {
		b.Fatal(err)
	}
	served, raw := listen(b), listen(b)
	httpServer := &http.Server{Handler: srv, ReadHeaderTimeout: time.Minute}
	go func() { _ = httpServer.Serve(served) }()
	program, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	reader := exec.Command(program)
	reader.Env = append(os.Environ(), benchReader+"="+served.Addr().String()+" "+raw.Addr().String())
	reader.Stderr = os.Stderr
	if err := reader.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); err != nil {
			b.Error(err)
		}
		_ = httpServer.Close()
		for _, c := range bm.plain {
			_ = c.Close()
		}
		_ = reader.Process.Kill()
		_ = reader.Wait()
	})
	for range benchSockets {
		c, err := raw.Accept()
		if err != nil {
			b.Fatal(err)
		}
		bm.plain = append(bm.plain, c)
		bm.sessions = append(bm.sessions, <-opened)
	}
	return bm
}

func listen(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	return l
}

// readForBenchmark reads from two servers until they are gone.
func readForBenchmark(target string) {
	var d net.Dialer
	var wg sync.WaitGroup
	drain := func(c io.Reader) {
		wg.Go(func() {
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c}, make([]byte, 16<<10))
		})
	}
	served, raw, _ := strings.Cut(target, " ")
	for range benchSockets {
		c, err := wire.DialWebSocket(context.Background(), func(ctx context.Context) (net.Conn, error) {
			return d.DialContext(ctx, "tcp", served)
		}, "/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		drain(c.Conn)
		p, err := d.Dial("tcp", raw)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return
		}
		drain(p)
	}
	wg.Wait()
}

// write writes one frame to each plain connection.
func (bm *benchmarked) write(b *testing.B, frame []byte) {
	b.Helper()
	for _, c := range bm.plain {
		if _, err := c.Write(frame); err != nil {
			b.Fatal(err)
		}
	}
}

// send sends a message to each session.
func (bm *benchmarked) send(b *testing.B, m *engineio.Message) {
	b.Helper()
	for _, s := range bm.sessions {
		if err := s.Send(m); err != nil {
			b.Fatal(err)
		}
	}
}

// flushed waits until all that was sent is written.
func (bm *benchmarked) flushed(b *testing.B) {
	b.Helper()
	for _, s := range bm.sessions {
		if err := s.Flushed(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// used is the CPU time of this process.
func used(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBroadcast sends messages of 550 bytes to 1,000 sessions, and writes
// as many bytes to as many plain connections in a loop, by turns. It prints
// the CPU time of each for one message to one peer, and the ratio, which alone
// means something on a machine that does other things too.
func BenchmarkBroadcast(b *testing.B) {
	bm := newBenchmarked(b)
	for _, way := range []struct {
		name   string
		events int
		pause  time.Duration
	}{
		{"paced", 1, 30 * time.Millisecond},
		{"burst", benchBurst, 100 * time.Millisecond},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.ReportAllocs()
			m := engineio.NewMessage([]byte(strings.Repeat("x", 550)))
			frame := []byte(strings.Repeat("x", 555))
			var ours, plain time.Duration
			rounds := 0
			for b.Loop() {
				rounds++
				<-time.After(way.pause)
				start := used(b)
				for range way.events {
					bm.write(b, frame)
				}
				plain += used(b) - start
				<-time.After(way.pause)
				start = used(b)
				for range way.events {
					bm.send(b, m)
				}
				bm.flushed(b)
				ours += used(b) - start
			}
			messages := float64(rounds * way.events * benchSockets)
			b.ReportMetric(float64(ours)/messages, "cpu-ns/message")
			b.ReportMetric(float64(plain)/messages, "cpu-ns/write")
			b.ReportMetric(float64(ours)/float64(plain), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
