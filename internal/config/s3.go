package config

import (
	"errors"
	"flag"
	"fmt"
	"net/url"
	"strings"
)

// S3 says where files are kept that are not kept in the data folder. It is in use
// when Endpoint is not empty.
type S3 struct {
	Endpoint             string // host, or host:port
	Bucket               string
	AccessKey, SecretKey string
	Region               string
	Secure               bool // over TLS
}

func (s *S3) bind(f *flag.FlagSet) {
	f.StringVar(&s.Endpoint, "s3-endpoint", "", "object store that keeps photos and certificates, HOST or HOST:PORT (default: media in the data folder)")
	f.StringVar(&s.Bucket, "s3-bucket", "", "its bucket, which must be there and private")
	f.StringVar(&s.AccessKey, "s3-access-key", "", "key that may read, write and delete there")
	f.StringVar(&s.SecretKey, "s3-secret-key", "", "its secret")
	f.StringVar(&s.Region, "s3-region", "", "region of the bucket (default: asked of the store)")
	f.BoolVar(&s.Secure, "s3-use-ssl", true, "TLS to the object store")
}

// validate returns the settings with the scheme off the endpoint, or the flag that is
// at fault.
func (s S3) validate() (_ S3, flagName string, err error) {
	if s.Endpoint == "" {
		if s.Bucket != "" || s.AccessKey != "" || s.SecretKey != "" {
			return s, "s3-endpoint", errors.New("is needed with the other S3 settings")
		}
		return S3{}, "", nil
	}
	if scheme, host, ok := strings.Cut(s.Endpoint, "://"); ok && (scheme == "https" || scheme == "http") {
		s.Endpoint, s.Secure = host, scheme == "https"
	}
	s.Endpoint = strings.TrimSuffix(s.Endpoint, "/")
	if u, err := url.Parse("http://" + s.Endpoint); err != nil || u.Host != s.Endpoint || u.Hostname() == "" {
		return s, "s3-endpoint", fmt.Errorf("%q is neither HOST nor HOST:PORT", s.Endpoint)
	}
	for name, value := range map[string]string{"s3-bucket": s.Bucket, "s3-access-key": s.AccessKey, "s3-secret-key": s.SecretKey} {
		if value == "" {
			return s, name, errors.New("is needed with S3_ENDPOINT")
		}
	}
	return s, "", nil
}
