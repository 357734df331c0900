package config

import (
	"errors"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

// databaseParts are the settings from which an address of PostgreSQL is put
// together when there is no DATABASE_URL.
type databaseParts struct {
	host, user, password, name, ssl string
	port                            int // 0: 5432
}

// databaseURL decides where the data is kept. A fault names the flag of the
// setting to change, and never holds the password.
func (s *Settings) databaseURL() (address, flagName string, err error) {
	p := s.parts
	switch {
	case s.database != "":
		return s.database, "database-url", checkDatabaseURL(s.database)
	case p.host != "":
		return p.url()
	case p != databaseParts{}:
		// With SQLite in its place the data would go where nobody looks for it.
		return "", "database-host", errors.New("is missing, but other settings of PostgreSQL are there; set it, or set DATABASE_URL")
	}
	return "sqlite:" + filepath.Join(s.dataDir, "larder.db"), "", nil
}

func checkDatabaseURL(address string) error {
	if strings.HasPrefix(address, "sqlite:") {
		return nil
	}
	if !strings.HasPrefix(address, "postgres://") && !strings.HasPrefix(address, "postgresql://") {
		return errors.New("begins neither with sqlite: nor with postgres://")
	}
	if _, err := url.Parse(address); err != nil {
		// What the error says could be a piece of the password.
		return errors.New("is no valid address; in user and password anything but letters and digits needs percent-encoding")
	}
	return nil
}

// url puts the parts together.
func (p databaseParts) url() (address, flagName string, err error) {
	if p.port < 0 || p.port > 65535 {
		return "", "database-port", errors.New(strconv.Itoa(p.port) + " is not a port")
	}
	mode, known := map[string]string{
		"": "", "false": "disable", "true": "require", "disable": "disable", "prefer": "prefer", "require": "require",
		"verify-ca": "verify-ca", "verify-full": "verify-full",
	}[strings.ToLower(p.ssl)]
	if !known {
		return "", "db-ssl", errors.New("is none of false, true, disable, prefer, require, verify-ca, verify-full")
	}
	if p.user == "" {
		p.user = "postgres"
	}
	if p.name == "" {
		p.name = p.user
	}
	if p.port == 0 {
		p.port = 5432
	}
	port := strconv.Itoa(p.port)
	u := url.URL{Scheme: "postgres", User: url.User(p.user), Host: net.JoinHostPort(p.host, port), Path: "/" + p.name}
	if p.password != "" {
		u.User = url.UserPassword(p.user, p.password)
	}
	q := url.Values{}
	if strings.HasPrefix(p.host, "/") { // the folder of a Unix socket
		u.Host = ""
		q.Set("host", p.host)
		q.Set("port", port)
	}
	if mode != "" {
		q.Set("sslmode", mode)
	}
	u.RawQuery = q.Encode()
	return u.String(), "", nil
}

// DatabaseAddress is DatabaseURL to be shown: without passwords.
func (c Config) DatabaseAddress() string {
	if strings.HasPrefix(c.DatabaseURL, "sqlite:") {
		return c.DatabaseURL
	}
	u, err := url.Parse(c.DatabaseURL)
	if err != nil {
		return "postgres://…"
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
	}
	// Of the parameters only where the database is: others may be secrets.
	q := url.Values{}
	for _, name := range []string{"host", "port", "dbname", "sslmode", "search_path"} {
		if u.Query().Has(name) {
			q.Set(name, u.Query().Get(name))
		}
	}
	shown.RawQuery = q.Encode()
	return shown.String()
}
