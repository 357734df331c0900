package httpapi_test

import (
	"encoding/base64"
	"net/http"
	"testing"

	"larder/internal/testkit"
)

// Text that PostgreSQL can't keep comes by paths, headers and cursors as well as
// by bodies. The answer is the client's fault on each engine.
func TestTextThatNoEngineTakes(t *testing.T) {
	w := newWorld(t)
	donor, admin := w.users["donor"].Token, w.users["admin"].Token
	for _, bad := range []string{"%00", "a%00b", "%ff", "%ed%a0%80"} {
		for _, path := range []string{"/donations/" + bad, "/donations/" + bad + "/history"} {
			wantRefusal(t, path, w.Get(path, donor), 404, "")
		}
		for _, path := range []string{"/donations/" + bad + "/claim", "/donations/" + bad + "/release"} {
			wantRefusal(t, path, w.Patch(path, w.users["ngo"].Token, "{}"), 404, "")
		}
		for _, path := range []string{"/admin/verify/" + bad, "/admin/users/" + bad + "/toggle-status"} {
			wantRefusal(t, path, w.Patch(path, admin, "{}"), 404, "")
		}
	}
	wantRefusal(t, "key", w.Do(testkit.Call{
		Method: "POST", Path: "/donations", Token: donor, Body: testkit.Draft(nil), Header: http.Header{"Idempotency-Key": {"k\xff"}},
	}), 400, invalid)
	cursor := base64.RawURLEncoding.EncodeToString([]byte("12.a\x00b"))
	if r := w.Get("/donations?after="+cursor, donor); r.Status != 400 {
		t.Errorf("cursor: got %s, want 400", r)
	}
}
