package node

import (
	"context"

	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/config"
)

// ensureAdmin adds the admin of the settings, if they name one, or says what keeps
// an account that is there already from being one.
func (n *Node) ensureAdmin(ctx context.Context, commands *command.Service, cfg config.Config) error {
	if cfg.AdminEmail == "" {
		return nil
	}
	a, added, err := commands.EnsureAdmin(ctx, cfg.AdminEmail, cfg.AdminPassword)
	n.madeUp.Admin = added
	switch {
	case err != nil:
		return err
	case a.Role != account.Admin:
		n.log.Warn("the account of SUPER_ADMIN_EMAIL is there already and is no admin", "role", a.Role,
			"help", "larder user role "+a.Email+" ADMIN")
	case !a.Active:
		n.log.Warn("the account of SUPER_ADMIN_EMAIL is suspended", "help", "larder user restore "+a.Email)
	}
	return nil
}
