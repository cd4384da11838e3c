package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// serve is the life of the guardian that serves the queue: one worker after the other, each of which makes one run of what waits.
// There is one such guardian at a time. Whoever finds that there is one may go: it looks at the queue again after it has let go of
// its lock.
func (s *Site) serve(ctx context.Context, req Request) int {
	code := release.ExitDone
	for code == release.ExitDone && ctx.Err() == nil {
		if first, err := s.firstToGoOn(); err != nil || first == "" {
			return tellStarter(err)
		}
		lock, err := worker.AcquireQueue(s.Root.State())
		if errors.Is(err, worker.ErrLocked) {
			return release.ExitDone
		}
		if err != nil {
			return tellStarter(err)
		}
		code = s.serveAll(ctx, req)
		if err := lock.Release(); err != nil {
			return tellStarter(err)
		}
	}
	return code
}

// serveAll works until nothing is left that can go on, or a worker could do nothing. One that was killed before its run began is
// followed by another.
func (s *Site) serveAll(ctx context.Context, req Request) int {
	for was, tries := "", 1; ctx.Err() == nil; tries++ {
		first, err := s.firstToGoOn()
		if err != nil || first == "" {
			return tellStarter(err)
		}
		if first != was {
			was, tries = first, 1
		}
		if tries > serveTries {
			return tellStarter(fmt.Errorf("%s in the queue: nothing became of it", first))
		}
		if code := s.guardOne(req); code != release.ExitDone && code != worker.Killed {
			return code
		}
	}
	return release.ExitDone
}

// goOn lets what waits in the queue go on after a run, in a guardian of its own: whoever started the one that calls it may wait for
// its end.
func (s *Site) goOn(ctx context.Context, program string) {
	_, _ = s.takeUp(ctx) // else the next run's guardian tries
	if first, err := s.firstToGoOn(); err != nil || first == "" {
		return
	}
	_, _ = s.launch(program, Request{Key: rand.Text(), Command: Queue}) // else the next run's guardian tries
}

// launch starts a guardian for a request.
func (s *Site) launch(program string, req Request) (*worker.Handle, error) {
	return worker.Start(worker.Launch{
		Program: program, Args: WorkerArgs(s.Root.Dir, req), Dir: s.Root.Dir,
		Env: proc.Environment(s.Owner, nil), Unit: "rel-" + req.Key, User: s.Owner,
	})
}
