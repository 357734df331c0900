package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Ways to encrypt the connection to the mail server.
const (
	TLSAuto     = ""         // Implicit on port 465, else STARTTLS when the server offers it
	TLSRequired = "required" // STARTTLS, or no mail
	TLSImplicit = "implicit" // from the first byte
	TLSOff      = "off"
)

// implicitPort is where mail servers expect TLS from the first byte.
const implicitPort = 465

// Server says which mail server takes the mails. Without a Host there is none.
type Server struct {
	Host     string
	Port     int
	User     string // empty: no authentication
	Password string // sent over TLS only, or to this machine
	From     string // an address, with a name or without
	TLS      string // one of the ways above
	// Roots vouch for the certificate of the server; nil: those of the system.
	Roots *x509.CertPool
	// Dial opens a connection; nil: over TCP.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// sendTime bounds the sending of one mail, whatever the server does. It is shorter
// than the shortest wait before the next try, so that two nodes never send one mail
// at once, as long as their clocks are less than the difference apart.
const sendTime = 30 * time.Second

// failure is why a mail was not sent, in words that hold no address of anybody.
type failure struct {
	text  string
	final bool // another try would not help
}

func (f *failure) Error() string { return f.text }

// send gives one message to the server. An error is a *failure.
func (s Server) send(ctx context.Context, m message, id string) error {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(s.From), msg.To(m.to.Email)); err != nil {
		return &failure{text: "an address is not valid", final: true}
	}
	msg.Subject(m.subject)
	msg.SetMessageIDWithValue(id + "@" + domain(s.From))
	msg.SetDate()
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetBodyString(gomail.TypeTextPlain, m.body)

	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	client, err := s.client(ctx)
	if err != nil {
		return &failure{text: err.Error()}
	}
	conn, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return &failure{text: "connect: " + err.Error()}
	}
	defer client.CloseWithSMTPClient(conn) //nolint:errcheck // whatever comes of it, the mail is taken or not
	err = client.SendWithSMTPClient(conn, msg)
	if msg.IsDelivered() { // what failed after that does not matter
		return nil
	}
	return explain(err)
}

// explain says in words of its own why the server did not take a mail: its own may
// hold the address.
func explain(err error) *failure {
	refused, ok := errors.AsType[*gomail.SendError](err)
	if !ok {
		return &failure{text: "the connection broke"}
	}
	f := &failure{text: refused.Reason.String()}
	if code := refused.ErrorCode(); code != 0 {
		f.text += fmt.Sprintf(": the server answered %d", code)
		f.final = refused.Reason == gomail.ErrSMTPRcptTo && code >= 500
	}
	return f
}

// client returns a client whose connection is cut when ctx ends.
func (s Server) client(ctx context.Context) (*gomail.Client, error) {
	implicit := s.TLS == TLSImplicit || s.TLS == TLSAuto && s.Port == implicitPort
	dial := s.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	encryption := &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	opts := []gomail.Option{
		gomail.WithPort(s.Port), gomail.WithTimeout(sendTime), gomail.WithTLSConfig(encryption),
		gomail.WithDialContextFunc(func(dialing context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(dialing, network, address)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, func() { _ = conn.Close() })
			if implicit {
				return tls.Client(conn, encryption), nil
			}
			return conn, nil
		}),
	}
	switch {
	case s.TLS == TLSRequired:
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case s.TLS == TLSOff:
		opts = append(opts, gomail.WithTLSPolicy(gomail.NoTLS))
	default: // on a connection that is encrypted already no server offers STARTTLS
		opts = append(opts, gomail.WithTLSPolicy(gomail.TLSOpportunistic))
	}
	if s.User != "" {
		opts = append(opts, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover), gomail.WithUsername(s.User), gomail.WithPassword(s.Password))
	}
	return gomail.NewClient(s.Host, opts...)
}

// domain is that of the sender, for ids.
func domain(from string) string {
	if a, err := netmail.ParseAddress(from); err == nil {
		from = a.Address
	}
	return from[strings.LastIndex(from, "@")+1:]
}
