package config

import (
	"errors"
	"flag"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
)

// SMTP says which mail server takes the mails. Without a Host they are only logged,
// and the rest has no meaning.
type SMTP struct {
	Host     string
	Port     int
	User     string // empty: no authentication
	Password string
	From     string // an address, with a name or without
	TLS      string // required, implicit, off, or empty: as the port and the server suggest
}

func (s *SMTP) bind(f *flag.FlagSet) {
	f.StringVar(&s.Host, "smtp-host", "", "mail server that takes the mails to users (default: mails are only logged)")
	f.IntVar(&s.Port, "smtp-port", 587, "its port")
	f.StringVar(&s.User, "smtp-user", "", "user there (default: no authentication)")
	f.StringVar(&s.Password, "smtp-pass", "", "password of that user")
	f.StringVar(&s.From, "smtp-from", "", "address that mails come from, such as Larder <board@example.org> (default: smtp-user, if it is an address)")
	f.StringVar(&s.TLS, "smtp-tls", "", "TLS to the mail server: required (STARTTLS), implicit, or off (default: implicit on port 465, else STARTTLS when the server has it)")
}

// validate returns the settings with the sender filled in, or the flag that is at
// fault.
func (s SMTP) validate() (_ SMTP, flagName string, err error) {
	if s.Host == "" {
		return SMTP{}, "", nil
	}
	if strings.ContainsFunc(s.Host, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '/' }) {
		return s, "smtp-host", fmt.Errorf("%q is no host; the port goes to SMTP_PORT", s.Host)
	}
	if s.Port < 1 || s.Port > 65535 {
		return s, "smtp-port", fmt.Errorf("%d is not a port", s.Port)
	}
	if (s.User == "") != (s.Password == "") {
		return s, "smtp-user", errors.New("user and password go together")
	}
	switch s.TLS {
	case "", "required", "implicit", "off":
	default:
		return s, "smtp-tls", fmt.Errorf("%q is none of required, implicit, off", s.TLS)
	}
	if s.From == "" {
		if _, err := mail.ParseAddress(s.User); err != nil {
			return s, "smtp-from", errors.New("is needed with SMTP_HOST")
		}
		s.From = s.User
	}
	if _, err := mail.ParseAddress(s.From); err != nil {
		return s, "smtp-from", fmt.Errorf("%q is not an address such as Larder <board@example.org>", s.From)
	}
	return s, "", nil
}
