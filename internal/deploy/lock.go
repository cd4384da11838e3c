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
const letGoWait = auditWithin + 5*time.Second

// acquire takes the root's lock. A rollback does not wait for a run that has touched nothing yet: it cancels it, so that a
// long build never blocks the way back, and says so in the note. It returns the request as it is to be carried out then.
func (s *Site) acquire(ctx context.Context, req Request) (lock *worker.Lock, as Request, note string, err error) {
	switch req.Command {
	case Queue:
		lock, err = s.acquireLast(ctx)
		return lock, req, "", err
	case Rollback:
		defer worker.GoFirst(s.Root.State())()
	}
	if req.Command == Rollback { // which does not even wait for that, where it can end it
		lock, err = worker.Acquire(ctx, s.Root.State(), 0)
	} else {
		lock, err = s.afterEnd(ctx)
	}
	if !errors.Is(err, worker.ErrLocked) {
		return lock, req, "", err
	}
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = release.Errorf(release.ExitCancelled, "%s: cancelled while it waited for another run", req.Command)
		}
	}()
	as, more, note, err := s.cancelHolder(req)
	if err != nil {
		return nil, req, "", err
	}
	if wait := req.Wait + more; wait > 0 {
		if lock, err = worker.Acquire(ctx, s.Root.State(), wait); !errors.Is(err, worker.ErrLocked) {
			return lock, as, note, err
		}
	}
	return nil, req, "", s.lockedError()
}

// acquireLast takes the lock when nobody else wants it, however long that takes: what waits in the queue waits behind a run, and
// lets a rollback go first.
func (s *Site) acquireLast(ctx context.Context) (*worker.Lock, error) {
	for {
		lock, err := worker.Acquire(ctx, s.Root.State(), time.Hour)
		if errors.Is(err, worker.ErrLocked) {
			continue
		}
		if err != nil || !worker.SomebodyFirst(s.Root.State()) {
			return lock, err
		}
		if err := lock.Release(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lock takes the root's lock for what is no run. It waits for nothing but a run that has its outcome already.
func (s *Site) lock(ctx context.Context) (*worker.Lock, error) {
	lock, err := s.afterEnd(ctx)
	if errors.Is(err, worker.ErrLocked) {
		return nil, s.lockedError()
	}
	return lock, err
}

// afterEnd takes the root's lock now, or when a run that has its outcome already has let go of it.
func (s *Site) afterEnd(ctx context.Context) (*worker.Lock, error) {
	lock, err := worker.Acquire(ctx, s.Root.State(), 0)
	if errors.Is(err, worker.ErrLocked) {
		s.awaitEnd(ctx)
		lock, err = worker.Acquire(ctx, s.Root.State(), 0)
	}
	return lock, err
}

// awaitEnd waits for a run that has its outcome already and lets go soon. Where another run has begun it returns at once.
func (s *Site) awaitEnd(ctx context.Context) {
	proc.Await(ctx, letGoWait, func() bool {
		held, err := worker.Held(s.Root.State())
		return err != nil || !held || s.Holder() != ""
	})
}

// byWhom says of a cancelled run that it was not cancelled by Ctrl-C, but by the signal that a rollback sends.
func (r *run) byWhom(ctx context.Context) string {
	if cause := context.Cause(ctx); cause != nil && strings.Contains(cause.Error(), syscall.SIGTERM.String()) {
		return ", by a rollback or a kill from elsewhere: rel history shows a rollback"
	}
	return ""
}

// cancelHolder asks the run that holds the lock to make way for the request, and says as what that is to be carried out then and
// how long to wait for it. A run that has its outcome lets go soon, whoever comes; one that has touched nothing is cancelled for a
// rollback.
func (s *Site) cancelHolder(req Request) (as Request, wait time.Duration, note string, err error) {
	rec, found, err := journal.Read(s.Root.State())
	finished := found && rec.Phase == journal.Finished
	switch {
	case err != nil || !found:
		return req, 0, "", nil // then it is not known who holds it
	case req.answers(rec):
		note = fmt.Sprintf("run %d (%s %s) was not confirmed yet, and was told to go back", rec.Run.Run, rec.Run.Command, rec.Run.To)
		return req.goingBack(rec), backWait, note, s.say(answerBack, rec.Run.Run)
	case req.Command == Rollback && (finished || rec.Cancellable()) && s.canGoBack(req) && cancel(rec) == nil:
		if finished {
			return req, cancelWait, "", nil
		}
		return req, cancelWait, fmt.Sprintf("cancelled run %d (%s %s, by %s), which had touched nothing",
			rec.Run.Run, rec.Run.Command, rec.Run.To, rec.Run.By), nil
	case req.Command == Rollback && finished: // it ended before the signal came, or it need not come
		return req, cancelWait, "", nil
	}
	return req, 0, "", nil
}

// answers says whether the request is the answer to a run that soaks or waits for rel confirm, or that crashed while it did.
func (req Request) answers(rec journal.Record) bool {
	return req.Command == Rollback && (rec.Phase == journal.Confirming || rec.Phase == journal.Soaking)
}

// goingBack is the request as it is carried out where it answers a run: a bare rollback is that run's going back, and not one
// release further.
func (req Request) goingBack(rec journal.Record) Request {
	if req.answers(rec) && req.Tag == "" {
		req.Tag = rec.Run.From
	}
	return req
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
