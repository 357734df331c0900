//go:build !unix

package pgtest

import "syscall"

// credential is who runs a cluster: we do.
type credential struct{}

func unprivileged() (*credential, error) { return nil, nil }

func (*credential) own(string) error { return nil }

func (*credential) process() *syscall.SysProcAttr { return nil }
