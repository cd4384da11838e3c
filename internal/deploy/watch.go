package deploy

import (
	"context"
	"errors"
	"strconv"

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
// queues what git has taken in, sees that somebody serves the queue, and that it comes to its end. What was made ready of a push that
// git has not taken in goes.
func (c *Client) Watch(ctx context.Context) error {
	queued, err := c.takeUp(ctx)
	_, serveErr := c.Serve()
	err = errors.Join(err, serveErr)
	for _, w := range queued {
		_, awaitErr := c.Await(ctx, w)
		err = errors.Join(err, awaitErr)
	}
	c.tidyUnaccepted(ctx)
	return err
}

// TakeUp makes requests of what git has taken in of pushes that nobody is about to ask for, and sees that somebody serves them.
func (c *Client) TakeUp(ctx context.Context) ([]Waiting, error) {
	queued, err := c.takeUp(ctx)
	if err == nil && len(queued) > 0 {
		_, err = c.Serve()
	}
	return queued, err
}
