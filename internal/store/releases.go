package store

import (
	"errors"
	"slices"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Releases are the releases of the root, sorted by id, read from the first lines of their manifests: those that have a manifest
// and a directory. Those that could be read come with the error of those that could not.
func (r *Root) Releases() ([]release.Release, error) {
	all, err := r.headers()
	moved := r.moved()
	dirs, dirErr := r.releaseDirs()
	there := all[:0]
	for _, m := range all {
		if dirs[string(m.ID)] || slices.ContainsFunc(moved, identOf(m).Same) {
			there = append(there, m)
		}
	}
	return there, errors.Join(err, dirErr)
}

// releaseDirs are the names of the directories in releases.
func (r *Root) releaseDirs() (map[string]bool, error) {
	dir, err := r.top.Dir(releasesName)
	if err != nil {
		return nil, ignoreMissing(err)
	}
	entries, err := dir.File().ReadDir(-1)
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			names[e.Name()] = true
		}
	}
	return names, errors.Join(err, dir.Close())
}

// moved are the directories outside releases that may be releases, in mode "directory": the live one, and while a switch goes
// on the one in .rel/swap.
func (r *Root) moved() []disk.Ident {
	if r.Layout.Mode != ModeDirectory {
		return nil
	}
	var idents []disk.Ident
	for _, p := range []string{r.LivePath(), r.State(swapName)} {
		if ident, err := disk.Identify(p); err == nil {
			idents = append(idents, ident)
		}
	}
	return idents
}

// Publish gives an exported release its name: releases/.tmp-<id> becomes releases/<id>, synced. It is no release yet, and the mark
// made before is the sign that it is to be swept.
func (r *Root) Publish(id release.ID) error {
	h, err := r.open()
	if err != nil {
		return err
	}
	err = r.mark(h.links, id)
	if err == nil {
		err = h.releases.RenameNoReplace(tmpPrefix+string(id), h.releases, string(id))
	}
	if err == nil {
		err = h.releases.Sync()
	}
	return errors.Join(err, h.close())
}

// Remove removes a release that is not live. Its manifest goes first, so that it is no release before any of it is gone; what
// can't be removed of it is the error, and Sweep tries that again.
func (r *Root) Remove(id release.ID) error {
	if err := r.removable(id); err != nil {
		return err
	}
	h, err := r.open()
	if err != nil {
		return err
	}
	err = r.unready(h.links, id)
	if err == nil {
		err = r.forget(id)
	}
	if err == nil {
		err = r.removeDir(h, id)
	}
	return errors.Join(err, h.close())
}

// removable refuses what is live, or no id.
func (r *Root) removable(id release.ID) error {
	if _, ok := id.Time(); !ok {
		return release.Errorf(release.ExitNotFound, "%q: not the id of a release", string(id))
	}
	l, err := r.Live()
	if err == nil && l.ID == id {
		return release.Errorf(release.ExitError, "%s: it is live", id)
	}
	return err
}

// forget removes a manifest, synced.
func (r *Root) forget(id release.ID) error {
	manifests, err := r.manifests()
	if err != nil {
		return err
	}
	if err = ignoreMissing(manifests.Remove(string(id))); err == nil {
		err = manifests.Sync()
	}
	return errors.Join(err, manifests.Close())
}

// removeDir removes the directory of what is no release any more, and its link and mark when its name is gone.
func (r *Root) removeDir(h *handles, id release.ID) error {
	gone := gonePrefix + string(id)
	if err := h.releases.RemoveAll(gone); err != nil { // of an earlier attempt
		return err
	}
	if err := ignoreMissing(h.releases.RenameNoReplace(string(id), h.releases, gone)); err != nil {
		return err
	}
	if err := h.releases.Sync(); err != nil {
		return err
	}
	if err := dropLinks(h.links, id); err != nil {
		return err
	}
	return h.releases.RemoveAll(gone)
}

// dropLinks removes the link made ready for a release, and its mark.
func dropLinks(links *disk.Dir, id release.ID) error {
	for _, name := range []string{string(id), tmpPrefix + string(id)} {
		if err := ignoreMissing(links.Remove(name)); err != nil {
			return err
		}
	}
	return links.Sync()
}
