package deploy

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// WatchArgs are the arguments that make this program the watcher of a push: it is told which process git's receive-pack is.
func WatchArgs(root string, pack proc.Process) []string {
	return []string{"hook", "watch", "-C", root, strconv.Itoa(pack.PID), strconv.FormatUint(pack.Start, 10)}
}

// AwaitReceivePack waits until git's receive-pack has ended, which a watcher is told of by its pid and when it started.
func AwaitReceivePack(ctx context.Context, pid, start string) error {
	id, err := strconv.Atoi(pid)
	ticks, startErr := strconv.ParseUint(start, 10, 64)
	if err = errors.Join(err, startErr); err != nil {
		return release.Errorf(release.ExitUsage, "%s %s: not a process: %w", pid, start, err)
	}
	return proc.AwaitEnd(ctx, proc.Process{PID: id, Start: ticks})
}

// Watch does, once the receive-pack of a push has ended, what post-receive does, if that did not come or did not get to its end: it
// queues what git has taken in, and sees that it comes to its end. What was made ready of a push that git has not taken in goes.
func (c *Client) Watch(ctx context.Context) error {
	_, err := c.takeUp(ctx)
	err = errors.Join(err, c.seeServed(ctx))
	c.tidyUnaccepted(ctx)
	return err
}

// seeServed stays until nothing in the queue can go on any more: who serves it may be killed, and there may be nobody else.
func (c *Client) seeServed(ctx context.Context) error {
	for was, tries, poll := "", 0, 2*time.Millisecond; ; poll = min(2*poll, 100*time.Millisecond) {
		first, err := c.firstToGoOn()
		if err != nil || first == "" {
			return err
		}
		if first != was {
			was, tries = first, 0
		}
		started, err := c.Serve()
		if err != nil {
			return err
		}
		if started {
			tries++
		}
		if tries > serveTries {
			return release.Errorf(release.ExitError, "%s in the queue: nobody could be brought to serve it", first)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
}

// TakeUp makes requests of what git has taken in of pushes that nobody is about to ask for, and sees that somebody serves them.
func (c *Client) TakeUp(ctx context.Context) ([]Waiting, error) {
	queued, err := c.takeUp(ctx)
	if err == nil && len(queued) > 0 {
		_, err = c.Serve()
	}
	return queued, err
}
