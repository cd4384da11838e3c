package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Beneath opens the file rel beneath dir. No part of rel may be a link, nor may it be absolute, empty or have a ".." or a part
// that is not plain: neither a hostile tree nor somebody who changes it meanwhile can lead it elsewhere. flags are those of
// open(2), O_CLOEXEC and O_NOFOLLOW added; mode counts with O_CREAT, under the umask. "." opens dir again.
func Beneath(dir *os.File, rel string, flags int, mode uint32) (*os.File, error) {
	path := filepath.Join(dir.Name(), rel)
	if err := plain(rel); err != nil {
		return nil, fmt.Errorf("%q beneath %s: %w", rel, dir.Name(), err)
	}
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if flags&unix.O_CREAT == 0 {
		mode = 0
	}
	fd, err := openBeneath(int(dir.Fd()), rel, flags, mode&0o7777)
	runtime.KeepAlive(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

func plain(rel string) error {
	if rel == "." {
		return nil
	}
	for part := range strings.SplitSeq(rel, "/") {
		if part == "" || part == "." || part == ".." || strings.Contains(part, "\x00") {
			return fmt.Errorf("%w: not a plain relative path", os.ErrInvalid)
		}
	}
	return nil
}

// walkBeneath does what openBeneath does where the kernel has no call for it: each part is opened from the one before, and none
// may be a link.
func walkBeneath(dir int, rel string, flags int, mode uint32) (int, error) {
	parts := strings.Split(rel, "/")
	at := dir
	for _, part := range parts[:len(parts)-1] {
		next, err := openAt(at, part, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if at != dir {
			err = errors.Join(err, unix.Close(at))
		}
		if err != nil {
			return -1, err
		}
		at = next
	}
	fd, err := openAt(at, parts[len(parts)-1], flags, mode)
	if at != dir {
		err = errors.Join(err, unix.Close(at))
	}
	if err != nil {
		return -1, err
	}
	return fd, nil
}

func openAt(dir int, name string, flags int, mode uint32) (fd int, err error) {
	err = retry(func() (err error) {
		fd, err = unix.Openat(dir, name, flags, mode)
		return err
	})
	// With O_DIRECTORY a link is reported as not being a directory: say what it is.
	if errors.Is(err, unix.ENOTDIR) {
		if st, statErr := statAt(dir, name); statErr == nil && st.IsLink() {
			err = unix.ELOOP
		}
	}
	return fd, err
}
