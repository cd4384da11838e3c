//go:build !linux

package proc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// errUnsupported is of what only /proc can tell.
var errUnsupported = errors.New("processes cannot be looked at on this system: there is no /proc")

// socket is a listening socket.
type socket struct {
	addr netip.AddrPort
	path string
}

// DropTo becomes u for good: only Linux lets single threads regain what was put aside.
func DropTo(u User) error {
	if os.Geteuid() == int(u.UID) {
		return nil
	}
	return fmt.Errorf("cannot become %s: rel changes users on Linux only", u.Name)
}

// CanBecome tells whether this process may run commands as any user.
func CanBecome() bool { return os.Geteuid() == 0 }

// AsRoot runs fn as we are: nothing was put aside.
func AsRoot(fn func() error) error { return fn() }

func forkClean(_ bool, fork func() error) error {
	defer syscall.Umask(syscall.Umask(0o022))
	return fork()
}

func (c Command) startInView(string, []string, *os.ProcAttr) (*os.Process, error) {
	return nil, errors.New("mount namespaces are Linux's")
}

// Enter does nothing: no command has a view here.
func Enter(string) {}

func awaitExit(int) bool { return false }

func signalGroup(pgid int, sig syscall.Signal) {
	_ = syscall.Kill(-pgid, sig) // an empty group is what we want
}

// Signal sends a signal to p. That it is still the same process cannot be seen here.
func Signal(p Process, sig syscall.Signal) error {
	if err := syscall.Kill(p.PID, sig); err == syscall.ESRCH {
		return fmt.Errorf("%s: %w", p, ErrGone)
	} else if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	return nil
}

// Lookup needs /proc.
func Lookup(pid int) (Process, error) {
	if err := syscall.Kill(pid, 0); err == syscall.ESRCH {
		return Process{}, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	return Process{}, errUnsupported
}

func startOf(int) uint64 { return 0 }

// List needs /proc.
func List() ([]Process, error) { return nil, errUnsupported }

// Children needs /proc.
func Children(int) ([]Process, error) { return nil, errUnsupported }

// Cmdline needs /proc.
func Cmdline(int) string { return "" }

// AwaitEnd needs /proc.
func AwaitEnd(context.Context, Process) error { return errUnsupported }

// Exe needs /proc.
func Exe(int) (string, error) { return "", errUnsupported }

// Ticks is now in 1/100 s, by the wall clock.
func Ticks() uint64 { return uint64(time.Now().UnixNano()) / (1e9 / TicksPerSecond) }

// BootID needs /proc.
func BootID() string { return "" }

// Unit is empty: there is no systemd.
func Unit(int) string { return "" }

// Systemd is false.
func Systemd() bool { return false }

// Sockets are the listening sockets.
type Sockets struct{}

// ReadSockets needs /proc.
func ReadSockets() (Sockets, error) { return Sockets{}, errUnsupported }

// Bound needs /proc.
func (Sockets) Bound(...string) ([]Listener, error) { return nil, errUnsupported }

// Of needs /proc.
func (Sockets) Of(...int) (map[int][]string, error) { return nil, errUnsupported }

// Bound needs /proc.
func Bound(...string) ([]Listener, error) { return nil, errUnsupported }

// Listeners needs /proc.
func Listeners(...string) ([]Listener, error) { return nil, errUnsupported }

// Listening needs /proc.
func Listening(...int) (map[int][]string, error) { return nil, errUnsupported }

// Holders needs /proc.
func Holders(string) ([]Process, error) { return nil, errUnsupported }

// KillHolders needs /proc.
func KillHolders(context.Context, string) error { return errUnsupported }

// Using needs /proc.
func Using([]string) (uses map[string][]Use, unreadable []Process, err error) {
	return nil, nil, errUnsupported
}

// UsesOf needs /proc.
func UsesOf([]Process, []string) (uses map[int][]Use, unreadable []Process, err error) {
	return nil, nil, errUnsupported
}

// Descendants needs /proc.
func Descendants(int) ([]Process, error) { return nil, errUnsupported }

// InGroup is empty: there are no control groups.
func InGroup(string) ([]Process, error) { return nil, nil }

// SocketHolders needs /proc.
func SocketHolders([]string, ...uint32) ([]Process, error) { return nil, errUnsupported }
