package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// ErrWaits says that a request stays in the queue: the root is held.
var ErrWaits = errors.New("it waits in the queue")

// serveTries is how often a client starts somebody who serves the queue, and that one a worker for the same request, before it is
// left to a person.
const serveTries = 5

// Await sees that somebody serves the queue and follows a request in it to the end of its run. It may be killed at any time: the
// request stays, and becomes a run. When ctx is cancelled it leaves the run to itself.
func (c *Client) Await(ctx context.Context, w Waiting) (Result, error) {
	c.leave = true
	told := false
	for try, poll := 0, 2*time.Millisecond; ; poll = min(2*poll, 50*time.Millisecond) {
		number, err := c.runOf(w)
		if err != nil {
			return Result{}, err
		}
		if number > 0 {
			return c.follow(ctx, number)
		}
		if err := c.mayGoOn(w); err != nil {
			return Result{}, err
		}
		if started, err := c.Serve(); err != nil {
			return Result{}, err
		} else if started {
			if try++; try > serveTries {
				return Result{}, release.Errorf(release.ExitError, "%s: nobody could be brought to serve the queue", w.Tag).
					Hint("rel recover tries again")
			}
		}
		holder := c.Holder()
		rec, _, err := journal.Read(c.Root.State())
		if holder != "" && !told && err == nil && rec.Run.Key != w.req.Key { // it may be its own run by now
			told = true
			c.Notice(w.Tag + " waits for " + holder)
		}
		select {
		case <-ctx.Done():
			return Result{}, release.Errorf(release.ExitCancelled, "%s: it goes on without us", w.Tag).Hint("rel queue shows it")
		case <-time.After(poll):
		}
	}
}

// mayGoOn says why a request stays in the queue for now.
func (c *Client) mayGoOn(w Waiting) error {
	held := c.Held()
	if held == nil {
		return nil
	}
	return release.Errorf(release.ExitRefused, "%s: %w: %w", w.Tag, ErrWaits, held).
		Hint("rel hold --off lets it go on; rel queue drop %d takes it out", w.Number)
}

// runOf is the number of the run that a request has become, 0 while it waits.
func (c *Client) runOf(w Waiting) (int, error) {
	rec, _, err := journal.Read(c.Root.State())
	if err != nil || rec.Run.Key == w.req.Key {
		return rec.Run.Run, err
	}
	if queue.Waits(c.Root.State(), w.item) {
		return 0, nil
	}
	run, found, err := journal.FindKey(c.Root.State(), w.req.Key, w.req.After)
	if err == nil && !found {
		err = release.Errorf(release.ExitError, "%s: its request is gone, and the history does not know it", w.Tag).
			Hint("rel activate %s puts it live", w.Tag)
	}
	return run.Run, err
}

// Serve sees that somebody serves the queue where something in it can go on, and says whether it started that.
func (c *Client) Serve() (bool, error) {
	if first, err := c.firstToGoOn(); err != nil || first == "" {
		return false, err
	}
	if served, err := worker.QueueServed(c.Root.State()); err != nil || served {
		return false, err
	}
	if c.handle != nil {
		if !c.handle.Ended() {
			return false, nil // it is about to
		}
		if code, _ := c.handle.Result(); code != release.ExitDone && code != worker.Killed {
			return false, c.why()
		}
	}
	return true, c.start(Request{Key: rand.Text(), Command: Queue})
}
