package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// Pruned is what a prune did: what it removed, what it left because it is in use, what it could not remove.
type Pruned struct {
	Removed []release.ID `json:"removed"`
	InUse   []string     `json:"in_use"`
	Failed  []string     `json:"failed"`
	Mirrors []string     `json:"mirrors"` // that it removed, too: their paths
}

// Prune removes old releases by the configured retention, under the lock.
func (s *Site) Prune(ctx context.Context, dryRun bool) (Pruned, error) {
	if !s.Made() {
		return Pruned{Removed: []release.ID{}, InUse: []string{}, Failed: []string{}}, nil
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return Pruned{}, err
	}
	defer lock.Release()
	if err := s.nothingPending(); err != nil {
		return Pruned{}, err
	}
	if !dryRun { // who prunes by hand wants room
		if err := errors.Join(s.dropUnaccepted(), s.Root.DropSpare()); err != nil {
			return Pruned{}, err
		}
	}
	pruned, err := s.pruneLocked(dryRun, false, "")
	if err != nil {
		return pruned, err
	}
	pruned.Mirrors, err = s.pruneMirrors(ctx, pruned.Removed, dryRun)
	return pruned, err
}

// nothingPending is the error where a run crashed and is not recovered. The caller holds the lock.
func (s *Site) nothingPending() error {
	rec, found, err := journal.Read(s.Root.State())
	if err != nil || !found || rec.Phase == journal.Finished {
		return err
	}
	return pendingError(rec)
}

func pendingError(rec journal.Record) error {
	return release.Errorf(release.ExitError, "run %d (%s %s) crashed and is not recovered",
		rec.Run.Run, rec.Run.Command, rec.Run.To).Hint("rel recover finishes or undoes it")
}

const nothingPruned = "0 removed"

// prune is the last step of a run.
func (r *run) prune() (string, error) {
	var staged release.ID
	if r.outcome == release.Staged {
		staged = r.to.ID
	}
	pruned, err := r.pruneLocked(false, true, staged)
	if err != nil {
		return "", err
	}
	for _, text := range slices.Concat(pruned.InUse, pruned.Failed) {
		r.warn(errors.New(text))
	}
	if len(pruned.Removed) == 0 {
		return nothingPruned, nil
	}
	names := make([]string, len(pruned.Removed))
	for i, id := range pruned.Removed {
		names[i] = string(id)
	}
	return fmt.Sprintf("%d removed: %s", len(names), strings.Join(names, ", ")), nil
}

// pin keeps git from collecting the commits of the releases that can be gone back to, after a run that has changed which these are.
func (r *run) pin(ctx context.Context) error {
	if !r.turned && !r.exported {
		return nil
	}
	id, err := r.Root.ID()
	if err != nil {
		return err
	}
	var commits []string
	for _, one := range r.releases() {
		if one.Commit != "" && !r.neverMirrored(r.repo, one.Commit) {
			commits = append(commits, one.Commit)
		}
	}
	return r.repo.Pin(context.WithoutCancel(ctx), id, commits)
}

// pruneLocked removes what retention does not keep, but for the release that was staged just now. One of it may be set aside, for the
// next export.
func (s *Site) pruneLocked(dryRun, spare bool, staged release.ID) (Pruned, error) {
	v, err := s.look()
	if err != nil {
		return Pruned{}, err
	}
	pruned := Pruned{Removed: []release.ID{}, InUse: []string{}, Failed: []string{}, Mirrors: []string{}}
	victims := s.victims(v, staged)
	if len(victims) == 0 {
		return pruned, nil
	}
	inUse, unreadable, err := s.inUse(v, victims)
	if err != nil {
		return pruned, err
	}
	var aside release.ID
	if spare && s.whyNoReuse(unreadable) == "" {
		aside = nextSpare(v, victims, inUse)
	}
	for _, id := range victims {
		if why := inUse[id]; why != "" {
			pruned.InUse = append(pruned.InUse, fmt.Sprintf("%s: kept: %s", id, why))
			continue
		}
		if !dryRun {
			if err := s.drop(id, id == aside); err != nil {
				pruned.Failed = append(pruned.Failed, err.Error())
				continue
			}
		}
		pruned.Removed = append(pruned.Removed, id)
	}
	return pruned, nil
}

