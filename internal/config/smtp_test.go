package config_test

import (
	"maps"
	"strings"
	"testing"

	"larder/internal/config"
)

func TestSMTP(t *testing.T) {
	base := map[string]string{"SMTP_HOST": "mail.example.org", "SMTP_USER": "u@example.org", "SMTP_PASS": "p", "SMTP_FROM": "Larder <board@example.org>"}
	good := config.SMTP{Host: "mail.example.org", Port: 587, User: "u@example.org", Password: "p", From: "Larder <board@example.org>"}
	open, other, user := good, good, good
	open.User, open.Password = "", ""
	other.Port, other.TLS = 2525, "off"
	user.From = "u@example.org"
	for name, c := range map[string]struct {
		change map[string]string
		want   config.SMTP
		fault  string
	}{
		"all":                       {nil, good, ""},
		"nobody asks who":           {map[string]string{"SMTP_USER": "", "SMTP_PASS": ""}, open, ""},
		"port and no TLS":           {map[string]string{"SMTP_PORT": "2525", "SMTP_TLS": "off"}, other, ""},
		"from the user":             {map[string]string{"SMTP_FROM": ""}, user, ""},
		"a template, not filled in": {map[string]string{"SMTP_HOST": "", "SMTP_PORT": "0", "SMTP_FROM": "you"}, config.SMTP{}, ""},
		"host and port in one":      {map[string]string{"SMTP_HOST": "smtp://mail.example.org"}, good, "SMTP_HOST"},
		"no port":                   {map[string]string{"SMTP_PORT": "70000"}, good, "SMTP_PORT"},
		"no password":               {map[string]string{"SMTP_PASS": ""}, good, "SMTP_USER"},
		"no sender":                 {map[string]string{"SMTP_FROM": "", "SMTP_USER": "u"}, good, "SMTP_FROM"},
		"sender of two lines":       {map[string]string{"SMTP_FROM": "a@example.org\r\nBcc: b@example.org"}, good, "SMTP_FROM"},
		"two senders":               {map[string]string{"SMTP_FROM": "a@example.org, b@example.org"}, good, "SMTP_FROM"},
		"some TLS":                  {map[string]string{"SMTP_TLS": "perhaps"}, good, "SMTP_TLS"},
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
		if err != nil || got.SMTP != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", name, got.SMTP, err, c.want)
		}
	}
}
