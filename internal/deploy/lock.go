package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// cancelWait is how long a rollback waits for the run that it cancelled to let go of the lock, beyond the wait it was given.
const cancelWait = 30 * time.Second

// backWait is how long a rollback waits for the run that it told to go back.
const backWait = 5 * time.Minute

// letGoWait is how long any command waits for a run that has its outcome already: what is left of it is mostly pruning, and git.
const letGoWait = 3 * time.Second

// acquire takes the root's lock. A rollback does not wait for a run that has touched nothing yet: it cancels it, so that a
// long build never blocks the way back, and says so in the note.
func (s *Site) acquire(ctx context.Context, req *Request) (lock *worker.Lock, note string, err error) {
	lock, err = worker.Acquire(ctx, s.Root.State(), 0)
	if !errors.Is(err, worker.ErrLocked) {
		return lock, "", err
	}
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = release.Errorf(release.ExitCancelled, "%s: cancelled while it waited for another run", req.Command)
		}
	}()
	more, note := s.cancelHolder(req)
	if wait := req.Wait + more; wait > 0 {
		if lock, err = worker.Acquire(ctx, s.Root.State(), wait); !errors.Is(err, worker.ErrLocked) {
			return lock, note, err
		}
	}
	return nil, "", s.lockedError()
}

// lock takes the root's lock for what is no run. It waits for nothing but a run that has its outcome already.
func (s *Site) lock(ctx context.Context) (*worker.Lock, error) {
	lock, err := worker.Acquire(ctx, s.Root.State(), 0)
	if errors.Is(err, worker.ErrLocked) && s.Holder() == "" {
		lock, err = worker.Acquire(ctx, s.Root.State(), letGoWait)
	}
	if errors.Is(err, worker.ErrLocked) {
		return nil, s.lockedError()
	}
	return lock, err
}

// byWhom says of a cancelled run that it was not cancelled by Ctrl-C, but by the signal that a rollback sends.
func (r *run) byWhom(ctx context.Context) string {
	if cause := context.Cause(ctx); cause != nil && strings.Contains(cause.Error(), syscall.SIGTERM.String()) {
		return ", by a rollback or a kill from elsewhere: rel history shows a rollback"
	}
	return ""
}

// cancelHolder asks the run that holds the lock to make way for the command, and says how long to wait for that. A run that has
// its outcome lets go soon, whoever comes; one that has touched nothing is cancelled for a rollback.
func (s *Site) cancelHolder(req *Request) (time.Duration, string) {
	rec, found, err := journal.Read(s.Root.State())
	finished := found && rec.Phase == journal.Finished
	switch {
	case err != nil || !found:
		return 0, ""
	case s.tellBack(rec, req):
		return backWait, fmt.Sprintf("run %d (%s %s) waited for rel confirm, and was told to go back", rec.Run.Run, rec.Run.Command, rec.Run.To)
	case req.Command == Rollback && (finished || rec.Cancellable()) && s.canGoBack(*req) && cancel(rec) == nil:
		if finished {
			return cancelWait, ""
		}
		return cancelWait, fmt.Sprintf("cancelled run %d (%s %s, by %s), which had touched nothing",
			rec.Run.Run, rec.Run.Command, rec.Run.To, rec.Run.By)
	case finished:
		return letGoWait, ""
	}
	return 0, ""
}

// tellBack answers a run that waits for rel confirm, or that crashed while it did, where a rollback comes instead. A bare rollback
// is then that run's going back, and not one release further.
func (s *Site) tellBack(rec journal.Record, req *Request) bool {
	if req.Command != Rollback || rec.Phase != journal.Confirming || s.say(answerBack, rec.Run.Run) != nil {
		return false
	}
	if req.Tag == "" {
		req.Tag = rec.Run.From
	}
	return true
}

// canGoBack says whether a rollback has somewhere to go: one that has not must not cancel anybody's work.
func (s *Site) canGoBack(req Request) bool {
	v, err := s.look()
	if err != nil {
		return false
	}
	_, err = s.chooseEarlier(req, v)
	return err == nil
}

// cancel sends the worker of a run the signal that cancels it before stop and does nothing after.
func cancel(rec journal.Record) error {
	p, err := proc.Lookup(rec.PID)
	if err != nil || p.Start != rec.Start {
		return fmt.Errorf("run %d: its worker is gone", rec.Run.Run)
	}
	return syscall.Kill(rec.PID, syscall.SIGTERM)
}

// Holder tells who holds the lock, since when, doing what; empty where nobody does.
func (s *Site) Holder() string {
	rec, found, err := journal.Read(s.Root.State())
	if err != nil || !found || rec.Phase == journal.Finished {
		return ""
	}
	var step release.Step
	_ = worker.ReadLog(s.Root.State(), rec.Run.Run, func(e release.Event) { // without its log a run has no step to tell
		if e.Step != "" {
			step = e.Step
		}
	})
	what := rec.Run.Command
	if rec.Run.To != "" {
		what += " " + rec.Run.To
	}
	until := ""
	if rec.Phase == journal.Confirming {
		until = " until " + rec.ConfirmBy.Local().Format(time.TimeOnly)
	}
	return fmt.Sprintf("run %d (%s, by %s) since %s, in step %s%s, pid %d", rec.Run.Run, what, rec.Run.By,
		rec.Run.Started.Local().Format(time.DateTime), nonEmpty(string(step), "begin"), until, rec.PID)
}

func (s *Site) lockedError() error {
	holder := s.Holder()
	if holder == "" {
		return release.Errorf(release.ExitLocked, "%s: %w", s.Root.Dir, worker.ErrLocked).Hint("--wait 1m waits for it")
	}
	e := release.Errorf(release.ExitLocked, "%s: %w: %s", s.Root.Dir, worker.ErrLocked, holder)
	if rec, found, err := journal.Read(s.Root.State()); err == nil && found && rec.Phase == journal.Confirming {
		return e.Hint("rel confirm keeps %s; rel rollback puts back what was live before it", rec.Run.To)
	}
	return e.Hint("rel attach follows it; --wait 1m waits for it")
}
