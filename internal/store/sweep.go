package store

import (
	"cmp"
	"errors"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Sweep removes what crashes have left: releases that were being exported, built or removed, temporary files, links and
// manifests without a directory, a spare that is not whole. What is marked as unaccepted stays. It returns the paths, relative to the root, that it removed, also with an
// error. It touches nothing that rel was not making or unmaking: a directory in releases that has the shape of a release's id, and no
// manifest, goes only where it is marked. After a crash it is for after Settle.
func (r *Root) Sweep() (removed []string, err error) {
	h, err := r.open()
	if err != nil {
		return nil, err
	}
	s := sweeper{root: r, h: h}
	err = s.releases()
	if err == nil {
		err = s.state()
	}
	return s.removed, errors.Join(err, s.unaccepted(), s.spare(), h.close())
}

// beginWithin is how long it may take to begin an unaccepted release: what was begun before that and has no name yet is nobody's.
const beginWithin = time.Hour

type sweeper struct {
	root    *Root
	h       *handles
	removed []string
}

// releases sweeps the directory releases. What can't be removed does not keep the rest from being so.
func (s *sweeper) releases() error {
	names, err := s.h.releases.Names()
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		ours, err := s.leftover(name)
		if err == nil && ours {
			err = s.h.releases.RemoveAll(name)
		}
		if err != nil {
			errs = append(errs, err)
		} else if ours {
			s.removed = append(s.removed, releasesName+"/"+name)
		}
	}
	return errors.Join(append(errs, s.h.releases.Sync())...)
}

// leftover is true for an entry of releases that rel made and that is not a release.
func (s *sweeper) leftover(name string) (bool, error) {
	if rest, tmp := strings.CutPrefix(name, tmpPrefix); tmp {
		id := strings.TrimPrefix(rest, "gone-")
		_, ok := release.ID(id).Time()
		return ok && !s.root.isUnaccepted(id), nil
	}
	if _, ok := release.ID(name).Time(); !ok || s.root.isUnaccepted(name) {
		return false, nil
	}
	if st, err := s.h.releases.Lstat(name); err != nil {
		return false, err
	} else if st.IsLink() {
		_, err := s.h.links.Lstat(name)
		return err == nil, ignoreMissing(err) // a link that adopting made and did not come to use
	}
	if _, err := s.h.links.Lstat(tmpPrefix + name); err != nil {
		return false, ignoreMissing(err)
	}
	_, err := s.root.header(release.ID(name))
	if release.ExitCode(err) == release.ExitNotFound {
		return true, nil
	}
	return false, err // of a manifest that can't be read its directory is kept
}

// spare sweeps a spare that is not whole: one that was being set aside, or turned into a release, or taken and not used.
func (s *sweeper) spare() error {
	if _, ok := s.root.Aside(); ok {
		return nil
	}
	there, err := s.root.dropSpare()
	if there && err == nil {
		s.removed = append(s.removed, stateName+"/"+spareName)
	}
	return err
}

// state sweeps .rel/manifests and .rel/links. Where the live path is foreign nothing there is: what looks like a release that
// is gone may be one that is not mounted or was copied back.
func (s *sweeper) state() error {
	l, err := s.root.Live()
	if err != nil || l.Foreign != "" {
		return err
	}
	all, err := s.root.Releases()
	if err != nil {
		return err
	}
	keep := func(name string) bool { // they are sorted by id
		_, found := slices.BinarySearchFunc(all, release.ID(name), func(m release.Release, id release.ID) int { return cmp.Compare(m.ID, id) })
		return found
	}
	manifests, err := s.root.manifests()
	if err != nil {
		return err
	}
	// Manifests first: a release has its link for as long as it has its manifest.
	err = s.prune(manifests, manifestsName, keep)
	if err = errors.Join(err, manifests.Close()); err != nil {
		return err
	}
	return s.prune(s.h.links, linksName, func(name string) bool {
		id, mark := strings.CutPrefix(name, tmpPrefix)
		_, err := s.h.releases.Lstat(id) // a directory that could not be removed keeps its mark
		switch {
		case s.root.isUnaccepted(id):
			return true
		case mark:
			return err == nil && !keep(id)
		}
		return err == nil || keep(id)
	})
}

func (s *sweeper) prune(dir *disk.Dir, where string, keep func(name string) bool) error {
	names, err := dir.Names()
	if err != nil {
		return err
	}
	for _, name := range names {
		_, ours := release.ID(name).Time()
		if ours = ours || strings.HasPrefix(name, tmpPrefix); !ours || keep(name) {
			continue
		}
		if err := ignoreMissing(dir.Remove(name)); err != nil {
			return err
		}
		s.removed = append(s.removed, stateName+"/"+where+"/"+name)
	}
	return dir.Sync()
}

// isUnaccepted says whether a release is marked as unaccepted: it is made, or was, by somebody who does not hold the root's lock.
func (r *Root) isUnaccepted(id string) bool {
	_, err := os.Lstat(r.UnacceptedDir(release.ID(id)))
	return err == nil
}

// unaccepted sweeps marks that were begun, and whose makers were killed before that was done.
func (s *sweeper) unaccepted() error {
	at, err := s.h.state.Dir(unacceptedName)
	if err != nil {
		return ignoreMissing(err)
	}
	names, err := at.Names()
	for _, name := range names {
		id, tmp := strings.CutPrefix(name, tmpPrefix)
		if began, ok := release.ID(id).Time(); tmp && ok && time.Since(began) > beginWithin {
			err = errors.Join(err, at.RemoveAll(name))
			s.removed = append(s.removed, path.Join(stateName, unacceptedName, name))
		}
	}
	return errors.Join(err, at.Close())
}
