package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"larder/client"
)

func TestDemoIsACityThatLives(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	// What stands in the environment for a real server must not be touched.
	real := filepath.Join(t.TempDir(), "data")
	env := map[string]string{"DATABASE_URL": "sqlite:" + real + "/larder.db", "DATA_DIR": real, "SUPER_ADMIN_EMAIL": "boss@example.org"}
	c := start(t, env, "demo", "--port", "0", "--pace", "2ms")
	line := c.stdout.await(t, "A small city lives at http://127.0.0.1:")
	url := line[strings.Index(line, "http"):]
	c.stdout.await(t, "password is always larder-demo")
	command := strings.Fields(c.stdout.await(t, "larder tail --url "+url+" --email "))
	for _, deed := range []string{"offers", "claims", "picks up", "delivers", "kg of food"} {
		c.stdout.await(t, deed)
	}

	visitor := newClient(t, url)
	s, err := visitor.Login(t.Context(), "kitchen@demo.test", "larder-demo")
	if err != nil || !s.User.IsVerified {
		t.Errorf("an NGO of the city: got %+v, %v", s.User, err)
	}
	tail := start(t, nil, command[1:]...)
	tail.stdout.await(t, "donation.created", "Lisboa")
	tail.end(t)

	c.end(t)
	left, err := os.ReadDir(tmp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := os.Stat(real); err == nil {
		t.Error("the data of the real server was touched")
	}
	for _, trouble := range []string{"refused: ", "trouble: "} {
		if strings.Contains(c.stdout.String(), trouble) {
			t.Errorf("the city had trouble:\n%s", c.stdout)
		}
	}
}

func TestDemoCanBeContinued(t *testing.T) {
	folder := t.TempDir()
	var url string
	for range 2 {
		c := start(t, nil, "demo", "--port", "0", "--pace", "1ms", "--data-dir", folder)
		line := c.stdout.await(t, "A small city lives at")
		url = line[strings.Index(line, "http"):]
		c.stdout.await(t, "The data is kept in "+folder)
		c.stdout.await(t, "offers")
		list, _, err := newClient(t, url).Donations(t.Context(), client.ListOptions{})
		if err != nil || len(list) == 0 {
			t.Errorf("donations: got %d, %v", len(list), err)
		}
		c.end(t)
	}
	if _, err := os.Stat(folder + "/larder.db"); err != nil {
		t.Error(err)
	}
}

func TestDemoRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want string
	}{
		"no pace": {[]string{"--pace", "0s"}, "--pace"},
		"no port": {[]string{"--port", "many"}, "port"},
	} {
		if _, stderr, code := run(t, nil, append([]string{"demo"}, tc.args...)...); code != 2 || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: got %d %q", name, code, stderr)
		}
	}
}
