package mail_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/mail"
	"larder/internal/store"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
	"larder/internal/testkit/wire"
	"larder/internal/voice"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a store, a mail server, and sinks between them.
type rig struct {
	*testing.T
	address string
	store   *store.Store
	post    *post
	logs    *testkit.Logs
	server  mail.Server
	mu      sync.Mutex // guards counts
	counts  map[string]int
}

func newRig(t *testing.T, address string, l net.Listener, dial func(context.Context) (net.Conn, error)) *rig {
	t.Helper()
	r := &rig{T: t, post: &post{}, logs: testkit.NewLogs(t), counts: map[string]int{}}
	r.post.serve(t, l)
	r.server = mail.Server{
		Host: "post.test", Port: 25, From: "Larder <board@larder.test>",
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	r.address = address
	r.open(address)
	return r
}

// restore makes a backup and puts it back.
func (r *rig) restore() {
	r.Helper()
	file := filepath.Join(r.TempDir(), "backup.db")
	if _, err := store.Backup(r.Context(), r.address, file); err != nil {
		r.Fatal(err)
	}
	if err := r.store.Close(); err != nil {
		r.Fatal(err)
	}
	if _, err := store.Restore(r.Context(), r.address, file); err != nil {
		r.Fatal(err)
	}
	r.open(r.address)
}

func (r *rig) open(address string) {
	r.Helper()
	var err error
	if r.store, err = store.Open(r.Context(), address); err != nil {
		r.Fatal(err)
	}
	if _, err = r.store.Migrate(r.Context()); err != nil {
		r.Fatal(err)
	}
	st := r.store
	r.Cleanup(func() { _ = st.Close() })
}

// bubble runs a test whose clock runs ahead when everybody waits.
func bubble(t *testing.T, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := wire.Listen()
		f(newRig(t, "sqlite:"+filepath.Join(t.TempDir(), "larder.db"), network, network.Dial))
	})
}

// start runs a sink until stop is called, or the test ends.
func (r *rig) start() (stop func()) {
	r.Helper()
	s := mail.New(r.store, mail.Settings{
		Server: r.server, URL: "https://board.test",
		Count: func(result string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.counts[result]++
		},
	}, slog.New(r.logs.Handler()))
	if err := s.Start(r.Context()); err != nil {
		r.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.Errorf("Run: %v", err)
		}
	})
	r.Cleanup(stop)
	return stop
}

func (r *rig) update(f func(ctx context.Context, tx *store.Tx) error) {
	r.Helper()
	if err := r.store.Update(r.Context(), func(tx *store.Tx) error { return f(r.Context(), tx) }); err != nil {
		r.Fatal(err)
	}
}

// account adds an account with that id and an address like it.
func (r *rig) account(id string, role account.Role, change ...func(*account.Account)) {
	r.Helper()
	a := account.Account{ID: id, Email: id + "@example.org", Name: id, Role: role, Verified: true, Active: true, CreatedAt: time.Now(), UpdatedAt: time.Now()}
	for _, c := range change {
		c(&a)
	}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertAccount(ctx, a, "x") })
}

func (r *rig) record(kind string, subjects ...string) {
	r.Helper()
	r.update(func(ctx context.Context, tx *store.Tx) error {
		var drafts []eventlog.Draft
		for _, s := range subjects {
			drafts = append(drafts, eventlog.Draft{Type: kind, Subject: s, Payload: []byte("{}"), At: time.Now()})
		}
		_, err := tx.Append(ctx, drafts...)
		return err
	})
}

func (r *rig) ticket(id, by, subject, note string) {
	r.Helper()
	r.update(func(ctx context.Context, tx *store.Tx) error {
		return tx.InsertTicket(ctx, voice.Ticket{
			ID: id, By: voice.Author{ID: by}, Subject: subject, Description: "d", Priority: voice.Medium,
			Status: voice.Resolved, Note: note, CreatedAt: time.Now(), UpdatedAt: time.Now(),
		})
	})
}

