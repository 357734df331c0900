package engineio_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

func TestQueuedFramesLeaveTogether(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		a := r.app(0)
		send(r, a, "blocks")
		synctest.Wait()
		for i := range 100 {
			send(r, a, fmt.Sprint(i))
		}
		r.wantText(c, "4blocks")
		buf := make([]byte, 1<<16)
		n, err := c.Conn.Read(buf)
		var want []byte
		for i := range 100 {
			s := fmt.Sprintf("4%d", i)
			want = append(append(want, 0x81, byte(len(s))), s...)
		}
		if err != nil || !bytes.Equal(buf[:n], want) {
			r.Errorf("one read: got %q, %v, want %q", buf[:n], err, want)
		}
	}, calm)
}

func TestLargeAndSmallFramesKeepTheirOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		var want []string
		var batch []*engineio.Message
		for i := range 40 {
			s := strings.Repeat(string(rune('a'+i%26)), []int{1, 30_000, 100, 70_000}[i%4])
			want = append(want, "4"+s)
			batch = append(batch, engineio.NewMessage([]byte(s)))
		}
		if err := r.app(0).Send(batch...); err != nil {
			r.Fatal(err)
		}
		for i := range want {
			if got := r.read(c); got != want[i] {
				r.Fatalf("frame %d: got %.20q (%d), want %.20q (%d)", i, got, len(got), want[i], len(want[i]))
			}
		}
	}, calm)
}

func TestSlowConsumer(t *testing.T) {
	bubble(t, func(r *rig) {
		slow, _ := r.connect()
		good, _ := r.connect()
		polling := r.open()
		read := readAll(good)
		m := engineio.NewMessage(bytes.Repeat([]byte("x"), 1000))
		sent := 0
		start := time.Now()
		for {
			if err := r.app(1).Send(m); err != nil {
				r.Fatalf("the reader was hurt: %v", err)
			}
			err := r.app(0).Send(m)
			if errors.Is(err, engineio.ErrSlow) {
				break
			}
			if err != nil {
				r.Fatal(err)
			}
			sent++
			synctest.Wait()
		}
		if time.Since(start) != 0 {
			r.Error("the sender waited")
		}
		// The first message found the queue empty and does not count; what is
		// being written does.
		if want := 64<<10/1005 + 1; sent != want { // 4 bytes of header, the type
			r.Errorf("messages taken: got %d, want %d", sent, want)
		}
		r.wantReason(0, "slow")
		if err := r.app(0).Send(m); !errors.Is(err, engineio.ErrClosed) {
			r.Errorf("Send after the close: got %v", err)
		}
		// What was being written still arrives, what waited does not.
		r.wantText(slow, "4"+strings.Repeat("x", 1000))
		r.wantClose(slow, 1008)
		if got := len(read()); got != sent+1 {
			r.Errorf("the other got %d messages, want %d", got, sent+1)
		}
		r.wantReason(1, "")
		r.wantReason(2, "")
		r.want(r.post(polling, "4x"), 200, "ok")
	}, calm, func(c *engineio.Config) { c.QueueBytes = 64 << 10 })
}

// A peer that takes nothing at all is cut off after the write timeout.
func TestSlowConsumerThatNeverReads(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		send(r, r.app(0), "stuck")
		synctest.Wait()
		send(r, r.app(0), strings.Repeat("x", 2000)) // larger than the bound, and the first such
		if err := r.app(0).Send(engineio.NewMessage(make([]byte, 2000))); !errors.Is(err, engineio.ErrSlow) {
			r.Fatalf("Send: got %v", err)
		}
		r.wantReason(0, "slow")
		if n := r.srv.Known(); n != 1 {
			r.Errorf("known sessions: got %d, want 1 that is being written to", n)
		}
		r.sleep(10*time.Second + 1)
		if n := r.srv.Known(); n != 0 {
			r.Errorf("known sessions: got %d", n)
		}
		if _, _, err := c.Read(); err == nil {
			r.Error("the connection is still open")
		}
	}, calm, func(c *engineio.Config) { c.QueueBytes = 1000 })
}

func TestSlowPoller(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		m := engineio.NewMessage(nil)
		for range 10 {
			if err := a.Send(m); err != nil {
				r.Fatal(err)
			}
		}
		r.want(r.get(p), 200, strings.Repeat("4\x1e", 9)+"4")
		if err := a.Send(m); err != nil {
			r.Fatal(err)
		}
		if err := a.Send(slices.Repeat([]*engineio.Message{m}, 11)...); !errors.Is(err, engineio.ErrSlow) {
			r.Fatalf("Send of 11 behind 1: got %v", err)
		}
		r.wantReason(0, "slow")
		r.unknown(r.get(p))
	}, calm, func(c *engineio.Config) { c.QueueMessages = 10 })
}

// A batch that finds the queue empty is taken whatever its size, and small
// ones behind it are not refused for it.
func TestLargeBatchOnEmptyQueue(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		a := r.app(0)
		large := strings.Repeat("x", 5000)
		for range 3 {
			send(r, a, large, large)
			send(r, a, "small")
			r.wantText(c, "4"+large)
			r.wantText(c, "4"+large)
			r.wantText(c, "4small")
			if err := a.Flushed(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
		send(r, a, large)
		send(r, a, "small")
		if err := a.Send(engineio.NewMessage([]byte(large))); !errors.Is(err, engineio.ErrSlow) {
			r.Errorf("Send of a large message behind a small one: got %v", err)
		}
	}, calm, func(c *engineio.Config) { c.QueueBytes = 1000 })
}

