package config_test

import (
	"maps"
	"strings"
	"testing"

	"larder/internal/config"
)

func TestDatabaseFromItsParts(t *testing.T) {
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
	}{
		"host alone":       {map[string]string{"DATABASE_HOST": "db"}, "postgres://postgres@db:5432/postgres"},
		"user":             {map[string]string{"DATABASE_HOST": "db", "POSTGRES_USER": "larder"}, "postgres://larder@db:5432/larder"},
		"all":              {map[string]string{"DATABASE_HOST": "db", "DATABASE_PORT": "6543", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p", "POSTGRES_DB": "x", "DB_SSL": "true"}, "postgres://u:p@db:6543/x?sslmode=require"},
		"no TLS":           {map[string]string{"DATABASE_HOST": "db", "DB_SSL": "FALSE"}, "postgres://postgres@db:5432/postgres?sslmode=disable"},
		"strict TLS":       {map[string]string{"DATABASE_HOST": "db", "DB_SSL": "verify-full"}, "postgres://postgres@db:5432/postgres?sslmode=verify-full"},
		"odd characters":   {map[string]string{"DATABASE_HOST": "db", "POSTGRES_USER": "a@b", "POSTGRES_PASSWORD": "p/w:@?#%", "POSTGRES_DB": "a b?"}, "postgres://a%40b:p%2Fw%3A%40%3F%23%25@db:5432/a%20b%3F"},
		"IPv6":             {map[string]string{"DATABASE_HOST": "::1"}, "postgres://postgres@[::1]:5432/postgres"},
		"socket":           {map[string]string{"DATABASE_HOST": "/run/postgresql", "POSTGRES_DB": "x"}, "postgres://postgres@/x?host=%2Frun%2Fpostgresql&port=5432"},
		"an address first": {map[string]string{"DATABASE_HOST": "db", "DATABASE_URL": "sqlite:x.db"}, "sqlite:x.db"},
		"empty ones":       {map[string]string{"DATABASE_HOST": "", "POSTGRES_PASSWORD": "", "DATA_DIR": "d"}, "sqlite:d/larder.db"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := load(t, nil, tc.env, "")
			if err != nil || c.DatabaseURL != tc.want {
				t.Errorf("got %q, %v, want %q", c.DatabaseURL, err, tc.want)
			}
		})
	}
}

func TestFaultsOfTheParts(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"DATABASE_PORT": {"DATABASE_HOST": "db", "DATABASE_PORT": "65536"},
		"DB_SSL":        {"DATABASE_HOST": "db", "DB_SSL": "yes"},
		"DATABASE_HOST": {"POSTGRES_USER": "larder"},
		"DATABASE_URL":  {"DATABASE_URL": "postgres://u:s3cret/x@db/larder"},
	} {
		env = maps.Clone(env)
		if name != "DATABASE_URL" {
			env["POSTGRES_PASSWORD"] = "s3cret"
		}
		_, err := load(t, nil, env, "")
		if err == nil || !strings.HasPrefix(err.Error(), name+":") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: got %v, want a fault of it without the password", name, err)
		}
	}
}

func TestDatabaseAddressHasNoPassword(t *testing.T) {
	for address, want := range map[string]string{
		"sqlite:data/larder.db":      "sqlite:data/larder.db",
		"postgres://u:s3cret@db:1/x": "postgres://u@db:1/x",
		"postgres://u@db/x?password=s3cret&sslmode=require&sslpassword=s": "postgres://u@db/x?sslmode=require",
		"postgres:///x?host=/run&passfile=s3cret":                         "postgres:///x?host=%2Frun",
		"postgres://u:s3cret@db:port/x":                                   "postgres://…",
	} {
		if got := (config.Config{DatabaseURL: address}).DatabaseAddress(); got != want {
			t.Errorf("%s: got %q, want %q", address, got, want)
		}
	}
}
