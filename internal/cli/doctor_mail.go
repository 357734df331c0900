package cli

import (
	"context"
	"net"
	"strconv"
	"time"

	"larder/internal/config"
)

// mailServer says whether the configured mail server can be reached. Larder runs
// without it, so that is no more than a hint.
func (d *checkup) mailServer(ctx context.Context, cfg config.Config) {
	if cfg.SMTP.Host == "" {
		return
	}
	address := net.JoinHostPort(cfg.SMTP.Host, strconv.Itoa(cfg.SMTP.Port))
	dialer := net.Dialer{Timeout: 5 * time.Second}
	c, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		d.hint("mail server %s: does not answer; mails are given up after about six hours", address)
		return
	}
	_ = c.Close()
	d.ok("mail server %s: answers", address)
}
