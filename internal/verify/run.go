package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"larder/api"
	"larder/client"
	"larder/internal/faults"
)

// Options say what a run does.
type Options struct {
	Seed    uint64
	Clients int
	For     time.Duration // commands are given for so long
	Rate    int           // turns of writers a second; one may be several commands
	Doors   []string      // empty: all
	Faults  bool          // disturb connections
	Place   *time.Location
	Say     func(line string)

	// A server that runs already, and an admin of it.
	URL             *url.URL
	Email, Password string

	// Or one of the run's own, killed and stopped in order so often, on data in a
	// folder.
	Command     []string // program that takes "serve" as next argument
	Environ     []string
	Folder      string
	DatabaseURL string
	Kills       int
	Stops       int
}

const (
	faultInterval = 700 * time.Millisecond
	mostDowntime  = time.Second
	killMargin    = time.Second // at the beginning and between two kills
	readyTimeout  = 60 * time.Second
	catchUpTime   = 90 * time.Second
	expirySlack   = 3 * time.Second // for the clock's own command
)

// Centres of the narrowed views, and where donations lie: Lisbon and Porto.
var centres = []View{{Lat: 38.71, Lng: -9.14}, {Lat: 41.15, Lng: -8.61}}

// views are those of narrowed witnesses, one after the other. Each shows a donation
// that is available at the first centre.
var views = []View{
	{Lat: 38.71, Lng: -9.14, RadiusKm: 2},
	{Lat: 38.71, Lng: -9.14, RadiusKm: 50, Statuses: []string{"AVAILABLE"}},
	{Statuses: []string{"AVAILABLE", "CLAIMED"}},
	{FoodTypes: []string{"Bread"}, Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP"}},
	{Lat: 38.71, Lng: -9.14, RadiusKm: 1, FoodTypes: []string{"bread"}},
}

func view(i int) *View { return &views[i%len(views)] }

// run is one run.
type run struct {
	Options
	prefix string  // of the e-mails of the run
	server *server // nil: somebody else's
	proxy  *faults.Proxy
	direct *site // past the proxy
	admin  *client.Client
	book   *ledger
	tally  *tally
	crew   *crew
	people []*witness
	report Report

	suspensions []Suspension
}

// Run checks a server and reports what it found. An error is a run that could not
// be made; violations are no error.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Place == nil {
		o.Place = time.UTC
	}
	if len(o.Doors) == 0 {
		o.Doors = Doors()
	}
	r := &run{Options: o, book: newLedger(), tally: newTally(), prefix: "verify-" + strings.ToLower(rand.Text()[:8]) + "-"}
	r.report = Report{Seed: o.Seed, Clients: map[string]int{}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := r.open(ctx); err != nil {
		return nil, err
	}
	if r.server != nil {
		defer func() { _ = r.server.log.Close() }() // after the process has ended
		defer func() { _ = r.server.kill() }()
	}
	var proxied sync.WaitGroup
	defer proxied.Wait()
	defer cancel()
	proxied.Go(func() { _ = r.proxy.Run(ctx) }) // it has no error but the end of ctx
	defer r.direct.http.CloseIdleConnections()
	if err := r.settle(ctx); err != nil {
		return nil, err
	}
	return r.check(ctx)
}

// open finds or starts the server and puts the proxy before it.
func (r *run) open(ctx context.Context) error {
	base := r.URL
	if base == nil {
		r.Email, r.Password = r.prefix+"admin@verify.test", rand.Text()
		var err error
		if r.server, err = newServer(r.Options, r.Email, r.Password); err != nil {
			return err
		}
		if base, err = r.server.start(ctx); err != nil {
			return err
		}
	}
	target := base.Host
	if base.Port() == "" {
		target = net.JoinHostPort(base.Hostname(), map[string]string{"http": "80", "https": "443"}[base.Scheme])
	}
	r.direct = newSite(base, "")
	var err error
	r.proxy, err = faults.Listen(ctx, target, r.Seed)
	if err != nil && r.server != nil {
		err = errors.Join(err, r.server.kill())
	}
	return err
}

// settle makes the accounts and the witnesses.
func (r *run) settle(ctx context.Context) error {
	session, err := r.signIn(ctx)
	if err != nil {
		return err
	}
	if r.admin, err = r.direct.newClient(session.Token, newTally()); err != nil {
		return err
	}
	if r.server == nil {
		r.prefix = "verify-" + session.User.ID[max(0, len(session.User.ID)-8):] + "-"
	}
	through := newSite(r.direct.base, r.proxy.Addr())
	r.crew = &crew{
		tally: r.tally, centres: centres, target: max(40, 3*r.Rate), short: min(longShort, r.For/4),
		random: mathrand.New(mathrand.NewPCG(r.Seed, 3)),
	}
	if err := r.gatherCrew(ctx); err != nil {
		return err
	}
	for _, p := range r.crew.everybody() { // from now on commands are counted
		if p.client, err = through.newClient(p.token, r.tally); err != nil {
			return err
		}
	}
	conn, err := r.admin.Connect(ctx)
	if err != nil {
		return fmt.Errorf("find the head of the log: %w", err)
	}
	start := conn.Ready().Position
	if err := conn.Close(); err != nil {
		r.Say("the admin's connection did not close well: " + err.Error())
	}
	wheel := slices.DeleteFunc(slices.Clone(doorWheel), func(d string) bool { return !slices.Contains(r.Doors, d) })
	if len(wheel) == 0 {
		return fmt.Errorf("there is no door of %v", r.Doors)
	}
	everybody := r.crew.everybody()
	for i := range r.Clients {
		door, who := wheel[i%len(wheel)], everybody[i%len(everybody)]
		w := &witness{site: through, book: r.book, tally: r.tally, token: who.token, start: start}
		w.Name, w.Door, w.Account = fmt.Sprintf("%s %d", door, i+1), door, who.id
		// At the doors where a view stands in the request, every other one has one.
		n := r.report.Clients[door]
		if door == DoorNarrowed || n%2 == 1 && (door == DoorPlain || door == DoorSSE) {
			w.View = view((n + 1) / 2)
		}
		w.wanted = w.View
		switch {
		case door == DoorNarrowed && n%4 == 0:
			w.steps = []step{narrow(view(n/2 + 1)), narrow(nil), narrow(view(n / 2))}
		case door == DoorNarrowed && n%2 == 0:
			w.steps = []step{narrow(view(n/2 + 2)), narrow(view(n/2 + 3))}
		}
		if who.fresh != "" {
			w.steps = append(w.steps, refresh(who.fresh))
		}
		r.report.Clients[door]++
		r.people = append(r.people, w)
	}
	return nil
}

