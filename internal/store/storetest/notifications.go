package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/account"
	"larder/internal/notice"
	"larder/internal/store"
)

// told is a notification of a minute after the start, for an account or for roles.
func told(id string, minute int, to string, roles ...account.Role) notice.Notification {
	return notice.Notification{
		ID: id, CreatedAt: start.Add(time.Duration(minute) * time.Minute),
		Notice: notice.Notice{Type: "test", Title: "Title of " + id, Message: "It's \"" + id + "\" 🥖", To: to, Roles: roles},
	}
}

func tell(t *testing.T, st *store.Store, list ...notice.Notification) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error { return tx.InsertNotifications(t.Context(), list...) })
}

func notifications(t *testing.T, st *store.Store, a account.Account, before *store.NotificationCursor, limit int) (list []notice.Notification) {
	t.Helper()
	view(t, st, func(tx *store.Tx) (err error) {
		list, err = tx.Notifications(t.Context(), a, before, limit)
		return err
	})
	return list
}

// wantNotifications wants these ids, newest first; a read one has a star.
func wantNotifications(t *testing.T, what string, list []notice.Notification, want ...string) {
	t.Helper()
	var got []string
	for _, n := range list {
		if n.Read {
			n.ID += "*"
		}
		got = append(got, n.ID)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func notificationFields(t *testing.T, st *store.Store) {
	ngo := newAccount("ngo", account.NGO)
	own, wide := told("own", 1, "ngo"), told("wide", 2, "", account.Volunteer, account.NGO)
	own.DonationID = "d"
	tell(t, st)
	tell(t, st, own, wide)
	wide.Roles = []account.Role{account.NGO} // by which it sees it
	got := notifications(t, st, ngo, nil, 10)
	want := []notice.Notification{wide, own}
	if diff := gocmp.Diff(want, got, equal, cmpopts.IgnoreFields(notice.Notification{}, "Seq")); diff != "" {
		t.Errorf("notifications (-want +got):\n%s", diff)
	}
	if len(got) == 2 && got[0].Seq <= got[1].Seq {
		t.Errorf("numbers %d and %d, want them in the order of the commits", got[0].Seq, got[1].Seq)
	}
	for _, tc := range []struct {
		who, title string
		want       bool
	}{{"ngo", own.Title, true}, {"ngo", wide.Title, false}, {"other", own.Title, false}, {"ngo", "another", false}} {
		view(t, st, func(tx *store.Tx) error {
			told, err := tx.HasNotification(t.Context(), tc.who, "test", tc.title)
			if told != tc.want {
				t.Errorf("%s was told %q: got %t", tc.who, tc.title, told)
			}
			return err
		})
	}
	var many []notice.Notification
	for i := range 120 {
		many = append(many, told(fmt.Sprint(i), 3, "many"))
	}
	tell(t, st, many...)
	if got := notifications(t, st, newAccount("many", account.Donor), nil, 200); len(got) != 120 || got[0].ID != "119" || got[119].ID != "0" {
		t.Errorf("many at once: got %d", len(got))
	}
}

// notificationAudience shows each account its own and its role's, since it exists.
func notificationAudience(t *testing.T, st *store.Store) {
	tell(t, st, told("early", -1, "", account.NGO, account.Volunteer), told("early-own", -1, "ngo"),
		told("sharp", 0, "", account.NGO), told("both", 1, "", account.NGO, account.Volunteer),
		told("ngo-1", 2, "ngo"), told("other", 2, "other"), told("late", 3, "", account.Volunteer))
	ngo := newAccount("ngo", account.NGO)
	for name, tc := range map[string]struct {
		who  account.Account
		want []string
	}{
		"an NGO":                          {ngo, []string{"ngo-1", "both", "sharp", "early-own"}},
		"a volunteer":                     {newAccount("v", account.Volunteer), []string{"late", "both"}},
		"a donor":                         {newAccount("other", account.Donor), []string{"other"}},
		"nobody is told":                  {newAccount("x", account.Admin), nil},
		"an account with a role's name":   {newAccount("x", ""), nil},
		"the same with another role now":  {account.Account{ID: "ngo", Role: account.Volunteer, CreatedAt: start}, []string{"late", "ngo-1", "both", "early-own"}},
		"an account of a minute later":    {account.Account{ID: "n2", Role: account.NGO, CreatedAt: start.Add(time.Minute)}, []string{"both"}},
		"an account of a moment too late": {account.Account{ID: "n2", Role: account.NGO, CreatedAt: start.Add(time.Minute + time.Millisecond)}, nil},
	} {
		wantNotifications(t, name, notifications(t, st, tc.who, nil, 100), tc.want...)
	}
	// In pages, and with equal times.
	tell(t, st, told("same-1", 2, "", account.NGO), told("same-2", 2, "ngo"), told("same-3", 2, "", account.NGO))
	var paged []notice.Notification
	var before *store.NotificationCursor
	for range 10 {
		page := notifications(t, st, ngo, before, 2)
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		last := page[len(page)-1]
		before = &store.NotificationCursor{CreatedAt: last.CreatedAt, Seq: last.Seq}
	}
	wantNotifications(t, "page by page", paged, "same-3", "same-2", "same-1", "ngo-1", "both", "sharp", "early-own")
}

func notificationRead(t *testing.T, st *store.Store) {
	ngo, other := newAccount("ngo", account.NGO), newAccount("other", account.NGO)
	tell(t, st, told("before", -1, "", account.NGO), told("a", 1, "ngo"), told("b", 2, "", account.NGO), told("c", 3, "other"))
	read := func(who account.Account, id string) error {
		return st.Update(t.Context(), func(tx *store.Tx) error { return tx.ReadNotification(t.Context(), who, id) })
	}
	volunteer := newAccount("ngo", account.Volunteer)
	for _, tc := range []struct {
		who account.Account
		id  string
	}{{ngo, "c"}, {other, "a"}, {ngo, "none"}, {ngo, "before"}, {volunteer, "b"}, {newAccount("x", account.Donor), "b"}, {ngo, "A"}} {
		wantErr(t, "read "+tc.id+" as "+tc.who.ID, read(tc.who, tc.id), store.ErrNotFound)
	}
	wantNotifications(t, "nothing read", notifications(t, st, ngo, nil, 9), "b", "a")
	for range 2 { // again changes nothing
		if err := read(ngo, "b"); err != nil {
			t.Errorf("read b: %v", err)
		}
		wantNotifications(t, "one read", notifications(t, st, ngo, nil, 9), "b*", "a")
	}
	wantNotifications(t, "read by another", notifications(t, st, other, nil, 9), "c", "b")
	readAll := func(id string) {
		update(t, st, func(tx *store.Tx) error { return tx.ReadAllNotifications(t.Context(), id) })
	}
	readAll("ngo")
	wantNotifications(t, "all read", notifications(t, st, ngo, nil, 9), "b*", "a*")
	wantNotifications(t, "all read by another", notifications(t, st, other, nil, 9), "c", "b")
	tell(t, st, told("d", 0, "", account.NGO), told("e", 4, "ngo")) // d says an earlier time and comes later
	wantNotifications(t, "new ones", notifications(t, st, ngo, nil, 9), "e", "b*", "a*", "d")
	if err := read(ngo, "a"); err != nil {
		t.Errorf("read what is read: %v", err)
	}
	readAll("ngo")
	readAll("x")
	wantNotifications(t, "all read again", notifications(t, st, ngo, nil, 9), "e*", "b*", "a*", "d*")
}

func notificationPrune(t *testing.T, st *store.Store) {
	ngo := newAccount("ngo", account.NGO)
	ngo.CreatedAt = start.Add(-time.Hour)
	prune := func(minute, limit int) (n int64, more bool) {
		update(t, st, func(tx *store.Tx) (err error) {
			n, more, err = tx.PruneNotifications(t.Context(), start.Add(time.Duration(minute)*time.Minute), limit)
			return err
		})
		return n, more
	}
	if n, more := prune(0, 10); n != 0 || more {
		t.Errorf("of nothing: %d went, more %t", n, more)
	}
	for i := range 5 {
		tell(t, st, told(fmt.Sprint(i), i, "ngo"))
	}
	for _, id := range []string{"0", "1", "3"} {
		update(t, st, func(tx *store.Tx) error { return tx.ReadNotification(t.Context(), ngo, id) })
	}
	if n, more := prune(0, 10); n != 0 || more {
		t.Errorf("of exactly that time: %d went, more %t", n, more)
	}
	if n, more := prune(3, 2); n != 2 || !more {
		t.Errorf("with a limit of 2: %d went, more %t", n, more)
	}
	wantNotifications(t, "after two went", notifications(t, st, ngo, nil, 9), "4", "3*", "2")
	if n, more := prune(3, 10); n != 1 || more {
		t.Errorf("the rest: %d went, more %t", n, more)
	}
	// A number is not given again, so that a mark means what it meant.
	update(t, st, func(tx *store.Tx) error { return tx.ReadAllNotifications(t.Context(), "ngo") })
	if n, _ := prune(99, 10); n != 2 {
		t.Errorf("everything: %d went, want 2", n)
	}
	tell(t, st, told("new", 99, "ngo"))
	wantNotifications(t, "a new one after all went", notifications(t, st, ngo, nil, 9), "new")
	// Marks of what is gone go too, in as small portions.
	for i := range 3 {
		tell(t, st, told(fmt.Sprint("wide", i), 100, "", account.NGO))
	}
	for i := range 3 {
		for k := range 3 {
			a := newAccount(fmt.Sprint("n", k), account.NGO)
			update(t, st, func(tx *store.Tx) error { return tx.ReadNotification(t.Context(), a, fmt.Sprint("wide", i)) })
		}
	}
	var rounds int
	for more := true; more && rounds < 20; rounds++ {
		_, more = prune(200, 4)
	}
	if rounds != 3 { // 4 notifications and 4 marks, 4 marks, 1
		t.Errorf("9 marks by 4 took %d rounds, want 3", rounds)
	}
}
