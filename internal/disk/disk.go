// Package disk holds the file-system calls that last: what must be on the disk before the next step may begin, what must be
// atomic, and what must never follow a symbolic link. It knows nothing of releases.
//
// Any sync or close that goes wrong is an error, and no sync is ever tried again: after one has gone wrong the kernel may have
// dropped what was not written, and a second one that succeeds says nothing.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrNoExchange is wrapped where two directories can't be exchanged atomically: the file system does not know how (EINVAL,
// ENOSYS, ENOTSUP), they are on different ones or on different layers of an overlay (EXDEV), or one is a mount point (EBUSY).
var ErrNoExchange = errors.New("can't exchange directories here")

// Ident tells a directory apart from all others on its file system. The device number is no part of it, since it changes
// between mounts.
type Ident struct {
	Inode uint64
	Birth int64 // ns since the epoch; 0 where the file system does not record it
}

// Same is true when both are of one directory, as far as can be known: a birth time that either lacks is not compared.
func (i Ident) Same(other Ident) bool {
	if i.Inode == 0 || i.Inode != other.Inode {
		return false
	}
	return i.Birth == other.Birth || i.Birth == 0 || other.Birth == 0
}

// Space is what a file system has free for us.
type Space struct {
	Bytes  int64
	Inodes int64 // -1 where they are not counted
	Block  int64 // bytes of an allocation unit
}

// Stat is what the kernel knows of a file without opening it.
type Stat struct {
	Ident
	Device   uint64 // of the file system, until it is mounted anew
	Links    uint64 // names that the file has
	Mode     uint32 // type and permissions, as stat(2) has them
	Size     int64  // bytes
	Blocks   int64  // of 512 bytes, allocated
	MTime    int64  // ns since the epoch
	CTime    int64  // ns since the epoch
	UID, GID uint32
}

// IsDir is true for a directory, not for a link to one.
func (s Stat) IsDir() bool { return s.Mode&unix.S_IFMT == unix.S_IFDIR }

// IsLink is true for a symbolic link.
func (s Stat) IsLink() bool { return s.Mode&unix.S_IFMT == unix.S_IFLNK }

// IsRegular is true for a regular file.
func (s Stat) IsRegular() bool { return s.Mode&unix.S_IFMT == unix.S_IFREG }

// Identify tells which directory (or file) path is. It does not follow a link that path itself is.
func Identify(path string) (Ident, error) {
	st, err := statAt(unix.AT_FDCWD, path)
	if err != nil {
		return Ident{}, fmt.Errorf("%s: %w", path, err)
	}
	return st.Ident, nil
}

// SyncDir makes the entries of a directory durable.
func SyncDir(path string) error {
	d, err := OpenDir(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// WriteFile puts data at path so that a crash leaves either what was there before or the whole of data, whatever the umask:
// a temporary file beside it (".tmp-…"), synced, renamed over path, its directory synced.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	d, err := OpenDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.WriteFile(filepath.Base(path), data, mode), d.Close())
}

// Exchange swaps what a and b name, atomically. Where that can't be done the error is ErrNoExchange and nothing has changed.
// Neither directory is synced.
func Exchange(a, b string) error {
	return exchangeAt(unix.AT_FDCWD, a, unix.AT_FDCWD, b)
}

// ProbeExchange tries an exchange with two real directories made inside dir, and removes them. An error that is ErrNoExchange
// says why the file system can't.
func ProbeExchange(dir string) (err error) {
	probe, err := os.MkdirTemp(dir, ".tmp-probe-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, RemoveAll(probe)) }()
	a, b := filepath.Join(probe, "a"), filepath.Join(probe, "b")
	if err := errors.Join(os.Mkdir(a, 0o755), os.Mkdir(b, 0o755)); err != nil {
		return err
	}
	before, err := Identify(a)
	if err != nil {
		return err
	}
	if err := Exchange(a, b); err != nil {
		return err
	}
	after, err := Identify(b)
	if err != nil {
		return err
	}
	if !after.Same(before) {
		return fmt.Errorf("%s: an exchange that changed nothing: %w", dir, ErrNoExchange)
	}
	return nil
}

// Free tells what the file system that holds path has free for an ordinary user: root's reserve is not counted.
func Free(path string) (Space, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &st) }); err != nil {
		return Space{}, fmt.Errorf("%s: %w", path, err)
	}
	block := blockSize(&st)
	space := Space{Bytes: int64(st.Bavail) * block, Inodes: -1, Block: block}
	if st.Files > 0 {
		space.Inodes = int64(st.Ffree)
	}
	return space, nil
}

// retry calls f until a signal no longer interrupts it.
func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// noExchange makes err an ErrNoExchange when it is one of those by which kernels say that they can't.
func noExchange(a, b string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
		return fmt.Errorf("%s and %s: %w: the file system does not support it (%w)", a, b, ErrNoExchange, err)
	case errors.Is(err, unix.EXDEV):
		return fmt.Errorf("%s and %s: %w: they are on different file systems or layers (%w)", a, b, ErrNoExchange, err)
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%s and %s: %w: one of them is a mount point (%w)", a, b, ErrNoExchange, err)
	}
	return fmt.Errorf("%s and %s: %w", a, b, err)
}

// renamePlainNoReplace is for file systems that can't refuse to replace: it looks first. That is safe among those who hold
// rel's lock, and nobody else makes the names that rel renames to.
func renamePlainNoReplace(fromFD int, from string, toFD int, to string) error {
	switch _, err := statAt(toFD, to); {
	case err == nil:
		return unix.EEXIST
	case !errors.Is(err, unix.ENOENT):
		return err
	}
	return retry(func() error { return unix.Renameat(fromFD, from, toFD, to) })
}
