package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/store"
)

const userUsage = `usage: larder user add --email you@example.org --name You --role ADMIN
       larder user role EMAIL DONOR|NGO|VOLUNTEER|ADMIN
       larder user suspend|restore|logout|delete EMAIL`

// changeUser changes an account. It works beside a running server, which hears of
// it from the log.
func changeUser(ctx context.Context, env Env, verb string, args []string) error {
	want := map[string]int{"role": 2, "suspend": 1, "restore": 1, "logout": 1, "delete": 1}[verb]
	if want == 0 {
		return usageError{userUsage}
	}
	// The words come before or after the flags.
	var words []string
	for len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		words, args = append(words, args[0]), args[1:]
	}
	f := newFlags(env, "user "+verb, "user "+verb+" EMAIL"+strings.Repeat(" ROLE", want-1)+" [flags]")
	cfg, err := loadConfig(env, f, args)
	if err != nil {
		return err
	}
	if words = append(words, f.Args()...); len(words) != want {
		return usageError{userUsage}
	}
	email, role := words[0], account.Role("")
	if verb == "role" {
		if role, err = account.ParseRole(strings.ToUpper(words[1])); err != nil {
			return usageError{err.Error()}
		}
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	commands := command.NewService(st, auth.NewPasswords(), func() {}, cfg.Timezone)
	var a account.Account
	var did string
	switch verb {
	case "role":
		a, err = commands.SetRole(ctx, email, role)
		did = "is now " + string(role)
	case "suspend", "restore":
		a, err = commands.SetActive(ctx, email, verb == "restore")
		did = verb + "d"
		if verb == "suspend" {
			did = "suspended"
		}
	case "logout":
		a, err = commands.LogOut(ctx, email)
		did = "logged out everywhere"
	case "delete":
		a, err = commands.Delete(ctx, email)
		did = "deleted"
	}
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("nobody here has the e-mail %s", email)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", email, err)
	}
	_, err = fmt.Fprintf(env.Stdout, "%s %s %s\n", email, a.ID, did)
	return err
}
