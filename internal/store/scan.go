package store

import (
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// item is what the disk has at a path of a release.
type item struct {
	path string
	st   disk.Stat
}

// scan lists all that is beneath dir, sorted by path. It does not list what is in a directory for which descend says no.
func scan(dir *disk.Dir, descend func(item) bool) ([]item, error) {
	var items []item
	var walk func(at *disk.Dir, prefix string) error
	walk = func(at *disk.Dir, prefix string) error {
		names, err := at.Names()
		if err != nil {
			return err
		}
		for _, name := range names {
			st, err := at.Lstat(name)
			if missing(err) {
				continue // gone since it was listed
			}
			if err != nil {
				return err
			}
			it := item{path.Join(prefix, name), st}
			items = append(items, it)
			if !st.IsDir() || !descend(it) {
				continue
			}
			sub, err := at.Dir(name)
			if err != nil {
				return err
			}
			if err := errors.Join(walk(sub, it.path), sub.Close()); err != nil {
				return err
			}
		}
		return nil
	}
	err := walk(dir, "")
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.path, b.path) })
	return items, err
}

func everywhere(item) bool { return true }

// entry is the item as a manifest has it, without an id.
func (it item) entry(kind release.Kind) release.Entry {
	e := release.Entry{Path: it.path, Kind: kind, Mode: gitMode(it.st)}
	if it.st.IsDir() {
		return e // its stat data change with whatever is made in it
	}
	it.stamp(&e)
	return e
}

// stamp puts the stat data into an entry that tell whether the file has been touched since.
func (it item) stamp(e *release.Entry) {
	e.Size, e.Inode, e.MTime, e.CTime = it.st.Size, it.st.Inode, it.st.MTime, it.st.CTime
}

// gitMode is the mode of a file as git has it; of what git can't have (a pipe, a socket) it is the kernel's.
func gitMode(st disk.Stat) uint32 {
	switch {
	case st.IsDir():
		return release.ModeDir
	case st.IsLink():
		return release.ModeSymlink
	case st.IsRegular() && st.Mode&0o100 != 0:
		return release.ModeExec
	case st.IsRegular():
		return release.ModeFile
	}
	return st.Mode & (unix.S_IFMT | 0o777)
}

// blobID is the git id of what is at p beneath dir: of a file its content, of a link its text. The length of like, an id,
// chooses the hash.
func blobID(dir *disk.Dir, p, like string, link bool) (string, error) {
	h := sha1.New()
	if len(like) == sha256.Size*2 {
		h = sha256.New()
	}
	if link {
		return linkID(dir, p, h)
	}
	f, err := disk.Beneath(dir.File(), p, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	st, err := f.Stat()
	if err == nil {
		fmt.Fprintf(h, "blob %d\x00", st.Size()) // a hash takes everything
		_, err = io.Copy(h, f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func linkID(dir *disk.Dir, p string, h hash.Hash) (string, error) {
	parent, err := dir.Dir(path.Dir(p))
	if err != nil {
		return "", err
	}
	text, err := parent.Readlink(path.Base(p))
	if err = errors.Join(err, parent.Close()); err != nil {
		return "", err
	}
	fmt.Fprintf(h, "blob %d\x00%s", len(text), text)
	return hex.EncodeToString(h.Sum(nil)), nil
}
