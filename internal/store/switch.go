package store

import (
	"errors"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// The phases that Switch journals around the two renames which replace an exchange where live.gap allows it.
const (
	PhaseGapOut  = "gap-out"  // before what was live leaves the live path
	PhaseGapIn   = "gap-in"   // the live path is absent, before what is to be live comes
	PhaseGapDone = "gap-done" // the live path is there again
)

// Switch makes to live instead of from ("" where the live path is absent). It needs no free block and no free inode. In mode
// "symlink" it renames the link that was made ready; in mode "directory" to goes to .rel/swap, which is exchanged with the live
// path, and then from goes to releases. journal is called with the phases of the gap fallback; an error of it stops there.
//
// After an error Settle makes whole whatever came of it, and Live tells what that was. A warning is of the link that could not
// be made ready again after a switch that is whole: it matters only for coming back to to later, when there is room again.
func (r *Root) Switch(to, from release.ID, journal func(phase string) error) (warning, err error) {
	l, err := r.Live()
	if err != nil {
		return nil, err
	}
	if l.ID == to {
		return nil, r.Settle(to, from)
	}
	if err := r.checkSwitch(l, to, from); err != nil {
		return nil, err
	}
	h, err := r.open()
	if err != nil {
		return nil, err
	}
	if r.Layout.Mode == ModeSymlink {
		warning, err = r.switchLink(h, to)
	} else {
		err = r.switchDirectory(h, to, from, journal)
	}
	return warning, errors.Join(err, h.close())
}

// checkSwitch refuses what would not be the switch that was meant.
func (r *Root) checkSwitch(l Live, to, from release.ID) error {
	if err := r.Refuse(l); err != nil {
		return err
	}
	if l.ID != from {
		return release.Errorf(release.ExitError, "%s: %s, where %s was to be left", r.LivePath(), nameOf(l.ID), nameOf(from)).
			Hint("rel recover finishes or undoes a run that crashed")
	}
	m, err := r.header(to)
	if err != nil {
		return err
	}
	at := releasesName + "/" + string(to)
	dir, err := r.top.Dir(at)
	if err != nil {
		return release.Errorf(release.ExitError, "%w", err).Hint("rel activate --force %s exports it again", m.Tag)
	}
	ident, err := dir.Ident()
	if err = errors.Join(err, dir.Close()); err != nil {
		return err
	}
	if r.Layout.Mode == ModeDirectory && !ident.Same(identOf(m)) {
		return release.Errorf(release.ExitError, "%s: not the directory that was released, but a copy of it or another", at).
			Hint("rel activate --force %s exports it again", m.Tag)
	}
	return nil
}

func nameOf(id release.ID) string {
	if id == "" {
		return "nothing"
	}
	return string(id)
}

func (r *Root) switchLink(h *handles, to release.ID) (warning, err error) {
	if err := r.readyLink(h.links, to); err != nil {
		return nil, release.Errorf(release.ExitError, "%w", err)
	}
	if err := r.roomy(func() error { return h.links.Rename(string(to), h.live, h.name) }); err != nil {
		return nil, release.Errorf(release.ExitError, "%w", err)
	}
	if err := errors.Join(h.live.Sync(), h.links.Sync()); err != nil {
		return nil, err
	}
	return r.readyLink(h.links, to), nil
}

func (r *Root) switchDirectory(h *handles, to, from release.ID, journal func(string) error) error {
	if _, err := h.state.Lstat(swapName); !missing(err) {
		if err := errors.Join(err, r.settleDirectory(h, to, from), h.sync()); err != nil { // left by a switch that went wrong
			return err
		}
	}
	if from == "" {
		if err := r.move(h.releases, string(to), h.live, h.name); err != nil {
			return release.Errorf(release.ExitError, "%w", err)
		}
		return h.sync()
	}
	if _, err := h.releases.Lstat(string(from)); !missing(err) {
		return errors.Join(release.Errorf(release.ExitError, "%s: in the way of the release that is live", r.ReleaseDir(from)), err)
	}
	if err := r.move(h.releases, string(to), h.state, swapName); err != nil {
		return release.Errorf(release.ExitError, "%w", err)
	}
	if err := h.sync(); err != nil {
		return err
	}
	err := r.roomy(func() error { return h.state.Exchange(swapName, h.live, h.name) })
	if errors.Is(err, disk.ErrNoExchange) && r.Layout.Gap {
		return r.switchWithGap(h, from, journal)
	}
	if err != nil {
		return r.undoSwap(h, to, err)
	}
	if err := h.sync(); err != nil {
		return err
	}
	if err := r.move(h.state, swapName, h.releases, string(from)); err != nil {
		return err
	}
	return h.sync()
}

// undoSwap takes a release that could not be exchanged back to where it was.
func (r *Root) undoSwap(h *handles, to release.ID, why error) error {
	if err := r.move(h.state, swapName, h.releases, string(to)); err != nil {
		return errors.Join(why, err)
	}
	if err := h.sync(); err != nil {
		return errors.Join(why, err)
	}
	refused := release.Errorf(release.ExitError, "%w", why)
	if errors.Is(why, disk.ErrNoExchange) {
		return refused.Hint("live.gap = true in rel.toml allows two renames, with a moment between them when the live path is absent")
	}
	return refused
}

// switchWithGap replaces an exchange, once to waits in .rel/swap: never is anything deleted first, and from the first rename on
// Settle goes forward.
func (r *Root) switchWithGap(h *handles, from release.ID, journal func(string) error) error {
	if journal == nil {
		journal = func(string) error { return nil }
	}
	if err := journal(PhaseGapOut); err != nil {
		return err
	}
	if err := r.move(h.live, h.name, h.releases, string(from)); err != nil {
		return err
	}
	if err := h.sync(); err != nil {
		return err
	}
	if err := journal(PhaseGapIn); err != nil {
		return err
	}
	if err := r.move(h.state, swapName, h.live, h.name); err != nil {
		return err
	}
	if err := h.sync(); err != nil {
		return err
	}
	return journal(PhaseGapDone)
}

// move renames and never replaces.
func (r *Root) move(from *disk.Dir, name string, into *disk.Dir, to string) error {
	return r.roomy(func() error { return from.RenameNoReplace(name, into, to) })
}

// roomy does what should need no room. Some file systems refuse even that when they are full: then the reserve goes, and it is
// done once more.
func (r *Root) roomy(do func() error) error {
	err := do()
	if !disk.IsFull(err) || !disk.SpendReserve(r.State()) {
		return err
	}
	return do()
}

// Clear takes from away from the live path, which is absent then: a link goes back to where it was made ready, a directory to
// releases. Already absent is done.
func (r *Root) Clear(from release.ID) error {
	l, err := r.Live()
	if err != nil {
		return err
	}
	if err := r.Refuse(l); err != nil {
		return err
	}
	if !l.Absent && l.ID != from {
		return release.Errorf(release.ExitError, "%s: %s, where %s was to be taken away", r.LivePath(), l.ID, nameOf(from))
	}
	h, err := r.open()
	if err != nil {
		return err
	}
	switch {
	case l.Absent: // perhaps by a Clear that crashed before it was synced
	case r.Layout.Mode == ModeSymlink:
		err = r.roomy(func() error { return h.live.Rename(h.name, h.links, string(from)) })
	default:
		err = r.move(h.live, h.name, h.releases, string(from))
	}
	if err == nil {
		err = errors.Join(h.sync(), h.links.Sync())
	}
	return errors.Join(err, h.close())
}
