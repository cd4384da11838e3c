package proc

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const keep = ^uintptr(0) // -1 to setresuid: leave this one as it is

// DropTo puts root aside: the whole process becomes u, with u's groups, and only its saved uid stays 0. What
// it executes from then on cannot become root again, since execve copies the effective uid over the saved one; a Command with As
// can still run as anybody. As anybody but root it is an error, unless the process is u already.
func DropTo(u User) error {
	if os.Geteuid() != 0 {
		if os.Geteuid() == int(u.UID) {
			return nil
		}
		return fmt.Errorf("cannot become %s: this process is of uid %d and not root", u.Name, os.Geteuid())
	}
	groups := make([]int, len(u.Groups))
	for i, g := range u.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("groups of %s: %w", u.Name, err)
	}
	if err := syscall.Setresgid(int(u.GID), int(u.GID), int(u.GID)); err != nil {
		return fmt.Errorf("gid %d: %w", u.GID, err)
	}
	if err := syscall.Setresuid(int(u.UID), int(u.UID), 0); err != nil {
		return fmt.Errorf("uid %d: %w", u.UID, err)
	}
	return nil
}

// CanBecome tells whether this process may run commands as any user: it is root, or was before DropTo.
func CanBecome() bool {
	_, effective, saved := unix.Getresuid()
	return effective == 0 || saved == 0
}

// onThread runs fn on an operating-system thread of its own that ends with it, so that nothing fn does to the thread's umask or
// credentials can be seen by others.
func onThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the main thread cannot end: keep it busy while another one works
			result <- onThread(fn)
			runtime.UnlockOSThread()
			return
		}
		result <- fn() // no UnlockOSThread: the thread ends
	}()
	return <-result
}

// AsRoot runs fn with the effective uid 0 that DropTo put aside, on a thread of its own: what fn starts in other goroutines does
// not have it. Where there is nothing to regain, fn runs as we are.
func AsRoot(fn func() error) error {
	if os.Geteuid() == 0 || !CanBecome() {
		return fn()
	}
	return onThread(func() error { return regained(fn) })
}

// regained sets this thread's effective uid, and only that, to 0 while fn runs. By the raw system call: the library's would change
// every thread.
func regained(fn func() error) error {
	_, effective, _ := unix.Getresuid()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, 0, keep); errno != 0 {
		return fmt.Errorf("become root again: %w", errno)
	}
	err := fn()
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, keep, uintptr(effective), keep); errno != 0 {
		return fmt.Errorf("uid %d again: %w", effective, errno) // harmless beyond this thread, which ends
	}
	return err
}

// forkClean runs fork where a child gets umask 022 and no descriptor that is not meant for it, as root again if it is to become
// somebody else.
func forkClean(become bool, fork func() error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_FS); err != nil { // as containers' seccomp filters do: then for the whole process
			defer unix.Umask(unix.Umask(0o022))
		} else {
			unix.Umask(0o022)
		}
		err := unix.CloseRange(3, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC)
		if err != nil && err != unix.ENOSYS && err != unix.EPERM && err != unix.EINVAL { // Linux before 5.11; seccomp
			return fmt.Errorf("close descriptors on exec: %w", err)
		}
		if become && os.Geteuid() != 0 && CanBecome() {
			return regained(fork)
		}
		return fork()
	})
}

// awaitExit waits until a child has exited and leaves it a zombie.
func awaitExit(pid int) bool {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if err != unix.EINTR {
			return err == nil
		}
	}
}

// AwaitEnd waits until p, which need not be our child, has ended. An error is of ctx.
func AwaitEnd(ctx context.Context, p Process) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err == nil {
		defer unix.Close(fd)
	}
	for p.Same() {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil: // until it ends; once in a second we look whether we are wanted still
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 1000)
		default: // Linux before 5.3; seccomp
			time.Sleep(100 * time.Millisecond)
		}
	}
	return nil
}

func signalGroup(pgid int, sig syscall.Signal) {
	// A group that is empty by now is what we want, and one that we may not signal shows by not ending.
	_ = AsRoot(func() error { return unix.Kill(-pgid, sig) })
}

// Signal sends a signal to p, if it is still the same process; else it is ErrGone.
func Signal(p Process, sig syscall.Signal) error {
	return AsRoot(func() error {
		fd, err := unix.PidfdOpen(p.PID, 0)
		switch {
		case err == unix.ESRCH:
			return fmt.Errorf("%s: %w", p, ErrGone)
		case err == unix.ENOSYS || err == unix.EPERM: // Linux before 5.3; seccomp
			if !p.Same() {
				return fmt.Errorf("%s: %w", p, ErrGone)
			}
			err = unix.Kill(p.PID, sig)
		case err == nil:
			defer unix.Close(fd)
			if !p.Same() { // the descriptor now holds on to whoever it is
				return fmt.Errorf("%s: %w", p, ErrGone)
			}
			err = unix.PidfdSendSignal(fd, sig, nil, 0)
		}
		if err == unix.ESRCH {
			return fmt.Errorf("%s: %w", p, ErrGone)
		}
		if err != nil {
			return fmt.Errorf("%s: %s: %w", p, unix.SignalName(sig), err)
		}
		return nil
	})
}
