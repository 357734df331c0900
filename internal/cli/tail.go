package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"larder/api"
	"larder/client"
)

// tail shows live events until ctx ends, which is no failure.
func tail(ctx context.Context, env Env, args []string) error {
	f := newFlags(env, "tail", "tail [--url U] --token T | --email E [--password P] [--after POSITION] [--json]")
	url := f.String("url", fromEnv(env, "LARDER_URL", defaultURL), "where the server is (LARDER_URL)")
	var who signIn
	f.StringVar(&who.token, "token", "", "token to sign in with (LARDER_TOKEN)")
	f.StringVar(&who.email, "email", "", "e-mail to sign in with (LARDER_EMAIL)")
	f.StringVar(&who.password, "password", "", "its password; on a shared machine rather LARDER_PASSWORD or standard input")
	after := f.String("after", "", "position to begin after (default: what happens from now on)")
	asJSON := f.Bool("json", false, "one JSON object per line")
	namespace := f.String("namespace", "/donations", "Socket.IO namespace")
	if err := parseOnly(f, args); err != nil {
		return err
	}
	c, err := client.New(client.Config{BaseURL: *url, Namespace: *namespace})
	if err != nil {
		return usageError{err.Error()}
	}
	defer c.Close()
	err = who.signIn(ctx, env, c)
	if err == nil {
		t := &tailer{out: env.Stdout, err: env.Stderr, json: *asJSON, colour: coloured(env), names: map[string]string{}}
		err = t.follow(ctx, c, *after)
	}
	if ctx.Err() != nil { // Ctrl-C
		return nil
	}
	return err
}

const defaultURL = "http://localhost:3000"

// parseOnly parses a command line that takes flags alone.
func parseOnly(f *flag.FlagSet, args []string) error {
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
		return usageError{err.Error()}
	case f.NArg() > 0:
		return usageError{fmt.Sprintf("unexpected argument %q", f.Arg(0))}
	}
	return nil
}

func fromEnv(env Env, key, otherwise string) string {
	v, _ := env.LookupEnv(key)
	return cmp.Or(v, otherwise)
}

// signIn is how a command line signs in.
type signIn struct{ token, email, password string }

// signIn gives c a token. What stands on the command line counts before the
// environment.
func (s signIn) signIn(ctx context.Context, env Env, c *client.Client) error {
	if s.token == "" && s.email == "" {
		s.token, s.email = fromEnv(env, "LARDER_TOKEN", ""), fromEnv(env, "LARDER_EMAIL", "")
	}
	if s.token != "" {
		c.SetToken(s.token)
		return nil
	}
	if s.email == "" {
		return usageError{"sign in with --token, or with --email and --password (LARDER_TOKEN, LARDER_EMAIL, LARDER_PASSWORD)"}
	}
	if s.password == "" {
		var err error
		if s.password, err = askPassword(env); err != nil {
			return err
		}
	}
	if _, err := c.Login(ctx, s.email, s.password); err != nil {
		return fmt.Errorf("sign in at %s: %w", c.BaseURL(), err)
	}
	return nil
}

