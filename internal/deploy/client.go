package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/git-rel/rel/internal/journal"
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
	leave   bool // a run that is followed is left to itself when we are cancelled
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
	handle, err := c.launch(c.Program, req)
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