func (r *rig) donation(id, donor, claimer string, left time.Duration) {
	r.Helper()
	d := donation.Donation{
		ID: id, Name: "Rice " + id, DonorID: donor, Status: donation.Available, Quantity: 1, Unit: "kg", Version: 1,
		ExpiryTime: time.Now().Add(left), PreparationTime: time.Now(), CreatedAt: time.Now(), UpdatedAt: time.Now(),
	}
	if claimer != "" {
		d.Status, d.ClaimedByID = donation.Claimed, claimer
	}
	r.update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertDonation(ctx, d) })
}

// pass lets time pass.
func pass(d time.Duration) { <-time.After(d); synctest.Wait() }

func (r *rig) want(when string, heads ...string) {
	r.Helper()
	if got := r.post.heads(); !slices.Equal(got, heads) {
		r.Errorf("%s: got %q, want %q", when, got, heads)
	}
}

func (r *rig) wantCount(result string, want int) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts[result] != want {
		r.Errorf("%s: counted %d, want %d", result, r.counts[result], want)
	}
}

// wantNoAddress wants no line of the log to hold an address of a user.
func (r *rig) wantNoAddress() {
	r.Helper()
	for text := range strings.Lines(r.logs.String()) {
		if strings.Contains(text, "@example.org") {
			r.Errorf("an address in the log: %s", text)
		}
	}
}

const verified, answered, near = eventlog.TypeAccountVerified, eventlog.TypeTicketAnswered, string(donation.EventNearExpiry)

func TestMailsGoOutOnceAndInOrder(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, id := range []string{"ngo1", "ngo2", "ngo3"} {
			r.account(id, account.NGO)
		}
		r.account("donor", account.Donor)
		r.record(verified, "ngo1") // before the first start
		stop := r.start()
		pass(time.Minute)
		r.want("a fresh start sends nothing old")

		r.ticket("t1", "donor", "Where is it", "Behind you.\nLook there.")
		r.donation("d1", "donor", "ngo2", time.Hour)
		r.donation("d2", "donor", "", time.Hour)
		r.record(verified, "ngo1", "ngo2")
		r.record("something.else", "x")
		r.record(answered, "t1")
		r.record(near, "d1", "d2")
		all := []string{
			"ngo1: Your account is verified", "ngo2: Your account is verified", "donor: Your request was resolved: Where is it",
			"donor: Expires soon: Rice d1", "ngo2: Expires soon: Rice d1", "donor: Expires soon: Rice d2",
		}
		pass(4 * time.Second)
		r.want("at once", all...)
		pass(time.Hour)
		r.want("an hour later", all...)
		stop()
		stop = r.start()
		pass(10 * time.Minute)
		r.want("after a restart", all...)
		stop()
		r.record(verified, "ngo3")
		r.start()
		pass(4 * time.Second)
		r.want("what happened meanwhile", append(all, "ngo3: Your account is verified")...)
		r.wantCount(mail.Sent, 7)
		r.wantCount(mail.Failed, 0)
		r.wantNoAddress()

		letters, ids := r.post.all(), map[string]bool{}
		for _, l := range letters {
			ids[l.Header.Get("Message-ID")] = true
			if l.Header.Get("Auto-Submitted") != "auto-generated" || l.Header.Get("From") != `"Larder" <board@larder.test>` ||
				l.Header.Get("To") != "<"+l.to+">" || l.Header.Get("Date") == "" || len(l.Header["Bcc"]) > 0 {
				t.Errorf("headers: %v", l.Header)
			}
		}
		if len(ids) != 7 {
			t.Errorf("ids: %v, want seven", ids)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(letters[2].Body))
		want := "Hello donor,\n\nYour request \"Where is it\" has been resolved.\n\nAnswer:\n\nBehind you.\nLook there.\n" +
			"\n-- \nThis is an automatic message from Larder at https://board.test.\n"
		if got := strings.ReplaceAll(string(body), "\r\n", "\n"); err != nil || strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("text: got %q, %v, want %q", got, err, want)
		}
	})
}

