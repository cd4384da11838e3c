package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// Work is the whole life of a worker: it takes the lock, ends the run that crashed if one did, does what the request asks and
// writes the outcome. A ctx that is cancelled, as SIGINT and SIGTERM do, cancels a run that has touched nothing. An error is of a
// run that never began; what happens in a run is told by its log.
func (s *Site) Work(ctx context.Context, req Request) error {
	if err := s.make(req.Command); err != nil {
		return err
	}
	worker.Unhangable()

	lock, req, made, err := s.acquire(ctx, req)
	if err != nil {
		return err
	}
	defer lock.Release()
	j, err := s.openJournal(req)
	if err != nil {
		return err
	}
	defer j.Close()
	back := false
	if rec, found, err := j.Current(); err == nil && found && rec.Phase != journal.Finished {
		if !req.deploys() && req.Command != Recover && req.Command != Queue {
			return pendingError(rec)
		}
		back, req = req.answers(rec), req.goingBack(rec)
	}
	recovered, err := s.recoverCrashed(ctx, j, back)
	if err != nil {
		return err
	}
	switch req.Command {
	case Recover:
		_, err := s.Root.Sweep()
		return errors.Join(s.dropUnaccepted(), err)
	case Queue:
		return s.workQueue(ctx, j, recovered)
	}
	return s.work(ctx, j, req, made, recovered)
}

// openJournal opens the journal. One that is damaged is put aside by rel recover only: what the disk says goes on then.
func (s *Site) openJournal(req Request) (*journal.Journal, error) {
	j, err := journal.Open(s.Root.State())
	if !errors.Is(err, journal.ErrDamaged) || req.Command != Recover {
		return j, err
	}
	if _, err := journal.Reset(s.Root.State()); err != nil {
		return nil, err
	}
	return journal.Open(s.Root.State())
}

// make makes what the root needs and has not. The way back does not begin with it: it needs room, and a full disk has none.
func (s *Site) make(command string) error {
	if s.Made() && (command == Rollback || command == Recover) {
		return nil
	}
	return s.Root.Make()
}

// work is one run from its number to its outcome.
func (s *Site) work(ctx context.Context, j *journal.Journal, req Request, notes ...string) error {
	r, err := s.beginRun(j, req)
	if err != nil {
		return err
	}
	r.whole(ctx, notes)
	return nil
}

// beginRun gives a request's run its number: from here on it is in the journal.
func (s *Site) beginRun(j *journal.Journal, req Request) (r *run, err error) {
	r = &run{Site: s, req: req, doing: req.Command, journal: j, log: &worker.Log{Now: time.Now}, took: map[string]bool{}}
	s.Warn = r.warn
	if r.hold, err = worker.HoldCommands(s.Root.State()); err != nil {
		return nil, err
	}
	if err := r.begin(); err != nil {
		return nil, errors.Join(err, r.hold.Close())
	}
	return r, nil
}

// whole carries a run that has begun out, to its outcome and what comes after it.
func (r *run) whole(ctx context.Context, notes []string) {
	for _, note := range notes {
		if note != "" {
			r.note("%s", note)
		}
	}
	r.sweep()
	runErr := r.carryOut(ctx)
	r.conclude(ctx, runErr)
	if r.outcome == release.Cancelled { // what it was doing says only that it was ended
		runErr = release.Errorf(release.ExitCancelled, "cancelled before anything was touched%s%s", r.byWhom(ctx), r.beforeRan())
	}
	if err := r.finish(runErr); err != nil {
		r.warn(err)
	}
	if r.finished != nil {
		r.warn(r.finished())
	}
	r.afterwards(ctx)
	r.end(ctx, runErr)
}

// carryOut does what the request asks.
func (r *run) carryOut(ctx context.Context) (err error) {
	if r.services, err = r.Services(r.output, r.started); err != nil {
		return err
	}
	switch r.req.Command {
	case Activate, Rollback:
		return r.goLive(ctx)
	case Stage:
		return r.stageOnly(ctx)
	case Start, Stop, Restart, Graceful:
		return r.control(ctx)
	}
	return release.Errorf(release.ExitUsage, "%q: no such command", r.req.Command)
}

// afterwards is what comes when the outcome is written already: nothing of it can change how the run ended.
func (r *run) afterwards(ctx context.Context) {
	// What goes wrong in these is told as their failure, and the outcome stays.
	if r.turned {
		_ = r.after(ctx, "after_live", r.Config.Steps.AfterLive)
	}
	switch {
	case r.turned:
		_ = r.step(release.StepPrune, "", func() (string, error) { return r.prune() })
	case r.exported: // what was staged or refused must not fill the disk either, and is no news unless something went
		r.rec.Step = release.StepPrune
		figure, err := r.prune()
		r.warn(err)
		if figure != nothingPruned {
			r.note("%s", figure)
		}
	}
	_, err := disk.MakeReserve(r.Root.State())
	r.warnOfRoom(err)
	r.warnOfRoom(worker.PrepareLog(r.Root.State(), r.rec.Run.Run))
}
