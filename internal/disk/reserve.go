package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// A reserve is a file that takes room so that it can be given back. Some file systems refuse everything when they are full,
// also what needs no room elsewhere: a small btrfs even overwriting.
const (
	reserveName = "reserve"
	// ReserveSize is how much room a reserve takes, in bytes.
	ReserveSize = 8 << 20
)

// IsFull is whether err says that the disk or a quota is used up.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// SpendReserve gives the room of the directory's reserve back; false where there is none.
func SpendReserve(dir string) bool {
	if os.Remove(filepath.Join(dir, reserveName)) != nil {
		return false
	}
	// Journaling file systems hand freed blocks out again only once the unlinking is committed. If this sync goes wrong, what
	// the room was needed for tells.
	_ = SyncDir(dir)
	return true
}

// MakeReserve makes the directory's reserve, or makes it whole. It reports whether there is a whole one now: not, without an
// error, where there is no room for twice its size.
func MakeReserve(dir string) (bool, error) {
	path := filepath.Join(dir, reserveName)
	switch info, err := os.Lstat(path); {
	case err == nil && Allocated(info) >= ReserveSize:
		return true, nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return false, err
	}
	space, err := Free(dir)
	if err != nil {
		return false, err
	}
	if space.Bytes < 2*ReserveSize || (space.Inodes >= 0 && space.Inodes < 2) {
		return false, nil
	}
	if err := fillReserve(path); err != nil {
		removeErr := os.Remove(path)
		if IsFull(err) {
			return false, nil
		}
		return false, errors.Join(fmt.Errorf("%s: %w", path, err), removeErr)
	}
	return true, SyncDir(dir)
}

// fillReserve takes the blocks, with zeros where the file system cannot allocate ahead.
func fillReserve(path string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := Preallocate(f, ReserveSize); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if Allocated(info) < ReserveSize {
		if _, err := f.WriteAt(make([]byte, ReserveSize), 0); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Allocated is how many bytes of disk a file takes, which may be more or less than its size.
func Allocated(info os.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}
