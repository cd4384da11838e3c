package gate

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/proc"
)

var errCannotBecome = errors.New("this process may not become another user")

// asUser calls f with a tester of the release in dir that has the user's credentials. Only the thread has them that f runs on, so
// that f must not hand the tester to another goroutine. The real and saved uid stay: the user can neither signal nor trace the
// thread; and no capability is in effect. errCannotBecome says that this process may not; f has not been called then.
func asUser(u proc.User, dir *os.File, f func(tester)) error {
	if is(u) {
		f(realTester{dir})
		return nil
	}
	ruid, euid, suid := unix.Getresuid()
	if ruid != 0 && euid != 0 && suid != 0 {
		return errCannotBecome
	}
	return onThread(func() error {
		if err := become(u); err != nil {
			return err
		}
		f(realTester{dir})
		return nil
	})
}

// onThread calls f on a thread that ends with it, so that the credentials it takes end too.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() { // the main thread cannot end: it waits for another
			done <- onThread(f)
			runtime.UnlockOSThread()
			return
		}
		done <- f() // and no unlock: that ends the thread
	}()
	return <-done
}

// is says whether this process acts as u already, with just u's groups.
func is(u proc.User) bool {
	have, err := os.Getgroups()
	if err != nil || os.Geteuid() != int(u.UID) || os.Getegid() != int(u.GID) {
		return false
	}
	want := map[int]bool{int(u.GID): true}
	for _, g := range u.Groups {
		want[int(g)] = true
	}
	got := map[int]bool{int(u.GID): true}
	for _, g := range have {
		got[g] = true
	}
	return maps.Equal(got, want)
}

// become changes the effective credentials of the calling thread alone: the raw system calls, since those of package syscall
// change every thread.
func become(u proc.User) error {
	const keep = ^uintptr(0)
	if err := raw(unix.SYS_SETRESUID, keep, 0, keep); err != nil { // where the process has dropped root for now
		return fmt.Errorf("%w: root again: %w", errCannotBecome, err)
	}
	groups := append(slices.Clone(u.Groups), u.GID)
	_, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0)
	if errno != 0 {
		return fmt.Errorf("%w: groups of %s: %w", errCannotBecome, u.Name, errno)
	}
	if err := raw(unix.SYS_SETRESGID, keep, uintptr(u.GID), keep); err != nil {
		return fmt.Errorf("%w: group of %s: %w", errCannotBecome, u.Name, err)
	}
	if err := raw(unix.SYS_SETRESUID, keep, uintptr(u.UID), keep); err != nil {
		return fmt.Errorf("%w: uid of %s: %w", errCannotBecome, u.Name, err)
	}
	return nil
}

func raw(call, a, b, c uintptr) error {
	if _, _, errno := unix.RawSyscall(call, a, b, c); errno != 0 {
		return errno
	}
	return nil
}

// realTester asks the kernel, by opening. It is used on the thread of asUser.
type realTester struct {
	dir *os.File // of the release, opened as ourselves: what is above it is tested apart
}

func (t realTester) test(path string, what need) error {
	const quiet = unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY
	switch what {
	case search:
		return t.open(path+"/.", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC)
	case list:
		return t.open(path+"/.", unix.O_RDONLY|unix.O_DIRECTORY|quiet)
	case read:
		return t.open(path, unix.O_RDONLY|unix.O_NOFOLLOW|quiet)
	case run:
		if err := t.open(path, unix.O_RDONLY|unix.O_NOFOLLOW|quiet); err != nil {
			return err
		}
		return t.retry(func() error { return unix.Faccessat(int(t.dir.Fd()), path, unix.X_OK, unix.AT_EACCESS) })
	}
	var st unix.Stat_t
	if err := t.retry(func() error { return unix.Fstatat(int(t.dir.Fd()), path, &st, 0) }); err != nil || what == reach {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return t.test(path, list)
	case unix.S_IFREG:
		return t.open(path, unix.O_RDONLY|quiet)
	}
	return nil // a socket, a pipe, a device: opening it could do something
}

func (t realTester) open(path string, flags int) error {
	return t.retry(func() error {
		fd, err := unix.Openat(int(t.dir.Fd()), path, flags, 0)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	})
}

func (t realTester) retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
