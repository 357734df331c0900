package cli

import (
	"context"
	"net"
	"strconv"
	"time"

	"larder/internal/config"
	"larder/internal/media"
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

// objectStore tries the configured object store as a server uses it. A server starts
// without it, and refuses every photo.
func (d *checkup) objectStore(ctx context.Context, cfg config.Config) {
	if cfg.S3.Endpoint == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	name := "bucket " + cfg.S3.Bucket + " at " + cfg.S3.Endpoint
	bucket, err := media.NewBucket(media.BucketConfig(cfg.S3))
	if err == nil {
		err = bucket.Try(ctx)
		_ = bucket.Close()
	}
	if err != nil {
		d.fail("%s: %v", name, err)
		return
	}
	d.ok("%s: files can be written, read and removed", name)
}
