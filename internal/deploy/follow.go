package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// Recover lets the run that crashed be finished or undone, and follows that; false where none crashed.
func (c *Client) Recover(ctx context.Context) (Result, bool, error) {
	if !c.Made() {
		return Result{}, false, nil
	}
	rec, found, err := journal.Read(c.Root.State())
	if err != nil && !errors.Is(err, journal.ErrDamaged) {
		return Result{}, false, err
	}
	if err == nil && (!found || rec.Phase == journal.Finished) {
		c.tidyUnaccepted(ctx)
		return Result{}, false, nil
	}
	if held, err := worker.Held(c.Root.State()); err != nil || held && !workerGone(rec) {
		return Result{}, false, errors.Join(err, c.lockedError())
	}
	log := worker.NewFollower(c.Root.State(), rec.Run.Run)
	defer log.Close()
	if err := log.Skip(); err != nil { // it was told when it happened
		return Result{}, true, err
	}
	if err := c.startRecovery(); err != nil {
		return Result{}, true, err
	}
	if rec.Run.Run == 0 { // the journal is damaged: there is no run to follow
		if code, _ := c.handle.Result(); code != release.ExitDone {
			return Result{}, true, c.why()
		}
		c.Notice("the journal could not be read: it was put aside as .rel/journal.damaged; what the disk says goes on")
		return Result{}, true, nil
	}
	result, err := c.followOn(ctx, rec.Run.Run, log)
	return result, true, err
}

// workerGone says whether the worker of a run is no more. Its lock may be held for a moment longer, by a child that it was about
// to start.
func workerGone(rec journal.Record) bool {
	p, err := proc.Lookup(rec.PID)
	return rec.Boot != proc.BootID() || err != nil || p.Start != rec.Start
}

func (c *Client) startRecovery() error {
	req := NewRequest(Recover, "")
	req.Wait = cancelWait
	return c.start(req)
}

// Attach follows a run that goes on elsewhere, or tells one that has ended; 0 is the last one.
func (c *Client) Attach(ctx context.Context, number int) (Result, error) {
	if number == 0 {
		rec, found, err := journal.Read(c.Root.State())
		if err != nil {
			return Result{}, err
		}
		if !found {
			return Result{}, release.Errorf(release.ExitNotFound, "%s: no run yet", c.Root.Dir).Hint("rel activate starts one")
		}
		number = rec.Run.Run
	} else if err := c.known(number); err != nil {
		return Result{}, err
	}
	c.Tell = c.Headed(number, c.Tell)
	return c.follow(ctx, number)
}

// Headed tells a run's events with what the history knows of the run at their head: when it began, a bare rollback did not know
// yet where it goes.
func (s *Site) Headed(number int, tell func(release.Event)) func(release.Event) {
	run, found, err := journal.Find(s.Root.State(), number)
	return func(e release.Event) {
		if e.Kind == release.EventBegin && found && err == nil {
			e.Run = &run
		}
		tell(e)
	}
}

// known says that there is no run of a number, if there is none.
func (c *Client) known(number int) error {
	rec, found, err := journal.Read(c.Root.State())
	if err != nil || found && rec.Run.Run == number {
		return err
	}
	_, found, err = journal.Find(c.Root.State(), number)
	if err != nil || found {
		return err
	}
	return release.Errorf(release.ExitNotFound, "run %d: no such run", number).Hint("rel history shows the numbers")
}

// follow tells a run's log from its beginning to its end.
func (c *Client) follow(ctx context.Context, number int) (Result, error) {
	log := worker.NewFollower(c.Root.State(), number)
	defer log.Close()
	return c.followOn(ctx, number, log)
}

// followOn tells what a run's log gains, to its end. A run that nobody works on any more is recovered, and that is told too.
func (c *Client) followOn(ctx context.Context, number int, log *worker.Follower) (Result, error) {
	var result Result
	tell := func(e release.Event) {
		if e.Kind == release.EventEnd && e.Run != nil {
			result = Result{*e.Run, e.Exit, e.Hints}
		}
		c.Tell(e)
	}
	for try := 0; ; try++ {
		err := log.Follow(ctx, c.nobodyLeft(number), tell)
		switch {
		case err == nil:
			return result, nil
		case errors.Is(err, context.Canceled) && c.leave:
			return result, release.Errorf(release.ExitCancelled, "run %d goes on without us", number).Hint("rel attach %d follows it", number)
		case errors.Is(err, context.Canceled):
			return c.interrupted(number, log)
		case !errors.Is(err, worker.ErrGone):
			return result, err
		}
		if run, found, err := journal.Find(c.Root.State(), number); err != nil || found {
			if found { // its log has lost the end; the history has it
				tell(release.Event{Kind: release.EventEnd, Run: &run, Exit: run.Exit, Text: run.Error})
			}
			return result, err
		}
		if try == 3 {
			return result, release.Errorf(release.ExitFailed, "run %d: it crashed, and so did its recovery: %w", number, c.why()).
				Hint("rel log %d shows the run; rel recover tries again", number)
		}
		if rec, pending, err := c.Pending(); err != nil || !pending || rec.Run.Run != number {
			e := release.Errorf(release.ExitError, "run %d: its log has no end, and the history does not know it", number)
			return result, errors.Join(err, e.Hint("rel history shows the runs that are known"))
		}
		c.Notice("nobody works on the run any more: recovering it")
		if err := c.startRecovery(); err != nil {
			return result, err
		}
	}
}

// nobodyLeft says whether a run has ended, or nobody works on it. The moment between a worker's death and its guardian's
// recovery looks the same, so it must have been so for a while.
func (c *Client) nobodyLeft(number int) func() bool {
	var since time.Time
	return func() bool {
		if c.handle != nil && !c.handle.Ended() {
			return false
		}
		rec, found, err := journal.Read(c.Root.State())
		if err != nil {
			return false
		}
		held, err := worker.Held(c.Root.State())
		if !found || rec.Run.Run != number || (err == nil && !held) {
			if since.IsZero() {
				since = time.Now()
			}
			return rec.Run.Run != number || time.Since(since) > 2*time.Second
		}
		since = time.Time{}
		return false
	}
}

// interrupted is what Ctrl-C does: it cancels a run that has touched nothing, and leaves any other to itself.
func (c *Client) interrupted(number int, log *worker.Follower) (Result, error) {
	rec, found, err := journal.Read(c.Root.State())
	if err != nil {
		return Result{}, err
	}
	if found && rec.Run.Run == number && rec.Cancellable() && cancel(rec) == nil {
		c.Notice("cancelling")
		return c.followOn(context.Background(), number, log)
	}
	if !found || rec.Run.Run != number || rec.Phase == journal.Finished {
		return c.followOn(context.Background(), number, log) // it has ended just now
	}
	return Result{}, release.Errorf(release.ExitCancelled, "run %d is past the point where it can be cancelled, and goes on", number).
		Hint("rel attach %d follows it", number)
}
