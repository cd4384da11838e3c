package store

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Names in .rel/unaccepted/<id>, beside the locks that it has as .rel has them.
const (
	unacceptedName     = "unaccepted"
	unacceptedAbout    = "about"
	unacceptedManifest = "manifest"
)

// Unaccepted tells of a release that is made of a push which git has not accepted yet. Its directory is where that of a release is;
// it is none, since its manifest is elsewhere, until Accept makes it one.
type Unaccepted struct {
	ID      release.ID `json:"-"`
	Object  string     `json:"object"`  // that was pushed
	PID     int        `json:"pid"`     // of the process of git that receives the push, and may accept it as long as it is there; 0 if not known
	Start   uint64     `json:"start"`   // of that process, boot ticks
	Boot    string     `json:"boot"`    // of the machine
	Ready   bool       `json:"ready"`   // whole, and passed by every gate
	Checked string     `json:"checked"` // digest of these gates
}

// UnacceptedDir is where what is known of an unaccepted release is. It has the locks that a state directory has: whoever makes it
// holds them.
func (r *Root) UnacceptedDir(id release.ID) string { return r.State(unacceptedName, string(id)) }

// BeginUnaccepted marks, synced, that a release is made which nobody has accepted; ok is false where its id is taken. Hold is called
// with a directory that nobody else looks into yet, to take the locks in it: from the first the mark is of somebody who lives.
func (r *Root) BeginUnaccepted(one Unaccepted, hold func(dir string) error) (ok bool, err error) {
	at, err := r.top.MkdirAll(path.Join(stateName, unacceptedName), 0o700)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, at.Close()) }()
	tmp := tmpPrefix + string(one.ID)
	if err := at.Mkdir(tmp, 0o700); errors.Is(err, os.ErrExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	err = fillUnaccepted(at, tmp, one)
	if err == nil {
		err = hold(at.Path(tmp))
	}
	if err == nil {
		err = at.RenameNoReplace(tmp, at, string(one.ID))
	}
	if err != nil {
		taken := errors.Is(err, os.ErrExist)
		if err = errors.Join(err, at.RemoveAll(tmp)); taken {
			err = nil
		}
		return false, err
	}
	return true, at.Sync()
}

// fillUnaccepted fills in the directory of an unaccepted release.
func fillUnaccepted(at *disk.Dir, name string, one Unaccepted) error {
	dir, err := at.Dir(name)
	if err != nil {
		return err
	}
	return errors.Join(makeLocks(dir), writeAbout(dir, one), dir.Close())
}

func writeAbout(dir *disk.Dir, one Unaccepted) error {
	data, err := json.Marshal(one)
	if err != nil {
		return err
	}
	return dir.WriteFile(unacceptedAbout, append(data, '\n'), 0o600)
}

// SealUnaccepted is Seal for an unaccepted release: it puts the manifest where no release has it.
func (r *Root) SealUnaccepted(m *release.Manifest) error {
	return r.sealWith(m, func(h *handles, m release.Manifest) error {
		data, err := encodeManifest(m)
		if err != nil {
			return err
		}
		if err := r.readyLink(h.links, m.ID); err != nil {
			return err
		}
		dir, err := r.unaccepted(m.ID)
		if err != nil {
			return err
		}
		return errors.Join(dir.WriteFile(unacceptedManifest, data, 0o644), dir.Close())
	})
}

// ReadyUnaccepted marks, synced, that an unaccepted release is whole and was passed by every gate.
func (r *Root) ReadyUnaccepted(one Unaccepted) error {
	dir, err := r.unaccepted(one.ID)
	if err != nil {
		return err
	}
	one.Ready = true
	return errors.Join(writeAbout(dir, one), dir.Close())
}

// Unaccepted are the unaccepted releases, sorted by id. Of one that cannot be read only the id is told.
func (r *Root) Unaccepted() ([]Unaccepted, error) {
	at, err := r.top.Dir(path.Join(stateName, unacceptedName))
	if err != nil {
		return nil, ignoreMissing(err)
	}
	names, err := at.Names()
	slices.Sort(names)
	var all []Unaccepted
	for _, name := range names {
		if _, ok := release.ID(name).Time(); !ok {
			continue
		}
		var one Unaccepted
		if data, err := readIn(at, path.Join(name, unacceptedAbout)); err != nil || json.Unmarshal(data, &one) != nil {
			one = Unaccepted{}
		}
		one.ID = release.ID(name)
		all = append(all, one)
	}
	return all, errors.Join(err, at.Close())
}

func readIn(dir *disk.Dir, rel string) ([]byte, error) {
	f, err := disk.Beneath(dir.File(), rel, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxHeader))
	return data, errors.Join(err, f.Close())
}

// UnacceptedManifest is the manifest of an unaccepted release.
func (r *Root) UnacceptedManifest(id release.ID) (release.Manifest, error) {
	return r.readUnaccepted(id, readManifest)
}

// UnacceptedRelease is the first line of that only.
func (r *Root) UnacceptedRelease(id release.ID) (release.Release, error) {
	m, err := r.readUnaccepted(id, readHeader)
	return m.Release, err
}

func (r *Root) readUnaccepted(id release.ID, read func(*os.File) (release.Manifest, error)) (m release.Manifest, err error) {
	f, err := disk.Beneath(r.top.File(), path.Join(stateName, unacceptedName, string(id), unacceptedManifest), unix.O_RDONLY, 0)
	if err != nil {
		return m, err
	}
	m, err = read(f)
	return m, errors.Join(err, f.Close())
}

// Accept makes an unaccepted release that is ready a release: its manifest is moved to those of releases, synced.
func (r *Root) Accept(id release.ID) error {
	h, err := r.open()
	if err != nil {
		return err
	}
	return errors.Join(r.accept(h, id), h.close())
}

func (r *Root) accept(h *handles, id release.ID) error {
	if err := r.readyLink(h.links, id); err != nil { // live.path may have changed
		return err
	}
	dir, err := r.unaccepted(id)
	if err != nil {
		return err
	}
	manifests, err := r.manifests()
	if err != nil {
		return errors.Join(err, dir.Close())
	}
	err = dir.RenameNoReplace(unacceptedManifest, manifests, string(id))
	if err == nil {
		err = manifests.Sync()
	}
	if err = errors.Join(err, manifests.Close(), dir.Close()); err != nil {
		return err
	}
	return errors.Join(ignoreMissing(h.links.Remove(tmpPrefix+string(id))), r.ForgetUnaccepted(id))
}

// DropUnaccepted removes an unaccepted release and all that is known of it; one that was accepted stays.
func (r *Root) DropUnaccepted(id release.ID) error {
	if err := r.removable(id); err != nil {
		return err
	}
	_, err := r.header(id)
	switch {
	case err == nil:
		return r.ForgetUnaccepted(id)
	case release.ExitCode(err) != release.ExitNotFound:
		return err
	}
	h, err := r.open()
	if err != nil {
		return err
	}
	err = h.releases.RemoveAll(tmpPrefix + string(id))
	if err == nil {
		err = r.removeDir(h, id)
	}
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	return r.ForgetUnaccepted(id)
}

// ForgetUnaccepted takes the mark away that a release is unaccepted, and nothing else.
func (r *Root) ForgetUnaccepted(id release.ID) error {
	at, err := r.top.Dir(path.Join(stateName, unacceptedName))
	if err != nil {
		return ignoreMissing(err)
	}
	return errors.Join(at.RemoveAll(string(id)), at.Close())
}

func (r *Root) unaccepted(id release.ID) (*disk.Dir, error) {
	return r.top.Dir(path.Join(stateName, unacceptedName, string(id)))
}
