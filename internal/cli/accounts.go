package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/command"
	"larder/internal/donation"
	"larder/internal/store"
)

// user adds an account. It works beside a running server: the account can sign
// in at once.
func user(ctx context.Context, env Env, args []string) error {
	if len(args) > 0 && args[0] != "add" {
		return changeUser(ctx, env, args[0], args[1:])
	}
	if len(args) == 0 {
		return usageError{userUsage}
	}
	f := newFlags(env, "user add", "user add --email E --name N --role DONOR|NGO|VOLUNTEER|ADMIN   (password: --password, LARDER_PASSWORD or standard input)")
	email := f.String("email", "", "e-mail address")
	name := f.String("name", "", "name of the person or organisation")
	role := f.String("role", "", "DONOR, NGO, VOLUNTEER or ADMIN; an NGO added here is verified")
	password := f.String("password", "", "at least 8 bytes; on a shared machine rather LARDER_PASSWORD or standard input")
	cfg, err := loadConfig(env, f, args[1:])
	if err != nil {
		return err
	}
	r, err := account.ParseRole(strings.ToUpper(*role))
	if err != nil {
		return usageError{"--" + err.Error()}
	}
	if *password == "" {
		if *password, err = askPassword(env); err != nil {
			return err
		}
	}
	st, err := openStore(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	commands := command.NewService(st, auth.NewPasswords(), func() {}, cfg.Timezone)
	a, err := commands.AddUser(ctx, command.NewAccount{Email: *email, Name: *name, Role: r, Password: *password})
	if refusal, ok := errors.AsType[*donation.Refusal](err); ok {
		return usageError{"--" + strings.Join(refusal.Messages, "; --")}
	}
	if errors.Is(err, store.ErrEmailTaken) {
		return fmt.Errorf("%s has an account already", *email)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Stdout, "added %s %s %s\n", a.Role, a.Email, a.ID)
	return err
}

// askPassword takes the password from the environment or a line of input.
func askPassword(env Env) (string, error) {
	if p, ok := env.LookupEnv("LARDER_PASSWORD"); ok && p != "" {
		return p, nil
	}
	if f, ok := env.Stdin.(*os.File); ok {
		if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
			fmt.Fprint(env.Stderr, "password (shown as you type): ")
		}
	}
	line, err := bufio.NewReader(env.Stdin).ReadString('\n')
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", errors.Join(usageError{"a password is needed: --password, LARDER_PASSWORD or standard input"}, ignoreEOF(err))
	}
	return line, nil
}

func ignoreEOF(err error) error {
	if err != nil && err.Error() == "EOF" {
		return nil
	}
	return err
}

// token mints a token for an account that is known here.
func token(ctx context.Context, env Env, args []string) error {
	f := newFlags(env, "token", "token --email E [--ttl 1h]")
	email := f.String("email", "", "e-mail of the account")
	ttl := f.Duration("ttl", 0, "how long it is valid (default: JWT_TTL)")
	cfg, err := loadConfig(env, f, args)
	if err != nil {
		return err
	}
	if *email == "" || *ttl < 0 {
		return usageError{"usage: larder token --email you@example.org [--ttl 1h]"}
	}
	st, err := openAsItIs(ctx, cfg)
	if err != nil {
		return err
	}
	defer st.Close()
	var a account.Account
	err = st.View(ctx, func(tx *store.Tx) error {
		a, _, err = tx.Credentials(ctx, *email)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("nobody here has the e-mail %s", *email)
	}
	if err != nil {
		return err
	}
	if !a.Active {
		fmt.Fprintf(env.Stderr, "note: %s is suspended, so the token will be refused\n", a.Email)
	}
	secret := []byte(cfg.JWTSecret)
	if len(secret) == 0 {
		if secret, _, err = auth.Secret(cfg.DataDir); err != nil {
			return err
		}
	}
	if *ttl == 0 {
		*ttl = cfg.JWTTTL
	}
	raw, expires, err := auth.NewTokens(secret, *ttl).Issue(a, time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "token of %s (%s), valid until %s\n", a.Email, a.Role, expires.UTC().Format(time.RFC3339))
	_, err = fmt.Fprintln(env.Stdout, raw)
	return err
}