// drop removes a release, or makes it the spare.
func (s *Site) drop(id release.ID, aside bool) error {
	if aside {
		err := s.Root.SetAside(id)
		if err == nil {
			return nil
		}
		s.Warn(err)
	}
	return s.Root.Remove(id)
}

// victims are the releases that retention does not keep, oldest first: never the live one, the previous one, an adopted one or the one
// that was staged just now; then the newest of each kind as configured.
func (s *Site) victims(v view, staged release.ID) []release.ID {
	previous, _ := v.Ledger.Previous()
	var last release.ID // the live one, or what was live last where a link was lost
	if n := len(v.Ledger.Stack); n > 0 {
		last = v.Ledger.Stack[n-1].ID
	}
	left := map[string]int{"once-live": s.Config.Keep, "failed": s.Config.KeepFailed, "staged": s.Config.KeepStaged}
	lastRun := func(one release.Release) int { // 0 of one that a later export of its tag has replaced
		if state := v.Ledger.Tags[one.Tag]; state.ID == one.ID {
			return state.Run
		}
		return 0
	}
	order := slices.Clone(v.Releases)
	slices.SortStableFunc(order, func(a, b release.Release) int { return cmp.Compare(lastRun(a), lastRun(b)) })
	var victims []release.ID
	for _, one := range slices.Backward(order) {
		if one.ID == v.Live.ID || one.ID == last || one.ID == previous.ID || one.Adopted {
			continue
		}
		kind := kindOf(one, v.Ledger.Tags[one.Tag])
		if left[kind] > 0 || one.ID == staged {
			left[kind]--
			continue
		}
		victims = append(victims, one.ID)
	}
	slices.Reverse(victims)
	return victims
}

// kindOf is what retention takes a release for.
func kindOf(one release.Release, state journal.TagState) string {
	switch {
	case state.Commit == one.Commit && state.ID == one.ID && state.Staged:
		return "staged" // again perhaps, after it was live
	case state.Commit == one.Commit && state.WasLive:
		return "once-live"
	case state.Commit == one.Commit && (state.Failed || state.Refused):
		return "failed"
	}
	return "staged"
}

// inUse says which of the releases a running process still uses, and how. A process that cannot be read counts as using every
// release that was live since it started.
func (s *Site) inUse(v view, ids []release.ID) (inUse map[release.ID]string, unreadable []proc.Process, err error) {
	dirs := make([]string, len(ids))
	for i, id := range ids {
		dirs[i] = s.Root.ReleaseDir(id)
	}
	uses, unreadable, err := using(dirs)
	if err != nil {
		return nil, nil, err
	}
	inUse = map[release.ID]string{}
	for i, id := range ids {
		if use := uses[dirs[i]]; len(use) > 0 {
			inUse[id] = usedBy(use[0])
		}
	}
	return inUse, unreadable, s.perhapsInUse(v, ids, unreadable, inUse)
}

func usedBy(use proc.Use) string {
	return fmt.Sprintf("process %d (%s) uses it (%s)", use.PID, proc.Cmdline(use.PID), use.How)
}

// perhapsInUse adds what a process may use that cannot be read: a process of a service counts as using every release that was
// live since it started. Run as anybody but root hardly any foreign process can be read, so those that have
// nothing to do with the services are left out: nothing would ever be pruned.
func (s *Site) perhapsInUse(v view, ids []release.ID, unreadable []proc.Process, inUse map[release.ID]string) error {
	users := map[uint32]bool{s.Owner.UID: true}
	if user, err := s.serviceUser(); err != nil {
		return err
	} else if user != nil {
		users[user.UID] = true
	}
	for _, p := range unreadable {
		if uid, err := p.UID(); err != nil || !users[uid] {
			continue
		}
		live, err := s.liveSince(p.StartedAt(s.Now()), v)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if live[id] && inUse[id] == "" {
				inUse[id] = p.String() + " cannot be read, and was there when it was live"
			}
		}
	}
	return nil
}

// liveSince are the releases that were live at the given time or after it.
func (s *Site) liveSince(at time.Time, v view) (map[release.ID]bool, error) {
	live := map[release.ID]bool{v.Live.ID: true}
	runs, err := journal.Tail(s.Root.State(), sinceLookBack)
	for _, run := range runs {
		live[run.Now] = true
		if run.Started.Before(at) {
			break
		}
		live[run.FromID] = true
	}
	return live, err
}
