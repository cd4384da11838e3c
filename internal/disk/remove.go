package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxOpen bounds how many levels of a tree are held open at once: deeper directories are first moved up.
const maxOpen = 100

// RemoveAll removes what is at path and everything beneath it, making directories writable where they are not. It goes through
// descriptors, follows no link and enters no other mount. It removes what it can and then returns the first error. What is not
// there is no error. Nothing is synced.
func RemoveAll(path string) error {
	parent, err := OpenDir(filepath.Dir(path))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(parent.RemoveAll(filepath.Base(path)), parent.Close())
}

// RemoveAll is the package's RemoveAll for an entry of d.
func (d *Dir) RemoveAll(name string) error {
	if err := single(name); err != nil {
		return err
	}
	r := remover{}
	for {
		moved := r.moved
		err := r.remove(d, name, 0)
		// What was moved up needs another pass over the top; each pass removes maxOpen levels of it.
		if err == nil || r.moved == moved {
			return err
		}
	}
}

type remover struct {
	top   *Dir // the directory being removed, while it is open
	moved int  // directories moved up into top so far
}

func (r *remover) remove(parent *Dir, name string, depth int) error {
	err := parent.Remove(name)
	if err == nil || errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// What removing a directory as a file gives depends on the system (EISDIR, EPERM): look.
	if st, statErr := parent.Lstat(name); statErr != nil || !st.IsDir() {
		return errors.Join(err, ignoreMissing(statErr))
	}
	if depth >= maxOpen {
		r.moved++
		return parent.Rename(name, r.top, fmt.Sprintf(".tmp-deep-%d-%d", os.Getpid(), r.moved))
	}
	dir, err := openWritable(parent, name)
	if err != nil {
		return err
	}
	if depth == 0 {
		r.top = dir
	}
	err = errors.Join(r.empty(dir, depth), dir.Close())
	if err != nil {
		return err
	}
	return parent.wrap(name, ignoreMissing(retry(func() error { return unix.Unlinkat(parent.fd(), name, unix.AT_REMOVEDIR) })))
}

func (r *remover) empty(dir *Dir, depth int) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	var first error
	for _, name := range names {
		if err := r.remove(dir, name, depth+1); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// openWritable opens a directory to empty it. Its mode is changed only where it stands in the way; where that can't be done,
// the removal itself says what is wrong.
func openWritable(parent *Dir, name string) (*Dir, error) {
	const need = 0o700
	st, err := parent.Lstat(name)
	if err != nil {
		return nil, err
	}
	var chmodErr error
	if st.Mode&need != need {
		chmodErr = chmodNoFollow(parent.fd(), name, st.Mode&0o777|need)
	}
	fd, err := openWithin(parent.fd(), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC)
	if err != nil {
		return nil, parent.wrap(name, errors.Join(err, chmodErr))
	}
	return &Dir{os.NewFile(uintptr(fd), parent.Path(name))}, nil
}
