package engineio_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// The first ping comes early by up to a quarter, never late; later ones a
// whole interval after the pong.
func TestPingsAreTimedFromThePong(t *testing.T) {
	early := false
	for range 20 {
		bubble(t, func(r *rig) {
			start := time.Now()
			c, _ := r.connect()
			r.wantText(c, "2")
			first := time.Since(start)
			if first > interval || first < interval*3/4 {
				r.Errorf("first ping after %v, want between 3/4 and all of %v", first, interval) // E-58
			}
			early = early || first < interval
			r.sleep(150 * time.Millisecond)
			r.text(c, "3")
			ponged := time.Now()
			r.wantText(c, "2")
			if d := time.Since(ponged); d != interval {
				r.Errorf("second ping %v after the pong, want %v", d, interval) // E-55
			}
		})
	}
	if !early {
		t.Error("20 first pings were not spread")
	}
}

func TestBusyConnectionIsPinged(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		for pings := 0; pings < 3; {
			r.text(c, "4x")
			switch got := r.read(c); got {
			case "4x":
				r.sleep(10 * time.Millisecond)
			case "2":
				pings++ // E-56
				r.text(c, "3")
				r.wantText(c, "4x")
			default:
				r.Fatalf("frame: got %q", got)
			}
		}
	})
}

// Data does not replace the pong.
func TestBusyConnectionWithoutPongIsClosed(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		start := time.Now()
		for r.app(0).reason() == "" {
			if r.post(p, "4x").Status == 400 {
				break
			}
			r.get(p)
			r.sleep(7 * time.Millisecond)
		}
		if d := time.Since(start); d > interval+timeout+7*time.Millisecond {
			r.Errorf("closed after %v", d)
		}
		r.wantReason(0, "ping timeout")
	})
}

// A ping that no poll has fetched is timed all the same, and a pong in time,
// to the last instant, keeps the session.
func TestPongAtTheLastInstant(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.get(p), 200, "2")
		pinged := time.Now()
		r.sleep(timeout - 1)
		r.want(r.post(p, "3"), 200, "ok")
		r.want(r.get(p), 200, "2")
		if d := time.Since(pinged); d != timeout-1+interval {
			r.Errorf("next ping after %v", d)
		}
		r.sleep(timeout) // E-59: at the deadline is too late
		r.unknown(r.post(p, "3"))
		r.wantReason(0, "ping timeout")
	})
}

func TestPongNobodyAskedForChangesNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		start := time.Now()
		r.sleep(100 * time.Millisecond)
		r.text(c, "3") // E-37
		r.wantText(c, "2")
		if d := time.Since(start); d > interval {
			r.Errorf("first ping after %v, want %v at most", d, interval)
		}
	})
}

func TestHeldPollEndsAtPingTimeout(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.get(p), 200, "2")
		r.want(r.get(p), 200, "1")
		r.wantReason(0, "ping timeout")
		r.unknown(r.get(p))
	})
}

func TestPingOverPollingIsAnsweredOnTheWebSocket(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.get(p), 200, "2")
		c := r.upgraded(p) // E-50
		r.text(c, "3")
		r.wantText(c, "2")
		r.text(c, "3")
		r.wantText(c, "2")
	})
}

// A ping that waits when the upgrade comes leaves on the WebSocket.
func TestPingCrossesTheUpgrade(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.sleep(interval)
		synctest.Wait()
		c := r.upgraded(p)
		r.wantText(c, "2")
	})
}
