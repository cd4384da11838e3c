package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// WriteFile is the package's WriteFile for an entry of d.
func (d *Dir) WriteFile(name string, data []byte, mode os.FileMode) (err error) {
	if err := single(name); err != nil {
		return err
	}
	f, tmp, err := d.createTemp(name)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(d.Remove(tmp)))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode.Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = d.Rename(tmp, d, name); err != nil {
		return err
	}
	return d.Sync()
}

// createTemp makes an empty file with a name of its own for a file that is to be called name.
func (d *Dir) createTemp(name string) (*os.File, string, error) {
	for try := range 1000 {
		tmp := fmt.Sprintf(".tmp-%d-%d-%s", os.Getpid(), try, name[:min(len(name), 100)])
		f, err := Beneath(d.f, tmp, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
		if !errors.Is(err, os.ErrExist) {
			return f, tmp, err
		}
	}
	return nil, "", fmt.Errorf("%s: too many temporary files beside it", d.Path(name))
}

// Clock is what the time is by the clock that the file system stamps files with, which may lag behind others and moves in ticks: the
// ctime, in ns, of a file that is made in d and removed.
func (d *Dir) Clock() (ns int64, err error) {
	f, name, err := d.createTemp("clock")
	if err != nil {
		return 0, err
	}
	st, err := d.Lstat(name)
	return st.CTime, errors.Join(err, f.Close(), d.Remove(name))
}

// MkdirAll opens the directory rel beneath d, making those of its parts that are missing with exactly mode, and syncing each
// directory that gained one.
func (d *Dir) MkdirAll(rel string, mode os.FileMode) (*Dir, error) {
	at, err := d.Dir(".")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(filepath.Clean(rel), "/") {
		if part == "." {
			continue
		}
		next, err := at.enter(part, mode)
		if err = errors.Join(err, at.Close()); err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func (d *Dir) enter(name string, mode os.FileMode) (*Dir, error) {
	next, err := d.Dir(name)
	if !errors.Is(err, os.ErrNotExist) {
		return next, err
	}
	if err := d.Mkdir(name, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	if err := d.Sync(); err != nil {
		return nil, err
	}
	return d.Dir(name)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}
