package proc

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// clone is a mount of what is at a path, a symlink itself included, that is attached nowhere yet.
func clone(path string) (int, error) {
	return unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_SYMLINK_NOFOLLOW|unix.AT_RECURSIVE)
}

// attach mounts a clone over a path, a symlink itself included, and lets go of it.
func attach(tree int, at string) error {
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// makePrivate covers what a service might touch: /run and /tmp, other processes, and that there is no network.
func (v View) makePrivate() (string, error) {
	kept := -1
	var err error
	if strings.HasPrefix(v.Keep, "/run/") || strings.HasPrefix(v.Keep, "/tmp/") {
		if kept, err = clone(v.Keep); err != nil {
			return "mount " + v.Keep, err
		}
	}
	for _, dir := range []string{"/run", "/tmp"} {
		if err := unix.Mount("rel", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
			return "mount over " + dir, err
		}
	}
	if kept >= 0 {
		if err := os.MkdirAll(v.Keep, 0o755); err != nil {
			return v.Keep, err
		}
		if err := attach(kept, v.Keep); err != nil {
			return "mount " + v.Keep, err
		}
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return "mount over /proc", err
	}
	return "loopback", loopbackUp()
}

// loopbackUp makes 127.0.0.1 and ::1 addresses of a network that has nothing else.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
