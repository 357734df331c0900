package config_test

import (
	"maps"
	"strings"
	"testing"

	"larder/internal/config"
)

func TestS3(t *testing.T) {
	base := map[string]string{"S3_ENDPOINT": "s3.example.org", "S3_BUCKET": "b", "S3_ACCESS_KEY": "k", "S3_SECRET_KEY": "s"}
	good := config.S3{Endpoint: "s3.example.org", Bucket: "b", AccessKey: "k", SecretKey: "s", Secure: true}
	plain, port := good, good
	plain.Secure = false
	port.Endpoint, port.Secure = "127.0.0.1:9000", false
	for name, c := range map[string]struct {
		change map[string]string
		want   config.S3
		fault  string
	}{
		"all":                  {nil, good, ""},
		"without TLS":          {map[string]string{"S3_USE_SSL": "false"}, plain, ""},
		"with a scheme":        {map[string]string{"S3_ENDPOINT": "https://s3.example.org/", "S3_USE_SSL": "false"}, good, ""},
		"another scheme":       {map[string]string{"S3_ENDPOINT": "http://127.0.0.1:9000"}, port, ""},
		"with a path":          {map[string]string{"S3_ENDPOINT": "s3.example.org/bucket"}, good, "S3_ENDPOINT"},
		"no endpoint":          {map[string]string{"S3_ENDPOINT": ""}, good, "S3_ENDPOINT"},
		"no bucket":            {map[string]string{"S3_BUCKET": ""}, good, "S3_BUCKET"},
		"no key":               {map[string]string{"S3_ACCESS_KEY": ""}, good, "S3_ACCESS_KEY"},
		"no secret":            {map[string]string{"S3_SECRET_KEY": ""}, good, "S3_SECRET_KEY"},
		"neither true nor not": {map[string]string{"S3_USE_SSL": "perhaps"}, good, "S3_USE_SSL"},
	} {
		env := maps.Clone(base)
		maps.Copy(env, c.change)
		got, err := load(t, nil, env, "")
		if c.fault != "" {
			if err == nil || !strings.HasPrefix(err.Error(), c.fault+":") {
				t.Errorf("%s: got %v, want a fault of %s", name, err, c.fault)
			}
			continue
		}
		if err != nil || got.S3 != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got.S3, err, c.want)
		}
	}
}