// Whether a small message is still on its way when a large one comes is up to
// the network, and must not decide about the session. A second large one is too
// much, and the small ones count as ever.
func TestLargeBatchBehindSmallOnes(t *testing.T) {
	large, small := strings.Repeat("x", 5000), strings.Repeat("y", 295) // 300 with type and header
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		a := r.app(0)
		for range 3 {
			send(r, a, "stuck")
			synctest.Wait()
			send(r, a, small)
			send(r, a, large)
			send(r, a, small)
			r.wantText(c, "4stuck")
			synctest.Wait() // a write of the rest is stuck
			send(r, a, small)
			for _, want := range []string{small, large, small, small} {
				r.wantText(c, "4"+want)
			}
			if err := a.Flushed(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
		send(r, a, "stuck")
		synctest.Wait()
		send(r, a, small)
		send(r, a, large)
		send(r, a, small)
		send(r, a, small)
		if err := a.Send(engineio.NewMessage([]byte(small))); !errors.Is(err, engineio.ErrSlow) {
			r.Errorf("Send of a small message too many: got %v", err)
		}
	}, calm, func(c *engineio.Config) { c.QueueBytes = 1000 })
	bubble(t, func(r *rig) {
		r.connect()
		a := r.app(0)
		send(r, a, "stuck")
		synctest.Wait()
		send(r, a, large)
		if err := a.Send(engineio.NewMessage([]byte(large))); !errors.Is(err, engineio.ErrSlow) {
			r.Errorf("Send of a second large message: got %v", err)
		}
	}, calm, func(c *engineio.Config) { c.QueueBytes = 1000 })
	bubble(t, func(r *rig) { // on polling, where all waits until the client comes
		p := r.open()
		a := r.app(0)
		send(r, a, small)
		send(r, a, small)
		send(r, a, large)
		r.want(r.get(p), 200, "4"+small+"\x1e4"+small+"\x1e4"+large)
	}, calm, func(c *engineio.Config) { c.QueueBytes = 1000 })
}

func TestFlushedAndWritable(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		if a.Writable() {
			r.Error("Writable without a held poll")
		}
		if err := a.Flushed(r.Context()); err != nil {
			r.Errorf("Flushed with nothing queued: %v", err)
		}
		held := r.hold(p)
		if !a.Writable() {
			r.Error("not Writable with a held poll")
		}
		send(r, a, "x")
		<-held
		send(r, a, "y")
		flushed := make(chan error, 1)
		go func() { flushed <- a.Flushed(r.Context()) }()
		synctest.Wait()
		if len(flushed) != 0 {
			r.Error("Flushed did not wait")
		}
		r.want(r.get(p), 200, "4y")
		if err := <-flushed; err != nil {
			r.Errorf("Flushed: %v", err)
		}

		c, _ := r.connect()
		b := r.app(1)
		synctest.Wait()
		if !b.Writable() {
			r.Error("not Writable on an idle WebSocket")
		}
		send(r, b, "blocks")
		synctest.Wait()
		if b.Writable() {
			r.Error("Writable while a write is stuck")
		}
		go func() { flushed <- b.Flushed(r.Context()) }()
		synctest.Wait()
		c.Abort()
		if err := <-flushed; !errors.Is(err, engineio.ErrClosed) {
			r.Errorf("Flushed of a session that closes: got %v", err)
		}
		if b.Writable() {
			r.Error("Writable after the close")
		}
	}, calm)
}

// A handler that waits for the client to poll must not hold back the answer to the
// client's POST: some clients poll only then (E-23).
func TestFlushedAnswersThePostFirst(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		handled := make(chan error, 2)
		a.receive = func(text string) error {
			if text == "ask" {
				send(r, a, "one")
				err := a.Flushed(r.Context())
				send(r, a, "two")
				handled <- err
				return err
			}
			send(r, a, "then "+text)
			return nil
		}
		_, answer := rawPost(r, p.SID, "4ask", 4)
		early, err := answer()
		if err != nil || early.StatusCode != 200 || !early.Close {
			r.Errorf("got %v, %v, want 200 and the end of the connection: a poll that came next there would not be seen", early, err)
		}
		synctest.Wait()
		if len(handled) != 0 {
			r.Fatal("Flushed did not wait for the poll")
		}
		posted := make(chan wire.Reply, 1)
		go func() { posted <- r.post(p, "4more") }() // it waits for its turn, and is no second POST (E-27)
		synctest.Wait()
		r.want(r.get(p), 200, "4one")
		if err := <-handled; err != nil {
			r.Errorf("Flushed: %v", err)
		}
		r.want(<-posted, 200, "ok")
		r.want(r.get(p), 200, "4two\x1e4then more")
	}, calm)
}

func TestWriteTimeout(t *testing.T) {
	bubble(t, func(r *rig) {
		r.connect()
		r.sleep(time.Minute)
		send(r, r.app(0), "never read")
		r.sleep(time.Second - 1)
		r.wantReason(0, "")
		r.sleep(1)
		r.wantReason(0, "transport error") // E-43
	}, calm, func(c *engineio.Config) { c.WriteTimeout = time.Second })
}
