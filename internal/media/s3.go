package media

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// How long an object store may take for one file. What a client is slow to read is
// bounded by whoever serves it.
const (
	bucketWriteTime  = 30 * time.Second
	bucketAnswerTime = 10 * time.Second
)

// BucketConfig says where a bucket is and how to get at it.
type BucketConfig struct {
	Endpoint             string // host, or host:port
	Bucket               string
	AccessKey, SecretKey string
	Region               string // empty: the store says
	Secure               bool   // over TLS
}

// Bucket keeps files in a bucket of an object store that speaks S3. The bucket has to
// be there. It stays private: files are served through this server.
type Bucket struct {
	client    minio.Core
	name      string
	transport *http.Transport
}

// NewBucket returns a Bucket; it does not ask the store for anything yet, so that a
// node starts while the store is away.
func NewBucket(c BucketConfig) (*Bucket, error) {
	t := &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: (&net.Dialer{Timeout: bucketAnswerTime}).DialContext, TLSHandshakeTimeout: bucketAnswerTime,
		ResponseHeaderTimeout: bucketWriteTime, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		DisableCompression: true,
	}
	client, err := minio.NewCore(c.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(c.AccessKey, c.SecretKey, ""), Secure: c.Secure, Region: c.Region, Transport: t, MaxRetries: 3,
	})
	if err != nil {
		return nil, fmt.Errorf("object store: %w", err)
	}
	return &Bucket{client: *client, name: c.Bucket, transport: t}, nil
}

// Close lets go of idle connections.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// Put writes a file; in a bucket it is whole or not there at all.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, bucketWriteTime)
	defer cancel()
	kind := "image/jpeg"
	if strings.HasSuffix(name, ".pdf") {
		kind = "application/pdf"
	}
	_, err := b.client.Client.PutObject(ctx, b.name, name, bytes.NewReader(data), int64(len(data)),
		minio.PutObjectOptions{ContentType: kind, DisableMultipart: true})
	if err != nil {
		return fmt.Errorf("keep file in bucket: %w", err)
	}
	return nil
}

// Has says whether a file is there.
func (b *Bucket) Has(ctx context.Context, name string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, bucketAnswerTime)
	defer cancel()
	_, err := b.client.StatObject(ctx, b.name, name, minio.StatObjectOptions{})
	if err = absent(err); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Open opens a file.
func (b *Bucket) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	if path.Clean(name) != name {
		return nil, 0, fs.ErrNotExist
	}
	r, info, _, err := b.client.GetObject(ctx, b.name, name, minio.GetObjectOptions{})
	if err != nil {
		return nil, 0, absent(err)
	}
	return r, info.Size, nil
}

// Remove removes a file.
func (b *Bucket) Remove(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, bucketAnswerTime)
	defer cancel()
	err := absent(b.client.RemoveObject(ctx, b.name, name, minio.RemoveObjectOptions{}))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Try writes a small file, reads it and removes it, and says what does not work.
func (b *Bucket) Try(ctx context.Context) error {
	name, want := "trial/"+rand.Text(), []byte("Larder tries whether it can keep files here.")
	if err := b.Put(ctx, name, want); err != nil {
		return err
	}
	r, _, err := b.Open(ctx, name)
	if err != nil {
		return errors.Join(fmt.Errorf("read what was written: %w", err), b.Remove(ctx, name))
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil && !bytes.Equal(got, want) {
		err = errors.New("what is read is not what was written")
	}
	if err := b.Remove(ctx, name); err != nil {
		return fmt.Errorf("remove what was written: %w", err)
	}
	return err
}

// absent gives what is not there the name that files on a disk have for it.
func absent(err error) error {
	switch {
	case err == nil:
		return nil
	case minio.ToErrorResponse(err).Code == minio.NoSuchKey:
		return fs.ErrNotExist
	}
	return fmt.Errorf("object store: %w", err)
}
