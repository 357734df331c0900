package command_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/store"
)

// benchDatabase names the address of a second database to measure, such as
// postgres://…, which has to be one of its own.
const benchDatabase = "LARDER_BENCH_DATABASE_URL"

// BenchmarkDurableClaims measures distinct durable claims a second, each with an
// idempotency key, as our clients send them. Beside it, in the same run, it
// measures the same commands one transaction each, and prints the ratio:
//
//	go test ./internal/command -run '^$' -bench DurableClaims -benchtime 3000x
//
// SQLite's file lies in the folder for temporary files: TMPDIR has to be on a
// real disk, or nothing is flushed and the figures mean nothing.
func BenchmarkDurableClaims(b *testing.B) {
	engines := map[string]func(b *testing.B) string{
		"sqlite": func(b *testing.B) string { return "sqlite:" + filepath.Join(b.TempDir(), "larder.db") },
	}
	if address := os.Getenv(benchDatabase); address != "" {
		scheme, _, _ := strings.Cut(address, ":")
		engines[scheme] = func(*testing.B) string { return address }
	}
	for engine, address := range engines {
		for _, clients := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("%s/clients=%d", engine, clients), func(b *testing.B) {
				var alone sync.Mutex // one command at a time: no transaction can be shared
				claims, baseline := newClaims(b, address(b)), newClaims(b, address(b))
				before := time.Now()
				baseline.run(clients, func(claim func()) {
					alone.Lock()
					defer alone.Unlock()
					claim()
				})
				base := time.Since(before)
				b.ResetTimer()
				commits := claims.store.Stats().Commits
				claims.run(clients, func(claim func()) { claim() })
				b.StopTimer()
				commits = claims.store.Stats().Commits - commits
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "claims/s")
				b.ReportMetric(float64(b.N)/base.Seconds(), "baseline/s")
				b.ReportMetric(base.Seconds()/b.Elapsed().Seconds(), "ratio")
				b.ReportMetric(float64(b.N)/float64(commits), "claims/commit")
			})
		}
	}
}

// volunteers are there to be proposed: all over a country, as the donations are.
const volunteers = 2000

// claims is a store with one donation to be claimed for each of b.N.
type claims struct {
	*command.Service
	b     *testing.B
	store *store.Store
	ngos  []string
	ids   []string
}

func newClaims(b *testing.B, address string) *claims {
	b.Helper()
	st, err := store.Open(b.Context(), address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	c := &claims{b: b, store: st, Service: command.NewService(st, auth.NewPasswords(), func() {}, time.UTC)}
	at := time.Now().UTC().Truncate(time.Millisecond)
	run := uuid.NewString()
	c.insert(1000, func(ctx context.Context, tx *store.Tx, i int) error { // so many that none has much
		id := fmt.Sprintf("%s-%d", run, i)
		c.ngos = append(c.ngos, id)
		return tx.InsertAccount(ctx, account.Account{
			ID: id, Email: id + "@example.org", Name: id, Role: account.NGO, Verified: true, Active: true, Capacity: new(1e6), CapacityUnit: "kg",
			CreatedAt: at, UpdatedAt: at,
		}, "")
	})
	random := rand.New(rand.NewPCG(1, 2)) // the same places each time
	place := func() (lat, lng float64) { return 47.5 + 7*random.Float64(), 6 + 9*random.Float64() }
	c.insert(volunteers, func(ctx context.Context, tx *store.Tx, i int) error {
		lat, lng := place()
		return tx.InsertAccount(ctx, account.Account{
			ID: uuid.NewString(), Email: fmt.Sprintf("%s-volunteer-%d@example.org", run, i), Name: "Volunteer", Role: account.Volunteer, Active: true,
			Available: true, Latitude: &lat, Longitude: &lng, CreatedAt: at, UpdatedAt: at,
		}, "")
	})
	c.insert(b.N, func(ctx context.Context, tx *store.Tx, i int) error {
		id := uuid.Must(uuid.NewV7()).String()
		c.ids = append(c.ids, id)
		lat, lng := place()
		return tx.InsertDonation(ctx, donation.Donation{
			ID: id, Name: "Soup", FoodType: "vegetables", Quantity: 5, Unit: "kg", PreparationTime: at, ExpiryTime: at.Add(12 * time.Hour),
			Latitude: lat, Longitude: lng, Status: donation.Available, DonorID: c.ngos[i%len(c.ngos)], DonorName: "Bakery",
			Version: 1, CreatedAt: at, UpdatedAt: at,
		})
	})
	return c
}

// insert calls fn n times, many of them in one transaction.
func (c *claims) insert(n int, fn func(ctx context.Context, tx *store.Tx, i int) error) {
	c.b.Helper()
	for i := 0; i < n; {
		err := c.store.Update(c.b.Context(), func(tx *store.Tx) error {
			for end := min(i+500, n); i < end; i++ {
				if err := fn(c.b.Context(), tx, i); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			c.b.Fatal(err)
		}
	}
}

// run has so many clients claim all donations, each claim inside around.
func (c *claims) run(clients int, around func(claim func())) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(c.ids); i = int(next.Add(1)) - 1 {
				by := command.By{AccountID: c.ngos[i%len(c.ngos)], Key: c.ids[i]}
				around(func() {
					done, err := c.Do(c.b.Context(), by, command.Order{DonationID: c.ids[i], Action: donation.Claim})
					if err != nil || done.Donation.ClaimedByID != by.AccountID {
						c.b.Errorf("claim %d: %v", i, err)
					}
				})
			}
		})
	}
	group.Wait()
}
