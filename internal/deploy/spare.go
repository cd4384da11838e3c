package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/worker"
)

// whyNoReuse says why a directory that no process is seen to use may not be changed into another release, where some processes could
// not be looked into; "" where it may.
func (s *Site) whyNoReuse(unreadable []proc.Process) string {
	reuse := s.Config.Export.Reuse
	switch {
	case reuse == config.ReuseFalse:
		return "export.reuse = false"
	case !s.Root.KeepsSpare():
		return "releases is a mount of its own"
	case reuse == config.ReuseAuto && len(unreadable) == 1:
		return fmt.Sprintf("%s cannot be looked into", unreadable[0])
	case reuse == config.ReuseAuto && len(unreadable) > 1:
		return fmt.Sprintf("%s and %d more cannot be looked into", unreadable[0], len(unreadable)-1)
	}
	return ""
}

// using is proc.Using but for process 1: where that cannot be looked into, it is taken for init, which serves nothing.
func using(dirs []string) (uses map[string][]proc.Use, unreadable []proc.Process, err error) {
	uses, unreadable, err = proc.Using(dirs)
	return uses, slices.DeleteFunc(unreadable, func(p proc.Process) bool { return p.PID == 1 }), err
}

// checkReuse tells whether exports reuse what they may: it is no fault where they don't, only slower.
func (s *Site) checkReuse(report *CheckReport) {
	_, unreadable, err := using(nil)
	text := "an export may turn a release that was pruned into the new one"
	if why := s.whyNoReuse(unreadable); why != "" {
		text = "off, each export is a full one: " + why
		if s.Config.Export.Reuse == config.ReuseAuto && len(unreadable) > 0 {
			text += " (see export.reuse)"
		}
	}
	report.addAs(findingWarn, "reuse", text, err)
}

// nextSpare is which of the victims, oldest first, is most like what comes next: the newest that was live, else the newest.
func nextSpare(v view, victims []release.ID, inUse map[release.ID]string) release.ID {
	var best release.ID
	bestLive := false
	for _, id := range victims {
		at := slices.IndexFunc(v.Releases, func(one release.Release) bool { return one.ID == id })
		if at < 0 || inUse[id] != "" {
			continue
		}
		one := v.Releases[at]
		if live := kindOf(one, v.Ledger.Tags[one.Tag]) == "once-live"; live || !bestLive {
			best, bestLive = id, live
		}
	}
	return best
}

// findSpare reads what the spare was, where it may be turned into the next release.
func (r *run) findSpare() {
	r.spare = store.Spare{}
	if r.Config.Export.Reuse == config.ReuseFalse || r.gated != nil { // the spare is for who holds the root's lock
		return
	}
	spare, ok, err := r.Root.Spare()
	r.warn(err)
	if ok && err == nil {
		r.spare = spare
	}
}

// turnSpare turns the spare into the release id, ready to be published. It gives no entries where there is none that may be used:
// then the release is to be exported in full. Once taken, the spare is gone, whatever comes.
func (r *run) turnSpare(ctx context.Context, id release.ID, progress func(done, total int64)) (entries []release.Entry, kept int, err error) {
	if r.Config.Export.Reuse == config.ReuseFalse && r.gated == nil {
		return nil, 0, r.Root.DropSpare()
	}
	spare := r.spare
	if spare.Dir == "" {
		return nil, 0, nil
	}
	if err := r.Root.TakeSpare(); err != nil {
		r.warn(err)
		return nil, 0, nil
	}
	why, err := r.spareInUse(spare.Dir)
	if err == nil && why != "" {
		r.note("exporting in full: what is left of %s is not reused: %s", spare.ID, why)
		return nil, 0, nil // the next sweep removes it
	}
	if err == nil {
		entries, kept, err = r.plan.Rewrite(ctx, spare.Dir, r.Root.TempDir(id), progress)
	}
	if err == nil {
		err = r.Root.PlaceSpare(id)
	}
	if err == nil {
		return entries, kept, nil
	}
	r.warn(r.Root.DropSpare())
	if ctx.Err() != nil || release.ExitCode(err) == release.ExitRefused {
		return nil, 0, err
	}
	r.note("exporting in full: what is left of %s cannot be reused: %s", spare.ID, err)
	return nil, 0, nil
}

// spareInUse says what speaks against changing the spare, if anything does.
func (r *run) spareInUse(dir string) (string, error) {
	uses, unreadable, err := using([]string{dir})
	if err != nil {
		return "", err
	}
	if use := uses[dir]; len(use) > 0 {
		return usedBy(use[0]), nil
	}
	return r.whyNoReuse(unreadable), nil
}

// makeRoom removes the spare where room is short, and tells what is free then. It gives the error back that led to it where there
// is no spare, or still no room.
func (r *run) makeRoom(ctx context.Context, short error) (disk.Space, error) {
	if r.gated != nil {
		lock, err := worker.Acquire(ctx, r.Root.State(), 0)
		if err != nil {
			return disk.Space{}, short
		}
		defer lock.Release()
	}
	was, ok := r.Root.Aside()
	if !ok {
		return disk.Space{}, short
	}
	r.spare = store.Spare{}
	if err := r.Root.DropSpare(); err != nil {
		return disk.Space{}, errors.Join(short, err)
	}
	r.note("removed what was kept of %s to make room", was.ID)
	free, err := disk.Free(r.Root.Dir)
	if err != nil {
		return free, err
	}
	return free, r.enough(r.plan, free, r.target.Tag.Name)
}
