package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"larder/internal/config"
	"larder/internal/store"
)

// setUp checks whether a server could start here.
func (d *checkup) setUp(ctx context.Context, cfg config.Config, found finding) {
	d.port(ctx, cfg, found)
	d.dataFolder(cfg.DataDir)
	d.database(ctx, cfg)
	d.secret(cfg)
	d.mailServer(ctx, cfg)
	d.objectStore(ctx, cfg)
	if found == nothingAnswers {
		d.hint("no server answers at %s; larder serve starts one", d.base)
	}
}

func (d *checkup) port(ctx context.Context, cfg config.Config, found finding) {
	if found == strangerAnswers { // reported
		d.hint("end what listens there, or choose another port with PORT")
		return
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Address())
	if err != nil {
		d.fail("%s: can't be listened on (%v)", d.name, err)
		return
	}
	if err := l.Close(); err != nil {
		d.fail("%s: %v", d.name, err)
		return
	}
	d.ok("%s: free", d.name)
}

func (d *checkup) dataFolder(folder string) {
	st, err := os.Stat(folder)
	if errors.Is(err, fs.ErrNotExist) {
		parent := folder
		for errors.Is(err, fs.ErrNotExist) && parent != filepath.Dir(parent) {
			parent = filepath.Dir(parent)
			st, err = os.Stat(parent)
		}
		if err == nil {
			err = writable(parent, st)
		}
		if err != nil {
			d.fail("data folder %s: can't be made: %v", folder, err)
			return
		}
		d.ok("data folder %s: will be made", folder)
		return
	}
	if err == nil {
		err = writable(folder, st)
	}
	if err != nil {
		d.fail("data folder %s: %v; set DATA_DIR, or change its owner", folder, err)
		return
	}
	d.ok("data folder %s: writable", folder)
}

// writable tries what a server would do.
func writable(folder string, st fs.FileInfo) error {
	if !st.IsDir() {
		return errors.New("is no folder")
	}
	f, err := os.CreateTemp(folder, ".larder-doctor-")
	if err != nil {
		return errors.New("not writable")
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (d *checkup) database(ctx context.Context, cfg config.Config) {
	address := cfg.DatabaseAddress()
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			d.ok("database %s: will be made", address)
			return
		}
	}
	pending, err := pendingMigrations(ctx, cfg.DatabaseURL)
	switch {
	case err != nil:
		d.fail("database %s: does not open: %v", address, err)
	case pending > 0:
		d.hint("database %s: opens; %s will be applied at the next start", address, count(pending, "migration"))
	default:
		d.ok("database %s: opens", address)
	}
}

func pendingMigrations(ctx context.Context, address string) (n int, err error) {
	st, err := store.Open(ctx, address)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	n, _, err = pendingSteps(ctx, st)
	return n, err
}

func (d *checkup) secret(cfg config.Config) {
	path := filepath.Join(cfg.DataDir, "jwt-secret")
	st, err := os.Stat(path)
	switch {
	case cfg.JWTSecret != "":
		d.ok("secret: JWT_SECRET is set")
	case errors.Is(err, fs.ErrNotExist):
		d.ok("secret: will be made at the first start")
	case err != nil:
		d.fail("secret: %v", err)
	case st.Mode().Perm()&0o077 != 0:
		d.hint("secret: %s can be read by others: chmod 600 it", path)
	default:
		d.ok("secret: kept in %s", path)
	}
}
