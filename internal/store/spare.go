package store

import (
	"errors"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Names in .rel/spare, which only its owner may enter: nobody comes to use a spare by its path.
const (
	spareName     = "spare"
	spareManifest = "manifest"
	spareTree     = "tree"
)

// Spare is what was a release, set aside to be turned into another one.
type Spare struct {
	release.Manifest        // of what it was
	Dir              string // .rel/spare/tree
}

// KeepsSpare tells whether a release can become the spare: not where releases or .rel is a mount of its own, since a rename leads
// from one to the other.
func (r *Root) KeepsSpare() bool {
	for _, name := range []string{releasesName, stateName} {
		d, err := r.top.DirHere(name)
		if err == nil {
			err = d.Close()
		}
		if err != nil && !missing(err) {
			return false
		}
	}
	return true
}

// SetAside makes a release that is not live the one spare; an older one is removed. Its manifest moves first and for good, so
// that from then on it is no release: a crash leaves a release, a whole spare, or what Sweep removes.
func (r *Root) SetAside(id release.ID) error {
	if err := r.removable(id); err != nil {
		return err
	}
	if err := r.DropSpare(); err != nil {
		return err
	}
	h, err := r.open()
	if err != nil {
		return err
	}
	err = r.setAside(h, id)
	return errors.Join(err, h.close())
}

func (r *Root) setAside(h *handles, id release.ID) error {
	spare, err := h.state.MkdirAll(spareName, 0o700)
	if err != nil {
		return err
	}
	if err := h.state.Chmod(spareName, 0o700); err != nil {
		return errors.Join(err, spare.Close())
	}
	manifests, err := r.manifests()
	if err != nil {
		return errors.Join(err, spare.Close())
	}
	err = r.unready(h.links, id)
	if err == nil {
		err = move(manifests, string(id), spare, spareManifest)
	}
	if err == nil {
		err = move(h.releases, string(id), spare, spareTree)
	}
	if err == nil {
		err = dropLinks(h.links, id)
	}
	return errors.Join(err, manifests.Close(), spare.Close())
}

// move renames an entry into another directory, synced.
func move(from *disk.Dir, name string, into *disk.Dir, to string) error {
	if err := from.RenameNoReplace(name, into, to); err != nil {
		return err
	}
	return errors.Join(into.Sync(), from.Sync())
}

// Spare is the spare; ok is false where there is no whole one.
func (r *Root) Spare() (s Spare, ok bool, err error) {
	at, err := r.spareDir()
	if err != nil {
		return s, false, ignoreMissing(err)
	}
	s, ok, err = r.readSpare(at, readManifest)
	return s, ok, errors.Join(err, at.Close())
}

// TakeSpare takes the spare: its manifest is removed for good before anybody may change the tree, so that a crash leaves what
// Sweep removes.
func (r *Root) TakeSpare() error {
	at, err := r.spareDir()
	if err != nil {
		return err
	}
	if err = at.Remove(spareManifest); err == nil {
		err = at.Sync()
	}
	return errors.Join(err, at.Close())
}

// PlaceSpare puts the spare, which has been turned into the release id, where Publish expects an exported one.
func (r *Root) PlaceSpare(id release.ID) error {
	at, err := r.spareDir()
	if err != nil {
		return err
	}
	releases, err := r.top.Dir(releasesName)
	if err != nil {
		return errors.Join(err, at.Close())
	}
	err = move(at, spareTree, releases, tmpPrefix+string(id))
	return errors.Join(err, releases.Close(), at.Close())
}

// DropSpare removes the spare, or what is left of one. That there is none is no error.
func (r *Root) DropSpare() error {
	_, err := r.dropSpare()
	return err
}

// dropSpare also says whether there was anything to remove. The manifest goes first: a spare is whole or none.
func (r *Root) dropSpare() (there bool, err error) {
	at, err := r.spareDir()
	if err != nil {
		return false, ignoreMissing(err)
	}
	names, err := at.Names()
	if err == nil && len(names) > 0 {
		if err = ignoreMissing(at.Remove(spareManifest)); err == nil {
			err = at.Sync()
		}
	}
	for _, name := range names {
		if err != nil {
			break
		}
		err = at.RemoveAll(name)
	}
	return len(names) > 0, errors.Join(err, at.Close())
}

// Aside is what the spare was; ok is false where there is no whole one.
func (r *Root) Aside() (was release.Release, ok bool) {
	at, err := r.spareDir()
	if err != nil {
		return was, false
	}
	s, whole, err := r.readSpare(at, readHeader)
	err = errors.Join(err, at.Close())
	return s.Release, whole && err == nil
}

func (r *Root) spareDir() (*disk.Dir, error) {
	return r.top.Dir(path.Join(stateName, spareName))
}

// readSpare reads the spare's manifest and looks whether the tree is what it is of. A manifest that can't be read is no error: it is
// not of a whole spare.
func (r *Root) readSpare(at *disk.Dir, read func(*os.File) (release.Manifest, error)) (s Spare, whole bool, err error) {
	f, err := disk.Beneath(at.File(), spareManifest, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return s, false, ignoreMissing(err)
	}
	m, damaged := read(f)
	if err := f.Close(); err != nil || damaged != nil {
		return s, false, err
	}
	st, err := at.Lstat(spareTree)
	if err != nil {
		return s, false, ignoreMissing(err)
	}
	s = Spare{m, at.Path(spareTree)}
	return s, st.IsDir() && identOf(m.Release).Same(st.Ident), nil
}
