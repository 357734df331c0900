package cli_test

import (
	"net"
	"testing"
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
