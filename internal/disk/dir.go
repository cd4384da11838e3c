package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is an open directory. Its methods take names of its own entries (a name with a slash is refused), never follow a link,
// and go on working when the directory itself is renamed.
type Dir struct {
	f *os.File
}

// OpenDir opens the directory at path. Links in path are followed: it is for paths that the operator gave.
func OpenDir(path string) (*Dir, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, cause(err))
	}
	return &Dir{f}, nil
}

// File is the open directory itself, for Beneath and SyncFS. It is closed by Close.
func (d *Dir) File() *os.File { return d.f }

// Path is where the directory was when it was opened, with name added.
func (d *Dir) Path(name string) string { return filepath.Join(d.f.Name(), name) }

// Ident tells which directory this is.
func (d *Dir) Ident() (Ident, error) {
	st, err := d.Stat()
	return st.Ident, err
}

// Stat is what is known of the directory itself.
func (d *Dir) Stat() (Stat, error) {
	st, err := statAt(d.fd(), ".")
	if err != nil {
		return Stat{}, fmt.Errorf("%s: %w", d.f.Name(), err)
	}
	return st, nil
}

// Chmod sets the permissions of an entry that is not a link.
func (d *Dir) Chmod(name string, mode os.FileMode) error {
	if err := single(name); err != nil {
		return err
	}
	return d.wrap(name, chmodNoFollow(d.fd(), name, uint32(mode.Perm())))
}

// Close closes the descriptor.
func (d *Dir) Close() error { return d.f.Close() }

// Sync makes the directory's entries durable.
func (d *Dir) Sync() error {
	if err := d.f.Sync(); err != nil {
		return fmt.Errorf("%s: sync: %w", d.f.Name(), cause(err))
	}
	return nil
}

// Dir opens a directory beneath d; rel may have several parts, none of which may be a link.
func (d *Dir) Dir(rel string) (*Dir, error) {
	f, err := Beneath(d.f, rel, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	return &Dir{f}, nil
}

// DirHere is Dir that enters no other mount: the error is then EXDEV.
func (d *Dir) DirHere(rel string) (*Dir, error) {
	if err := plain(rel); err != nil {
		return nil, fmt.Errorf("%q beneath %s: %w", rel, d.f.Name(), err)
	}
	fd, err := openWithin(d.fd(), rel, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return nil, d.wrap(rel, err)
	}
	return &Dir{os.NewFile(uintptr(fd), d.Path(rel))}, nil
}

// Mkdir makes a directory with exactly mode, whatever the umask. It syncs nothing.
func (d *Dir) Mkdir(name string, mode os.FileMode) error {
	if err := single(name); err != nil {
		return err
	}
	perm := uint32(mode.Perm())
	if err := retry(func() error { return unix.Mkdirat(d.fd(), name, perm) }); err != nil {
		return d.wrap(name, err)
	}
	return d.wrap(name, chmodNoFollow(d.fd(), name, perm))
}

// Symlink makes a link with the given text. It syncs nothing.
func (d *Dir) Symlink(text, name string) error {
	if err := single(name); err != nil {
		return err
	}
	return d.wrap(name, retry(func() error { return unix.Symlinkat(text, d.fd(), name) }))
}

// Readlink is the text of the link name.
func (d *Dir) Readlink(name string) (string, error) {
	if err := single(name); err != nil {
		return "", err
	}
	for size := 256; ; size *= 2 {
		buf, n := make([]byte, size), 0
		err := retry(func() (err error) { n, err = unix.Readlinkat(d.fd(), name, buf); return err })
		if err != nil {
			return "", d.wrap(name, err)
		}
		if n < size {
			return string(buf[:n]), nil
		}
	}
}

// Lstat is what is known of an entry, without following it if it is a link.
func (d *Dir) Lstat(name string) (Stat, error) {
	if err := single(name); err != nil {
		return Stat{}, err
	}
	st, err := statAt(d.fd(), name)
	return st, d.wrap(name, err)
}

// Names are the names of all entries, in no order.
func (d *Dir) Names() ([]string, error) {
	// A descriptor of its own, so that a second call begins at the beginning.
	again, err := d.Dir(".")
	if err != nil {
		return nil, err
	}
	names, err := again.f.Readdirnames(-1)
	if err != nil {
		err = fmt.Errorf("%s: %w", d.f.Name(), cause(err))
	}
	return names, errors.Join(err, again.Close())
}

// Rename renames name to the name to in the directory into, replacing what is there. It syncs neither directory.
func (d *Dir) Rename(name string, into *Dir, to string) error {
	if err := errors.Join(single(name), single(to)); err != nil {
		return err
	}
	err := retry(func() error { return unix.Renameat(d.fd(), name, into.fd(), to) })
	return d.wrap(name, err)
}

// RenameNoReplace is Rename that returns an error which is os.ErrExist when to is taken.
func (d *Dir) RenameNoReplace(name string, into *Dir, to string) error {
	if err := errors.Join(single(name), single(to)); err != nil {
		return err
	}
	if err := renameNoReplaceAt(d.fd(), name, into.fd(), to); err != nil {
		return fmt.Errorf("%s to %s: %w", d.Path(name), into.Path(to), errno(err))
	}
	return nil
}

// Exchange swaps name with the entry other of the directory with, atomically. It syncs neither directory.
func (d *Dir) Exchange(name string, with *Dir, other string) error {
	if err := errors.Join(single(name), single(other)); err != nil {
		return err
	}
	err := exchangeAt(d.fd(), name, with.fd(), other)
	if err == nil || errors.Is(err, ErrNoExchange) {
		return err
	}
	return fmt.Errorf("%s and %s: %w", d.Path(name), with.Path(other), errno(err))
}

// Remove removes a file or link, not a directory. It syncs nothing.
func (d *Dir) Remove(name string) error {
	if err := single(name); err != nil {
		return err
	}
	return d.wrap(name, retry(func() error { return unix.Unlinkat(d.fd(), name, 0) }))
}

func (d *Dir) fd() int { return int(d.f.Fd()) }

// wrap puts the path before err, which may be nil.
func (d *Dir) wrap(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", d.Path(name), err)
}

// single refuses what is not the name of one entry.
func single(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("%q: %w: not the name of a directory's entry", name, os.ErrInvalid)
	}
	return nil
}

// cause strips the operation and path that package os puts before a cause.
func cause(err error) error {
	if e, ok := errors.AsType[*os.PathError](err); ok {
		return e.Err
	}
	return err
}

// errno is the system's error number in err's chain, without the relative names that came with it.
func errno(err error) error {
	if e, ok := errors.AsType[unix.Errno](err); ok {
		return e
	}
	return err
}
