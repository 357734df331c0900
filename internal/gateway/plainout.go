package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/gobwas/ws"

	"larder/api"
	"larder/engineio"
)

func (c *plainConn) sendFrame(f api.Frame) {
	body, err := json.Marshal(f)
	if err != nil {
		c.g.log.Error("frame can't be encoded", "event", f.Event, "err", err)
		return
	}
	c.send(ws.MustCompileFrame(ws.NewTextFrame(body)))
}

// send queues a frame and never waits for the client. A client that does not keep
// up is cut: it comes back and resumes. It says whether the frame was taken.
func (c *plainConn) send(frame []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return false
	}
	if !c.backlog.add(frame) {
		c.endLocked(engineio.ReasonSlow)
		c.backlog.drop()
		c.g.log.Info("client is too slow", "user_id", c.at.accountID, "door", "plain")
		_ = c.conn.Close() // ends reader and writer
		return false
	}
	c.writeLocked()
	return true
}

// endLocked lets nothing more in. The first reason counts.
func (c *plainConn) endLocked(reason engineio.Reason) {
	c.ending = true
	if c.reason == "" {
		c.reason = reason
	}
}

// close queues the close frame; nothing is sent after it.
func (c *plainConn) close(code ws.StatusCode, text string, reason engineio.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.closeLocked(code, text, reason)
	}
}

func (c *plainConn) closeLocked(code ws.StatusCode, text string, reason engineio.Reason) {
	c.endLocked(reason)
	c.backlog.force(closeFrame(code, text))
	c.writeLocked()
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime)) // the peer's answer, if it comes
}

func closeFrame(code ws.StatusCode, text string) []byte {
	text = text[:min(len(text), ws.MaxControlFramePayloadSize-2)]
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(code, text)))
}

// hurry bounds what is still being written by lingerTime.
func (c *plainConn) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurryLocked()
}

func (c *plainConn) hurryLocked() {
	c.hurried = true
	_ = c.conn.SetWriteDeadline(time.Now().Add(lingerTime))
}

// writeLocked sees to it that what waits is written.
func (c *plainConn) writeLocked() {
	if !c.writing {
		c.writing = true
		c.g.own.wait.Go(c.write)
	}
}

// write writes what waits until nothing is left.
func (c *plainConn) write() {
	for {
		c.mu.Lock()
		piece := c.backlog.take()
		if len(piece) == 0 {
			c.writing = false
			if c.idle != nil {
				close(c.idle)
				c.idle = nil
			}
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		err := c.writePiece(piece)
		c.mu.Lock()
		c.backlog.wrote(piece)
		if err != nil {
			c.endLocked(writeReason(err))
			c.backlog.drop()
		}
		c.mu.Unlock()
		if err != nil {
			_ = c.conn.Close()
		}
	}
}

// writePiece gives the client writeTimeout for each part of a piece: who reads a
// snapshot slowly reads.
func (c *plainConn) writePiece(piece []byte) error {
	for part := range slices.Chunk(piece, maxPiece) {
		c.mu.Lock()
		var err error
		if !c.hurried {
			err = c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()
		if err == nil {
			_, err = c.conn.Write(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeReason is why a connection ends that could not be written to.
func writeReason(err error) engineio.Reason {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return engineio.ReasonSlow
	}
	return engineio.ReasonTransportError
}

// flushed waits until everything queued has been written, or the connection or
// ctx has ended.
func (c *plainConn) flushed(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.ending {
			c.mu.Unlock()
			return errClosed
		}
		if !c.writing {
			c.mu.Unlock()
			return nil
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return fmt.Errorf("client does not read: %w", context.Cause(ctx))
		}
	}
}

// finish lets the last frames go out, waits briefly for the peer to close, and
// closes the connection.
func (c *plainConn) finish() {
	c.g.own.pause(c) // not forgotten: a stop still has to hurry it
	c.close(ws.StatusNormalClosure, "", engineio.ReasonTransportClose)
	for {
		c.mu.Lock()
		if !c.writing {
			c.mu.Unlock()
			break
		}
		if c.idle == nil {
			c.idle = make(chan struct{})
		}
		idle := c.idle
		c.mu.Unlock()
		<-idle // bounded by the write timeout
		// What close gave the peer for its answer may have gone by meanwhile.
		_ = c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	}
	// Unread data would make the kernel reset the connection under our last frames.
	_, _ = io.Copy(io.Discard, io.LimitReader(c.conn, maxMessage))
	_ = c.conn.Close()
}
