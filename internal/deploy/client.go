package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
	"github.com/git-rel/rel/internal/worker"
)

// Result is how a run ended, as whoever followed it was told.
type Result struct {
	Run   release.Run
	Exit  int
	Hints []string
}

// Client starts a request's run and follows it. It may be killed at any time: the run goes on.
type Client struct {
	*Site
	Program string              // this binary, which the worker is started from
	Tell    func(release.Event) // each event of the run's log, as it comes
	Notice  func(text string)   // a line about the run that is not in its log
	handle  *worker.Handle
}

// Do starts the run and follows it to its end. When ctx is cancelled it cancels a run that has not touched anything, and
// leaves one that has to itself.
func (c *Client) Do(ctx context.Context, req Request) (Result, error) {
	number, err := c.Launch(ctx, req)
	if err != nil {
		return Result{}, err
	}
	return c.follow(ctx, number)
}

// Launch starts the request's worker and waits until its run has a number, which it returns.
func (c *Client) Launch(ctx context.Context, req Request) (int, error) {
	if err := c.start(req); err != nil {
		return 0, err
	}
	waiting, stopped, poll := false, ctx.Done(), 2*time.Millisecond
	for {
		ended := c.handle.Ended()
		rec, found, err := journal.Read(c.Root.State())
		if err != nil {
			return 0, err
		}
		if found && rec.Run.Key == req.Key {
			return rec.Run.Run, nil
		}
		if ended {
			return c.neverBegan(ctx, req)
		}
		if !waiting && req.Wait > 0 && found && rec.Phase != journal.Finished {
			waiting = true
			poll = 50 * time.Millisecond
			c.Notice("waiting up to " + ui.Duration(req.Wait) + " for " + c.Holder())
		}
		select {
		case <-stopped: // the worker tells how that ends: before its run began, or in it
			stopped = nil
			if err := c.handle.Cancel(); err != nil && !c.handle.Ended() {
				return 0, err
			}
		case <-time.After(poll):
		}
	}
}

// start starts the request's worker.
func (c *Client) start(req Request) error {
	if err := c.make(req.Command); err != nil {
		return err
	}
	handle, err := worker.Start(worker.Launch{
		Program: c.Program, Args: WorkerArgs(c.Root.Dir, req), Dir: c.Root.Dir,
		Env: proc.Environment(c.Owner, nil), Unit: "rel-" + req.Key, User: c.Owner,
	})
	c.handle = handle
	return err
}

// neverBegan is of a worker that ended and whose run is not in the journal now: its run never began, or it ended and others
// came after it.
func (c *Client) neverBegan(ctx context.Context, req Request) (int, error) {
	runs, err := journal.Tail(c.Root.State(), 100)
	if err != nil {
		return 0, err
	}
	for _, run := range runs {
		if run.Key == req.Key {
			return run.Run, nil
		}
	}
	if ctx.Err() != nil { // the signal met the guardian or the worker before they caught it
		return 0, release.Errorf(release.ExitCancelled, "%s: cancelled before it began", req.Command)
	}
	return 0, c.why()
}

// why is what a worker that ended before its run began said.
func (c *Client) why() error {
	code, text := c.handle.Result()
	var last said
	if json.Unmarshal(text, &last) == nil && last.Error != "" {
		e := release.Errorf(last.Exit, "%s", last.Error)
		e.Hints = last.Hints
		return e
	}
	return fmt.Errorf("the worker ended with exit code %d and no run: %s", code, text)
}

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
		return Result{}, false, nil
	}
	if held, err := worker.Held(c.Root.State()); err != nil || held && !workerGone(rec) {
		return Result{}, false, errors.Join(err, c.lockedError())
	}
	tell := skip(c.Tell, c.told(rec.Run.Run))
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
	result, err := c.followWith(ctx, rec.Run.Run, tell)
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

// follow tells a run's log to its end.
func (c *Client) follow(ctx context.Context, number int) (Result, error) {
	return c.followWith(ctx, number, c.Tell)
}

// followWith tells what a run's log gains, to its end. A run that nobody works on any more is recovered, and that is told too.
func (c *Client) followWith(ctx context.Context, number int, show func(release.Event)) (Result, error) {
	var result Result
	tell := func(e release.Event) {
		if e.Kind == release.EventEnd && e.Run != nil {
			result = Result{*e.Run, e.Exit, e.Hints}
		}
		show(e)
	}
	for try := 0; ; try++ {
		err := worker.Follow(ctx, c.Root.State(), number, c.nobodyLeft(number), tell)
		switch {
		case err == nil:
			return result, nil
		case errors.Is(err, context.Canceled):
			return c.interrupted(number, skip(show, c.told(number)))
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
		show = skip(show, c.told(number))
		if err := c.startRecovery(); err != nil {
			return result, err
		}
	}
}

// told counts the events that run's log has now.
func (c *Client) told(number int) int {
	n := 0
	_ = worker.ReadLog(c.Root.State(), number, func(release.Event) { n++ }) // none where there is no log
	return n
}

// skip leaves the first n events out: they were told before.
func skip(tell func(release.Event), n int) func(release.Event) {
	return func(e release.Event) {
		if n--; n < 0 {
			tell(e)
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
func (c *Client) interrupted(number int, show func(release.Event)) (Result, error) {
	rec, found, err := journal.Read(c.Root.State())
	if err != nil {
		return Result{}, err
	}
	if found && rec.Run.Run == number && rec.Cancellable() && cancel(rec) == nil {
		c.Notice("cancelling")
		return c.followWith(context.Background(), number, show)
	}
	if !found || rec.Run.Run != number || rec.Phase == journal.Finished {
		return c.followWith(context.Background(), number, show) // it has ended just now
	}
	return Result{}, release.Errorf(release.ExitCancelled, "run %d is past the point where it can be cancelled, and goes on", number).
		Hint("rel attach %d follows it", number)
}