// coloured says whether stdout wants colours: a terminal, and nobody who said no
// (https://no-color.org).
func coloured(env Env) bool {
	f, ok := env.Stdout.(*os.File)
	if !ok || fromEnv(env, "NO_COLOR", "") != "" || fromEnv(env, "TERM", "") == "dumb" {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// tailer prints events to out and the state of the connection to err.
type tailer struct {
	out, err     io.Writer
	json, colour bool
	names        map[string]string // of donations, as far as they were seen
	trouble      string            // the last reason for which there was no connection; empty: there is one
	connected    bool              // ever
}

const (
	maxNames     = 10_000 // of donations that a tail remembers
	learnTimeout = 2 * time.Second
)

func (t *tailer) follow(ctx context.Context, c *client.Client, after string) error {
	if !t.json {
		t.learn(ctx, c)
	}
	for ev, err := range c.Watch(ctx, client.WatchOptions{After: after, OnState: t.state}) {
		if err != nil {
			return err
		}
		if err := t.show(ev); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// learn reads the names of what is on the board, so that lines about it say more
// than an id. Without them they still say that.
func (t *tailer) learn(ctx context.Context, c *client.Client) {
	ctx, cancel := context.WithTimeout(ctx, learnTimeout)
	defer cancel()
	list, _, err := c.Donations(ctx, client.ListOptions{Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP"}})
	if err != nil {
		return
	}
	for _, d := range list {
		t.remember(d.ID, d.Name)
	}
}

func (t *tailer) state(s client.State) {
	switch s.Kind {
	case client.StateConnected:
		t.trouble, t.connected = "", true
		fmt.Fprintf(t.err, "connected, position %s, signed in as %s %s\n", printable(s.Position), printable(s.User.Role), printable(s.User.ID))
	case client.StateResumed:
		if s.Missed > 0 {
			fmt.Fprintf(t.err, "resumed, %s missed and shown\n", count(s.Missed, "event"))
		} else {
			fmt.Fprintln(t.err, "resumed, nothing was missed")
		}
	case client.StateLost:
		if s.Err.Error() == t.trouble { // said already
			return
		}
		t.trouble = s.Err.Error()
		what := "connection lost"
		if !t.connected {
			what = "no connection yet"
		}
		fmt.Fprintf(t.err, "%s, trying again: %s\n", what, printable(t.trouble))
	}
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return strconv.Itoa(n) + " " + what
}

// show prints one event, as one line whatever is in it.
func (t *tailer) show(ev client.Event) error {
	if ev.Gap != "" {
		fmt.Fprintf(t.err, "some of what happened can't be told any more (%s); going on after %s\n", printable(ev.Gap), printable(ev.Position))
	}
	if t.json {
		line, err := json.Marshal(struct {
			Position string          `json:"position,omitempty"`
			Event    string          `json:"event,omitempty"`
			Gap      string          `json:"gap,omitempty"`
			Data     json.RawMessage `json:"data,omitempty"`
		}{ev.Position, ev.Name, ev.Gap, ev.Data})
		if err != nil {
			return err
		}
		_, err = t.out.Write(append(line, '\n'))
		return err
	}
	if ev.Gap != "" {
		return nil
	}
	s := t.say(ev)
	name := fmt.Sprintf("%-23s", printable(ev.Name))
	if t.colour {
		name = "\x1b[" + s.colour + "m" + name + "\x1b[0m"
	}
	_, err := fmt.Fprintf(t.out, "%s  %s  %-8s  %s\n", s.at.Local().Format(time.TimeOnly), name, shortID(s.id), printable(s.words))
	return err
}

// sentence is an event in words.
type sentence struct {
	at     time.Time
	id     string // of the donation
	words  string
	colour string // as in ESC [ … m
}

const (
	green  = "32"
	yellow = "33"
	cyan   = "36"
	red    = "31"
	grey   = "90"
)

// say puts an event into words. One that it does not know, or that does not
// decode, is shown as it came.
func (t *tailer) say(ev client.Event) sentence {
	s := sentence{at: time.Now(), words: string(ev.Data), colour: grey}
	switch ev.Name {
	case api.EventDonationCreated:
		var d api.DonationCreated
		if json.Unmarshal(ev.Data, &d) == nil {
			t.remember(d.ID, d.Name)
			s = sentence{d.CreatedAt.Time, d.ID, created(d), green}
		}
	case api.EventDonationClaimed:
		var d api.DonationClaimed
		if json.Unmarshal(ev.Data, &d) == nil {
			s = sentence{d.ClaimedAt.Time, d.DonationID, t.name(d.DonationID) + " was claimed by " + shortID(d.ClaimedBy), yellow}
		}
	case api.EventDonationStatusUpdated:
		var d api.DonationStatusUpdated
		if json.Unmarshal(ev.Data, &d) == nil {
			words, colour := statusChange(d)
			s = sentence{d.UpdatedAt.Time, d.DonationID, t.name(d.DonationID) + " " + words, colour}
		}
	case api.EventDonationNearExpiry:
		var d api.DonationNearExpiry
		if json.Unmarshal(ev.Data, &d) == nil {
			s = sentence{s.at, d.DonationID, t.name(d.DonationID) + " expires at " + d.ExpiryTime.Local().Format(time.TimeOnly), yellow}
		}
	case api.EventVolunteerAssigned:
		var v api.VolunteerAssigned
		if json.Unmarshal(ev.Data, &v) == nil {
			s = sentence{v.CreatedAt.Time, v.DonationID, v.DonationName + " is proposed to " + shortID(v.VolunteerID), cyan}
		}
	case api.EventNotification:
		var v api.Notification
		if json.Unmarshal(ev.Data, &v) == nil {
			s.at, s.words, s.colour = v.CreatedAt.Time, v.Title+": "+v.Message, cyan
		}
	case api.EventServerDraining:
		s.words = "the server is going away for a moment"
	case api.EventException:
		var e api.Exception
		if json.Unmarshal(ev.Data, &e) == nil {
			s.words, s.colour = e.Message, red
		}
	}
	return s
}

func created(d api.DonationCreated) string {
	words := fmt.Sprintf("%s, %s %s, from %s", d.Name, d.Quantity, d.Unit, d.DonorName)
	if d.Location.Address != "" {
		words += ", " + d.Location.Address
	}
	return words + ", good until " + d.ExpiryTime.Local().Format("Mon 15:04")
}

func statusChange(d api.DonationStatusUpdated) (words, colour string) {
	switch d.Status {
	case "AVAILABLE":
		words, colour = "was given back and is available again", yellow
	case "PICKED_UP":
		words, colour = "was picked up by "+shortID(d.UpdatedBy), cyan
	case "DELIVERED":
		words, colour = "was delivered by "+shortID(d.UpdatedBy), green
	case "CANCELLED":
		words, colour = "was cancelled", red
	case "EXPIRED":
		words, colour = "has expired", red
	default:
		words, colour = "is now "+d.Status, grey
	}
	if d.Reason != nil && *d.Reason != "" {
		words += ": " + *d.Reason
	}
	return words, colour
}

func (t *tailer) remember(id, name string) {
	if len(t.names) >= maxNames {
		clear(t.names)
	}
	t.names[id] = name
}

func (t *tailer) name(id string) string { return cmp.Or(t.names[id], "a donation") }

// shortID is the end of an id: the beginning of a UUIDv7 is the time, and the same
// for all of one minute.
func shortID(id string) string {
	if len(id) <= 8 {
		return printable(id)
	}
	return printable(id[len(id)-8:])
}

// printable takes from a text of a stranger what could move a terminal's cursor
// or colour what comes next.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return '·'
	}, s)
}