func TestWhoGetsNoMail(t *testing.T) {
	bubble(t, func(r *rig) {
		r.account("suspended", account.NGO, testkit.Suspended)
		r.account("deleted", account.NGO, func(a *account.Account) { a.Deleted = true })
		r.account("unverified", account.NGO, testkit.Unverified)
		r.account("odd", account.NGO, func(a *account.Account) { a.Email = "odd@example.org>\r\nDATA" })
		r.account("ngo", account.NGO)
		r.donation("expired", "ngo", "ngo", time.Minute)
		r.donation("d", "suspended", "ngo", time.Hour)
		r.start()
		pass(2 * time.Minute)
		r.record(verified, "suspended", "deleted", "unverified", "odd", "nobody")
		r.record(answered, "gone")
		r.record(near, "expired", "d", "gone")
		pass(time.Minute)
		r.want("only who is concerned", "ngo: Expires soon: Rice d")
		r.wantCount(mail.Void, 5+1+2+1+2)
	})
}

// What the server says, by recipient, and what comes of it.
func TestMailsThatFail(t *testing.T) {
	bubble(t, func(r *rig) {
		for _, id := range []string{"later", "never", "unknown", "stalls", "breaks", "cut", "good"} {
			r.account(id, account.NGO)
		}
		tries := map[string]int{}
		var mu sync.Mutex
		r.post.answer = func(command, to string) string {
			mu.Lock()
			defer mu.Unlock()
			name, _, _ := strings.Cut(to, "@")
			if command == "RCPT" {
				tries[name]++
			}
			switch {
			case command == "RCPT" && name == "later" && tries[name] <= 2, command == "RCPT" && name == "never":
				return "451 " + to + " is busy"
			case command == "RCPT" && name == "unknown":
				return "550 " + to + " is unknown"
			case command == "RCPT" && name == "stalls":
				return "stall"
			case command == "DATA" && name == "breaks" && tries[name] == 1, command == "QUIT" && name == "cut":
				return "drop"
			}
			return ""
		}
		r.start()
		begun := time.Now()
		r.record(verified, "later", "never", "unknown", "stalls", "breaks", "cut", "good")
		const is = ": Your account is verified"
		pass(50 * time.Second)
		r.want("those that can't go hold nobody up for long", "cut"+is, "good"+is)
		pass(10 * time.Minute)
		r.want("those that can go later go later", "cut"+is, "good"+is, "breaks"+is, "later"+is)
		pass(7 * time.Hour)
		r.want("the others never do", "cut"+is, "good"+is, "breaks"+is, "later"+is)
		mu.Lock()
		for name, want := range map[string]int{"later": 3, "never": 12, "unknown": 1, "stalls": 12, "breaks": 2, "cut": 1, "good": 1} {
			if tries[name] != want {
				t.Errorf("%s was tried %d times, want %d", name, tries[name], want)
			}
		}
		mu.Unlock()
		r.wantCount(mail.GivenUp, 3)
		r.wantNoAddress()
		for _, line := range r.logs.Lines("mail given up") {
			at, err := time.Parse(time.RFC3339Nano, line["time"].(string))
			if after := at.Sub(begun); err != nil || line["account"] != "unknown" && (after < 5*time.Hour || after > 7*time.Hour) {
				t.Errorf("given up after %v: %v", after, line)
			}
		}
		var ids []string // of the one that may have been taken both times
		for _, l := range r.post.all() {
			if l.to == "breaks@example.org" {
				ids = append(ids, l.Header.Get("Message-ID"))
			}
		}
		if len(ids) != 2 || ids[0] != ids[1] || ids[0] == "" {
			t.Errorf("ids of the mail that came twice: %q", ids)
		}
		view(r, 0)
	})
}

