package cli_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

func TestDoctorOnTheMailServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	env := map[string]string{
		"PORT": freePort(t), "DATA_DIR": t.TempDir(), "SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_FROM": "board@example.org",
	}
	out, _, code := run(t, env, "doctor")
	wantLines(t, out, "ok   mail server 127.0.0.1:"+port+": answers")
	_ = l.Close()
	gone, _, codeGone := run(t, env, "doctor")
	wantLines(t, gone, "hint mail server 127.0.0.1:"+port+": does not answer; mails are given up after about six hours")
	if code != 0 || codeGone != 0 {
		t.Errorf("exit codes %d and %d, want 0: Larder runs without", code, codeGone)
	}
}

func TestDoctorOnTheObjectStore(t *testing.T) {
	backend := s3mem.New()
	if err := backend.CreateBucket("larder"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	refused := "" // a method
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == refused {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	look := func(bucket string) (string, int) {
		out, _, code := run(t, map[string]string{
			"PORT": freePort(t), "DATA_DIR": t.TempDir(), "S3_ENDPOINT": server.URL, "S3_BUCKET": bucket,
			"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "open sesame", "S3_REGION": "us-east-1",
		}, "doctor")
		if strings.Contains(out, "sesame") {
			t.Errorf("it tells the secret: %s", out)
		}
		return out, code
	}
	out, code := look("larder")
	wantLines(t, out, "ok   bucket larder at "+address+": files can be written, read and removed")
	left, err := backend.ListBucket("larder", nil, gofakes3.ListBucketPage{})
	if code != 0 || err != nil || len(left.Contents) != 0 {
		t.Errorf("exit code %d, left behind %v, %v", code, left, err)
	}
	for bucket, refuse := range map[string]string{"none": "", "larder": http.MethodGet} {
		refused = refuse
		out, code := look(bucket)
		if code == 0 || !strings.Contains(out, "FAIL bucket "+bucket+" at "+address+": ") {
			t.Errorf("bucket %q, refusing %q: exit code %d: %s", bucket, refuse, code, out)
		}
		refused = ""
	}
}
