package store

import (
	"errors"
	"path"
	"path/filepath"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Adopt makes what is at the live path, though rel did not put it there, the release <time>-adopted, which is live then. In mode
// "directory" a directory stays where it is. In mode "symlink" a directory, or what a link leads to, is exchanged with a link
// that leads to where it goes, so that the live path never is absent; where the file system can't exchange, that is refused
// unless live.gap allows two renames. What is a release already is left as it is.
func (r *Root) Adopt(now time.Time) (release.ID, error) {
	l, err := r.Live()
	if err != nil || l.ID != "" {
		return l.ID, err
	}
	if l.Absent {
		return "", release.Errorf(release.ExitError, "%s: nothing there to adopt", r.LivePath()).Hint("rel activate TAG makes a release live")
	}
	h, err := r.open()
	if err != nil {
		return "", err
	}
	id, err := r.adopt(h, l, now)
	return id, errors.Join(err, h.close())
}

func (r *Root) adopt(h *handles, l Live, now time.Time) (release.ID, error) {
	at, err := r.adoptable(h, l)
	if err != nil {
		return "", err
	}
	parent, err := r.top.Dir(path.Dir(at))
	if err != nil {
		return "", err
	}
	id, err := r.adoptAt(h, parent, at, now)
	return id, errors.Join(err, parent.Close())
}

// adoptable is where the directory to adopt is, relative to the root.
func (r *Root) adoptable(h *handles, l Live) (string, error) {
	st, err := h.live.Lstat(h.name)
	if err != nil {
		return "", err
	}
	if st.IsDir() {
		return r.Layout.Live, nil
	}
	if !st.IsLink() {
		return "", r.Refuse(l)
	}
	target, err := filepath.EvalSymlinks(r.LivePath())
	if err != nil {
		return "", r.Refuse(l) // dangling, or a loop
	}
	rel, err := filepath.Rel(r.Dir, target)
	if err != nil || rel == ".." || len(rel) > 2 && rel[:3] == "../" {
		return "", r.Refuse(l)
	}
	at := filepath.ToSlash(rel)
	for _, own := range []string{stateName, sharedName} {
		if within(at, own) || within(own, at) {
			return "", release.Errorf(release.ExitError, "%s: leads to %s, which can't be a release", r.LivePath(), target)
		}
	}
	if at == "." || within(releasesName, at) || within(r.Layout.Live, at) || !isDir(target) {
		return "", release.Errorf(release.ExitError, "%s: leads to %s, which can't be a release", r.LivePath(), target)
	}
	return at, nil
}

// adoptAt takes over the directory at the path at, an entry of parent. Its manifest is written before anything moves: a
// directory with a manifest is never swept. One that has been a release all along, as after a change of live.mode, stays it.
func (r *Root) adoptAt(h *handles, parent *disk.Dir, at string, now time.Time) (release.ID, error) {
	dir, err := parent.Dir(path.Base(at))
	if err != nil {
		return "", err
	}
	ident, err := dir.Ident()
	var known Live
	if err == nil {
		known, err = r.liveDirectory(ident)
	}
	if err != nil {
		return "", errors.Join(err, dir.Close())
	}
	if known.ID != "" {
		return known.ID, errors.Join(dir.Close(), r.takeOver(h, parent, at, known.ID))
	}
	m, err := r.describe(h, dir, now)
	if err = errors.Join(err, dir.Close()); err != nil {
		return "", err
	}
	if err := r.writeManifest(h, m); err != nil {
		return "", err
	}
	if err := r.takeOver(h, parent, at, m.ID); err != nil {
		return "", r.unadopt(h, m.ID, err)
	}
	return m.ID, nil
}

// describe is the manifest of a directory to adopt, whose files it syncs.
func (r *Root) describe(h *handles, dir *disk.Dir, now time.Time) (release.Manifest, error) {
	id := release.NewID(now, "adopted")
	for !r.free(h, id) {
		now = now.Add(time.Second)
		id = release.NewID(now, "adopted")
	}
	ident, err := dir.Ident()
	if err != nil {
		return release.Manifest{}, err
	}
	m := release.Manifest{Release: release.Release{
		ID: id, Tag: string(id), Created: now.UTC(), Adopted: true, Inode: ident.Inode, Birth: ident.Birth,
	}}
	items, err := scan(dir, everywhere)
	if err != nil {
		return m, err
	}
	for _, it := range items {
		m.Entries = append(m.Entries, it.entry(release.Built))
	}
	return m, syncAll(dir, items)
}

// free is true where neither a release nor a leftover has the id.
func (r *Root) free(h *handles, id release.ID) bool {
	_, err := r.header(id)
	_, dirErr := h.releases.Lstat(string(id))
	return release.ExitCode(err) == release.ExitNotFound && missing(dirErr)
}

// takeOver brings the directory at the path at, an entry of parent, to where a live release is in the root's mode.
func (r *Root) takeOver(h *handles, parent *disk.Dir, at string, id release.ID) error {
	name := path.Base(at)
	if r.Layout.Mode == ModeDirectory {
		if at == r.Layout.Live {
			return nil
		}
		if err := h.live.Exchange(h.name, parent, name); err != nil {
			return err
		}
		return errors.Join(h.live.Sync(), parent.Remove(name), parent.Sync())
	}
	final := path.Join(releasesName, string(id))
	if at == final {
		return r.relive(h, id)
	}
	if err := h.releases.Symlink(relativeTo(path.Dir(at), final), string(id)); err != nil {
		return err
	}
	if err := r.intoReleases(h, parent, name, id); err != nil {
		return err
	}
	if err := errors.Join(parent.Sync(), h.releases.Sync()); err != nil {
		return err
	}
	if err := r.relive(h, id); err != nil {
		return err
	}
	if at == r.Layout.Live {
		return nil
	}
	return errors.Join(ignoreMissing(parent.Remove(name)), parent.Sync())
}

// relive puts rel's own link to id over the live link.
func (r *Root) relive(h *handles, id release.ID) error {
	warning, err := r.switchLink(h, id)
	return errors.Join(err, warning)
}

// intoReleases exchanges the directory with the link that waits under its future name and leads there.
func (r *Root) intoReleases(h *handles, parent *disk.Dir, name string, id release.ID) error {
	err := parent.Exchange(name, h.releases, string(id))
	if err == nil {
		return nil
	}
	if rmErr := h.releases.Remove(string(id)); rmErr != nil || !errors.Is(err, disk.ErrNoExchange) {
		return errors.Join(err, rmErr)
	}
	if !r.Layout.Gap {
		return release.Errorf(release.ExitError, "%w", err).
			Hint("live.gap = true in rel.toml allows two renames, with a moment between them when the live path is absent")
	}
	return parent.RenameNoReplace(name, h.releases, string(id))
}

// unadopt takes the manifest back where nothing has moved.
func (r *Root) unadopt(h *handles, id release.ID, why error) error {
	if st, err := h.releases.Lstat(string(id)); err == nil && st.IsDir() {
		return why // it has moved: it is a release, and stays one
	}
	if l, err := r.Live(); err != nil || l.ID == id {
		return errors.Join(why, err)
	}
	return errors.Join(why, r.forget(id), dropLinks(h.links, id))
}