// view wants so many mails to wait.
func view(r *rig, want int) {
	r.Helper()
	err := r.store.View(r.Context(), func(tx *store.Tx) error {
		n, err := tx.CountMails(r.Context())
		if n != want {
			r.Errorf("%d mails wait, want %d", n, want)
		}
		return err
	})
	if err != nil {
		r.Error(err)
	}
}

func TestServerThatIsAway(t *testing.T) {
	bubble(t, func(r *rig) {
		dial, away := r.server.Dial, true
		var mu sync.Mutex
		dials := 0
		r.server.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			dials++
			if away {
				return nil, io.ErrUnexpectedEOF
			}
			return dial(ctx, network, address)
		}
		var want []string
		for i := range 20 {
			r.account(fmt.Sprintf("ngo%02d", i), account.NGO)
		}
		stop := r.start()
		for i := range 20 {
			id := fmt.Sprintf("ngo%02d", i)
			r.record(verified, id)
			want = append(want, id+": Your account is verified")
		}
		pass(20 * time.Minute)
		mu.Lock()
		if dials > 70 {
			t.Errorf("%d attempts in twenty minutes", dials)
		}
		away = false
		mu.Unlock()
		stop()
		r.start()
		pass(40 * time.Minute)
		got := r.post.heads()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestNoHeaderCanBeInjected(t *testing.T) {
	bubble(t, func(r *rig) {
		const evil = "a\r\nBcc: victim@example.com\r\n\r\nHa\x00\u2028\u202e \x1b[1m" + "\xff"
		clean := strings.ToValidUTF8(strings.ReplaceAll(evil, "\x00", ""), "") // what a database would keep
		r.account("ngo", account.NGO, func(a *account.Account) { a.OrganizationName = clean })
		r.ticket("t", "ngo", clean, clean+"\r\n.\r\nMAIL FROM:<x@example.com>\r\n")
		r.start()
		r.record(answered, "t")
		pass(time.Minute)
		letters := r.post.all()
		if len(letters) != 1 || !letters[0].taken {
			t.Fatalf("got %d letters", len(letters))
		}
		l := letters[0]
		if len(l.Header["Bcc"])+len(l.Header["Broken"]) > 0 || l.to != "ngo@example.org" || strings.Contains(l.text, "\x00") || strings.Contains(l.text, "\x1b") {
			t.Errorf("got %s", l.text)
		}
		if want := "Your request was resolved: a Bcc: victim@example.com Ha [1m"; l.Header.Get("Subject") != want {
			t.Errorf("subject %q, want %q", l.Header.Get("Subject"), want)
		}
		mails := 0
		for _, c := range r.post.commands {
			if strings.HasPrefix(c, "MAIL") {
				mails++
			}
		}
		if mails != 1 {
			t.Errorf("commands: %q", r.post.commands)
		}
	})
}

func TestWithoutServerMailsAreLogged(t *testing.T) {
	bubble(t, func(r *rig) {
		r.server.Host = ""
		r.account("ngo", account.NGO)
		r.start()
		r.record(verified, "ngo")
		pass(time.Minute)
		r.want("nothing is sent")
		lines := r.logs.Lines("mail not sent, as there is no mail server")
		if len(lines) != 1 || lines[0]["account"] != "ngo" || lines[0]["kind"] != verified || lines[0]["subject"] != "Your account is verified" {
			t.Errorf("logged %v", lines)
		}
		r.wantCount(mail.Logged, 1)
		r.wantNoAddress()
		view(r, 0)
	})
}

func TestRetentionOvertakesTheSink(t *testing.T) {
	bubble(t, func(r *rig) {
		r.account("ngo", account.NGO)
		r.start()()
		r.record(verified, "ngo", "ngo")
		r.update(func(ctx context.Context, tx *store.Tx) error {
			n, _, err := tx.Prune(ctx, time.Now().Add(time.Hour), 100)
			if n != 2 {
				t.Errorf("%d records went, want 2", n)
			}
			return err
		})
		r.start()
		pass(time.Minute)
		r.want("what is gone is gone")
		if lines := r.logs.Lines("records went before they were read for mails"); len(lines) != 1 {
			t.Errorf("logged %v", lines)
		}
		r.record(verified, "ngo")
		pass(time.Minute)
		r.want("it goes on", "ngo: Your account is verified")
	})
}

// A log that was restored is not mailed again, nor is what waited when the backup
// was made.
func TestRestoredLogStartsAtItsHead(t *testing.T) {
	bubble(t, func(r *rig) {
		r.account("ngo", account.NGO)
		r.post.answer = func(command, _ string) string {
			if command == "RCPT" {
				return "451 later"
			}
			return ""
		}
		stop := r.start()
		r.record(verified, "ngo", "ngo")
		pass(10 * time.Second)
		view(r, 2)
		stop()
		r.record(verified, "ngo")
		r.restore()
		r.post.answer = nil
		r.start()
		pass(30 * time.Minute)
		r.want("nothing old")
		view(r, 0)
		r.record(verified, "ngo")
		pass(time.Minute)
		r.want("it goes on", "ngo: Your account is verified")
	})
}

func TestPasswordIsNotSentInTheClear(t *testing.T) {
	for _, way := range []string{mail.TLSAuto, mail.TLSRequired, mail.TLSOff} {
		bubble(t, func(r *rig) {
			r.post.offers = []string{"AUTH PLAIN LOGIN"}
			r.server.User, r.server.Password, r.server.TLS = "user", "open sesame", way
			r.account("ngo", account.NGO)
			r.start()
			r.record(verified, "ngo")
			pass(10 * time.Second)
			secret := base64.StdEncoding.EncodeToString([]byte("\x00user\x00open sesame"))
			all := strings.Join(r.post.commands, "\n")
			if strings.Contains(all, secret) || strings.Contains(all, base64.StdEncoding.EncodeToString([]byte("open sesame"))) {
				t.Errorf("%q: said %q", way, r.post.commands)
			}
			r.want("nothing went")
			if lines := r.logs.Lines("mail not sent"); len(lines) != 1 || strings.Contains(r.logs.String(), "sesame") {
				t.Errorf("%q: logged %v", way, lines)
			}
		})
	}
}

// Two nodes on one database send each mail once.
func TestTwoNodesSendOnce(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := pgtest.Database(t)
	r := newRig(t, address, l, func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
	})
	r.start()
	r.open(address)
	r.start()
	const many = 40
	want := map[string]int{}
	for i := range many {
		id := fmt.Sprintf("ngo%d", i)
		r.account(id, account.NGO)
		r.record(verified, id)
		want[id+": Your account is verified"] = 1
	}
	deadline := time.After(time.Minute)
	for {
		var waiting int
		if err := r.store.View(t.Context(), func(tx *store.Tx) (err error) {
			waiting, err = tx.CountMails(t.Context())
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 && len(r.post.all()) >= many {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("%d letters, %d mails wait", len(r.post.all()), waiting)
		case <-time.After(50 * time.Millisecond):
		}
	}
	got := map[string]int{}
	for _, h := range r.post.heads() {
		got[h]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	r.wantCount(mail.Sent, many)
}

// A server that takes its time with each answer is given up as one that gives none,
// before another node may try; and nobody waits for it when the node stops.
func TestSlowServer(t *testing.T) {
	bubble(t, func(r *rig) {
		r.account("ngo", account.NGO)
		r.post.answer = func(string, string) string { <-time.After(12 * time.Second); return "" }
		stop := r.start()
		r.record(verified, "ngo")
		pass(40 * time.Second)
		r.want("cut")
		if lines := r.logs.Lines("mail not sent"); len(lines) != 1 {
			t.Errorf("logged %v, want one line", lines)
		}
		pass(30 * time.Second) // in the second try
		begun := time.Now()
		stop()
		if d := time.Since(begun); d > 0 {
			t.Errorf("stopped after %v", d)
		}
		r.post.answer = nil
		r.start()
		pass(3 * time.Minute)
		r.want("the next node", "ngo: Your account is verified")
	})
}