// check lets witnesses watch while writers write and everything is disturbed, and
// judges.
func (r *run) check(ctx context.Context) (*Report, error) {
	watching, leave := context.WithCancel(ctx)
	defer leave()
	var witnesses sync.WaitGroup
	defer witnesses.Wait()
	defer leave()
	for _, w := range r.people {
		witnesses.Go(func() { w.run(watching) })
	}
	if err := r.await(ctx, readyTimeout, "hear", func(w *witness) bool { return w.position() != "" }); err != nil {
		return nil, err
	}
	r.Say(fmt.Sprintf("%d clients are connected; commands begin", len(r.people)))
	if err := r.disturb(ctx); err != nil {
		return nil, err
	}
	head, err := r.finish(ctx)
	if err != nil {
		return nil, err
	}
	r.Say("waiting until every client has heard everything")
	late := r.await(ctx, catchUpTime, "catch up", func(w *witness) bool { return w.position() >= head })
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	leave()
	witnesses.Wait()
	if late != nil {
		r.Say(late.Error())
	}
	began := time.Now()
	e, err := r.gather(ctx)
	if err != nil {
		return nil, err
	}
	r.report.Violations = append(r.report.Violations, Judge(e)...)
	r.report.Judging = time.Since(began)
	if r.server == nil {
		if err := r.clear(ctx); err != nil {
			r.Say("not all that the check made could be ended: " + err.Error())
		}
	}
	r.report.Connections, r.report.Struck = r.proxy.Counts()
	r.report.Logged, r.report.Donations = len(e.Log), len(e.Rows)
	r.tally.fill(&r.report)
	return &r.report, nil
}

// await waits until all witnesses have come so far.
func (r *run) await(ctx context.Context, patience time.Duration, what string, there func(*witness) bool) error {
	deadline := time.Now().Add(patience)
	for {
		var missing []string
		for _, w := range r.people {
			if !there(w) {
				missing = append(missing, w.Name)
			}
		}
		switch {
		case len(missing) == 0:
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("%d clients do not %s within %s: %s", len(missing), what, patience, strings.Join(missing[:min(5, len(missing))], ", "))
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// disturb lets writers write for the time of the run, while faults and kills
// strike, and returns when every command is answered and the server is up.
func (r *run) disturb(ctx context.Context) error {
	began := time.Now()
	answers, give := context.WithTimeoutCause(ctx, r.For+stillOpen, errors.New("no answer until long after the end"))
	defer give()
	stop := make(chan struct{})
	var busy sync.WaitGroup
	busy.Go(func() { r.crew.work(answers, stop, r.Rate) })
	disturbed, heal := context.WithTimeout(ctx, r.For)
	defer heal()
	var others sync.WaitGroup
	if r.Faults {
		others.Go(func() { r.strike(disturbed) })
	}
	others.Go(func() { r.progress(disturbed) })
	var suspending error
	others.Go(func() { suspending = r.suspendSome(answers, disturbed) })
	err := r.endAgainAndAgain(ctx, began)
	if err == nil {
		<-disturbed.Done()
	}
	heal()
	if err != nil { // there is nobody to answer
		give()
	}
	others.Wait()
	close(stop)
	busy.Wait()
	r.report.Took, r.report.Suspensions = time.Since(began), len(r.suspensions)
	return errors.Join(err, suspending, ctx.Err())
}

// progress tells each minute that a long run goes on.
func (r *run) progress(ctx context.Context) {
	for sleep(ctx, time.Minute) == nil {
		r.Say(r.tally.line())
	}
}

func (r *run) strike(ctx context.Context) {
	began := time.Now()
	for _, s := range faults.Make(r.Seed, r.For, faultInterval) {
		if sleep(ctx, s.At-time.Since(began)) != nil {
			return
		}
		r.proxy.Inject(s.Fault)
	}
}

// finish waits until the clock has done what was left to it, and makes a last event
// that every witness hears. It returns its position.
func (r *run) finish(ctx context.Context) (string, error) {
	due := r.crew.lastDue
	if r.server != nil && r.server.since.After(due) {
		due = r.server.since // what was due while it was away
	}
	if err := sleep(ctx, time.Until(due)+expirySlack); err != nil {
		return "", err
	}
	d := r.crew.offer(ctx, r.crew.donors[0], api.DonationDraft{
		Name: "The end of a check", FoodType: "Bread", Unit: "kg", Quantity: 1, Latitude: centres[0].Lat, Longitude: centres[0].Lng,
		ExpiryTime: time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339Nano),
	})
	if d.ID == "" {
		return "", errors.New("the last donation could not be made")
	}
	history, _, err := r.admin.History(ctx, d.ID, client.Page{})
	if err != nil || len(history) == 0 {
		return "", fmt.Errorf("read the history of the last donation: %w", err)
	}
	return history[0].Position, nil
}
