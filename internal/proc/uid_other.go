//go:build !linux

package proc

import (
	"errors"
	"syscall"
)

// UID is the effective user of p; unknown here.
func (p Process) UID() (uint32, error) {
	return 0, errors.New("the user of a process is read from /proc, which is not here")
}

// MaySignal says whether this process may end p.
func (p Process) MaySignal() bool { return syscall.Kill(p.PID, 0) != syscall.EPERM }
