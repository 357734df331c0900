//go:build !linux

package engineio

import "time"

func setUserTimeout(uintptr, time.Duration) {}
