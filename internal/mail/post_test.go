package mail_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// post is a mail server that does what a test wants.
type post struct {
	// answer decides about a command: the reply, empty for yes, "stall" to say
	// nothing more, "drop" to break the connection. It is asked at EHLO, RCPT, DATA
	// and QUIT; DATA when the mail is there. to is the recipient so far.
	answer func(command, to string) string
	offers []string // extensions

	// certificate is shown after STARTTLS, or with implicit at once; nil: it has none.
	certificate *tls.Certificate
	implicit    bool

	mu       sync.Mutex // guards what follows
	letters  []letter
	commands []string // those that came encrypted begin with a lock
}

// lock is what stands before a command that came encrypted.
const lock = "🔒 "

// letter is a mail that arrived, taken or not.
type letter struct {
	to    string
	text  string
	taken bool
	at    time.Time
	*netmail.Message
}

// serve takes connections until the end of the test.
func (p *post) serve(t *testing.T, l net.Listener) {
	var group sync.WaitGroup
	over := make(chan struct{})
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close()
				done := make(chan struct{})
				defer close(done)
				group.Go(func() {
					select {
					case <-over:
						c.Close()
					case <-done:
					}
				})
				p.talk(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		close(over)
		group.Wait()
	})
}

func (p *post) talk(c net.Conn) {
	in, mark := bufio.NewReader(c), ""
	encrypt := func() {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*p.certificate}})
		in, mark = bufio.NewReader(c), lock
	}
	if p.implicit {
		encrypt()
	}
	say := func(text string) bool { _, err := io.WriteString(c, text+"\r\n"); return err == nil }
	say("220 post")
	to := ""
	for {
		command, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command = strings.TrimRight(command, "\r\n")
		p.mu.Lock()
		p.commands = append(p.commands, mark+command)
		p.mu.Unlock()
		verb := strings.ToUpper(strings.Fields(command + " ?")[0])
		reply, text := "250 yes", ""
		switch verb {
		case "EHLO":
			reply = "250-post\r\n"
			for _, o := range p.offers {
				reply += "250-" + o + "\r\n"
			}
			if p.certificate != nil && mark == "" {
				reply += "250-STARTTLS\r\n"
			}
			reply += "250 8BITMIME"
		case "STARTTLS":
			say("220 go on")
			encrypt()
			continue
		case "AUTH":
			reply = "235 welcome"
		case "MAIL":
			to = ""
		case "RCPT":
			to = strings.Trim(command[len("RCPT TO:"):], "<>")
		case "DATA":
			say("354 go on")
			if text, err = readData(in); err != nil {
				return
			}
		case "QUIT":
			reply = "221 bye"
		}
		if p.answer != nil {
			switch other := p.answer(verb, to); other {
			case "":
			case "stall":
				_, _ = io.Copy(io.Discard, in)
				return
			case "drop":
				if verb == "DATA" {
					p.keep(to, text, false)
				}
				return
			default:
				reply = other
			}
		}
		if verb == "DATA" {
			p.keep(to, text, strings.HasPrefix(reply, "2"))
		}
		if !say(reply) || verb == "QUIT" {
			return
		}
	}
}

func readData(in *bufio.Reader) (string, error) {
	var text strings.Builder
	for {
		s, err := in.ReadString('\n')
		if err != nil || s == ".\r\n" {
			return text.String(), err
		}
		text.WriteString(strings.TrimPrefix(s, "."))
	}
}

func (p *post) keep(to, text string, taken bool) {
	m, err := netmail.ReadMessage(strings.NewReader(text))
	if err != nil {
		m = &netmail.Message{Header: netmail.Header{"Broken": {err.Error()}}, Body: strings.NewReader("")}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.letters = append(p.letters, letter{to, text, taken, time.Now(), m})
}

// all returns what has arrived.
func (p *post) all() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]letter(nil), p.letters...)
}

// heads lists what was taken as "recipient: subject".
func (p *post) heads() (list []string) {
	for _, l := range p.all() {
		if l.taken {
			list = append(list, fmt.Sprintf("%s: %s", strings.TrimSuffix(l.to, "@example.org"), l.Header.Get("Subject")))
		}
	}
	return list
}
