package store

import (
	"errors"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Settle makes whole what a Switch from from to to (or back) that crashed has left, by looking at which directory is where: it
// never exchanges anything. What is in .rel/swap goes where it belongs, and a live path that a gap had left absent is there
// again. Afterwards to or from is live, or the live path is absent if from is "". It may be called any number of times.
func (r *Root) Settle(to, from release.ID) error {
	h, err := r.open()
	if err != nil {
		return err
	}
	if r.Layout.Mode == ModeSymlink {
		err = r.settleLink(h, from)
	} else {
		err = r.settleDirectory(h, to, from)
	}
	if err == nil {
		// What the crashed run renamed may not have been synced by it.
		err = errors.Join(h.sync(), h.links.Sync())
	}
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	return r.settled(to, from)
}

// settled is the error when the live path is not what a settled switch leaves.
func (r *Root) settled(to, from release.ID) error {
	l, err := r.Live()
	if err != nil {
		return err
	}
	if err := r.Refuse(l); err != nil {
		return err
	}
	if l.ID == to || l.ID == from { // absent has the ID ""
		return nil
	}
	return release.Errorf(release.ExitFailed, "%s: %s, which is neither %s nor %s", r.LivePath(), nameOf(l.ID), nameOf(to), nameOf(from)).
		Hint("rel list shows the releases; rel activate TAG makes one of them live")
}

// settleLink: one rename is the whole switch, so only a live path that somebody took away is put back.
func (r *Root) settleLink(h *handles, from release.ID) error {
	_, err := h.live.Lstat(h.name)
	if !missing(err) || from == "" {
		return ignoreMissing(err)
	}
	warning, err := r.switchLink(h, from)
	return errors.Join(err, warning)
}

func (r *Root) settleDirectory(h *handles, to, from release.ID) error {
	_, err := h.live.Lstat(h.name)
	absent := missing(err)
	if err != nil && !absent {
		return err
	}
	swap, err := h.state.Lstat(swapName)
	switch {
	case missing(err):
		if absent && from != "" {
			return r.putBack(h, to, from)
		}
		return nil
	case err != nil:
		return err
	}
	id, err := r.whose(swap.Ident, to, from)
	if err != nil {
		return err
	}
	if absent && from != "" && (id == to || id == from) {
		return r.move(h.state, swapName, h.live, h.name)
	}
	if err := r.move(h.state, swapName, h.releases, string(id)); err != nil {
		return err
	}
	if absent && from != "" {
		return r.putBack(h, to, from)
	}
	return nil
}

// whose finds the release that a directory is, the two of the run first.
func (r *Root) whose(ident disk.Ident, to, from release.ID) (release.ID, error) {
	for _, id := range []release.ID{to, from} {
		if id == "" {
			continue
		}
		m, err := r.header(id)
		if err != nil && release.ExitCode(err) != release.ExitNotFound {
			return "", err
		}
		if err == nil && identOf(m).Same(ident) {
			return id, nil
		}
	}
	l, err := r.liveDirectory(ident)
	if err != nil {
		return "", err
	}
	if l.ID == "" {
		return "", release.Errorf(release.ExitFailed, "%s: a directory that no manifest knows", r.State(swapName)).
			Hint("look at it, and move it out of .rel")
	}
	return l.ID, nil
}

// putBack makes the live path present: what was live before, else what was to be.
func (r *Root) putBack(h *handles, to, from release.ID) error {
	err := r.move(h.releases, string(from), h.live, h.name)
	if missing(err) && to != "" {
		return r.move(h.releases, string(to), h.live, h.name)
	}
	return err
}
