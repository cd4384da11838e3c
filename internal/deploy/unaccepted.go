package deploy

import (
	"context"
	"errors"
	"io/fs"
	"slices"

	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/worker"
)

// adopt makes a release of what was made ready of the target before git had accepted that, if it is what this run would make. Whatever
// is in the way of that, the run makes its own.
func (r *run) adopt(ctx context.Context) {
	if r.target.Release.ID != "" || r.req.Force || r.req.Command == Rollback {
		return
	}
	all, err := r.Root.Unaccepted()
	r.warn(err)
	for _, one := range all {
		adopted, err := r.adoptOne(ctx, one)
		r.warn(err)
		if adopted {
			return
		}
	}
}

func (r *run) adoptOne(ctx context.Context, one store.Unaccepted) (bool, error) {
	if !one.Ready {
		return false, nil
	}
	made, err := r.Root.UnacceptedRelease(one.ID)
	if err != nil {
		return false, err
	}
	tag := r.target.Tag
	if made.Tag != tag.Name || made.Commit != tag.Commit || made.Tree != tag.Tree || made.Recipe != r.Config.Recipe() {
		return false, nil
	}
	lock, err := worker.Acquire(ctx, r.Root.UnacceptedDir(one.ID), 0)
	if errors.Is(err, worker.ErrLocked) { // of another push of the same tag, which may still be rejected
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer lock.Release()
	if err := r.Root.Accept(one.ID); err != nil {
		return false, err
	}
	r.target.Release, r.target.Checked, r.target.Outdated, r.exported = made, one.Checked, "", true
	return true, nil
}

// tidyUnaccepted is dropUnaccepted for who does not hold the root's lock: where it is held, a run does that.
func (s *Site) tidyUnaccepted(ctx context.Context) {
	if all, err := s.Root.Unaccepted(); err != nil || len(all) == 0 {
		return
	}
	lock, err := worker.Acquire(ctx, s.Root.State(), 0)
	if err != nil {
		return
	}
	defer lock.Release()
	if err := s.dropUnaccepted(); err != nil {
		s.Warn(err)
	}
}

// dropUnaccepted removes what was made of pushes that git has not accepted and will not: whoever made it is gone, git's process that
// might accept it too, and nothing in the queue is to deploy it. The caller holds the root's lock.
func (s *Site) dropUnaccepted() error {
	all, err := s.Root.Unaccepted()
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(all, s.mayBeAccepted) // asked before the queue: git's process ends when the request is in there
	if len(left) == 0 {
		return nil
	}
	asked, err := s.askedFor()
	if err != nil {
		return err
	}
	for _, one := range left {
		if !asked[one.Object] {
			err = errors.Join(err, s.dropOne(one.ID))
		}
	}
	return err
}

// askedFor are the objects that requests are about, also those that may become requests.
func (s *Site) askedFor() (objects map[string]bool, err error) {
	q, err := queue.Open(s.Root.State())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	waiting, _, err := s.Queued()
	if err != nil {
		return nil, err
	}
	tentative, err := tentatives(q)
	if err != nil {
		return nil, err
	}
	objects = map[string]bool{}
	for _, w := range waiting {
		objects[w.Object] = true
	}
	for _, t := range tentative {
		objects[t.Request.Object] = objects[t.Request.Object] || !t.entry.Taken
	}
	return objects, nil
}

// mayBeAccepted says whether somebody makes what is unaccepted, or git may accept it still.
func (s *Site) mayBeAccepted(one store.Unaccepted) bool {
	made, err := worker.Held(s.Root.UnacceptedDir(one.ID))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return true // it cannot be told: another time perhaps
	}
	return made || one.PID > 0 && receiver{PID: one.PID, Start: one.Start, Boot: one.Boot}.alive()
}

// dropOne removes what is unaccepted, unless somebody has just taken it.
func (s *Site) dropOne(id release.ID) error {
	lock, err := worker.Acquire(context.Background(), s.Root.UnacceptedDir(id), 0)
	switch {
	case errors.Is(err, worker.ErrLocked):
		return nil
	case errors.Is(err, fs.ErrNotExist): // its removal was cut short
		return s.Root.DropUnaccepted(id)
	case err != nil:
		return err
	}
	return errors.Join(s.dropHeld(id), lock.Release())
}

// dropHeld is dropOne for who holds its lock. What its maker left running is ended first, so that nothing writes there any more.
func (s *Site) dropHeld(id release.ID) error {
	limited, cancel := context.WithTimeout(context.Background(), endCommandsWithin)
	defer cancel()
	err := worker.EndCommands(limited, s.Root.UnacceptedDir(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return s.Root.DropUnaccepted(id)
}
