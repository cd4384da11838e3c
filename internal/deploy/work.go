package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// cancelWait is how long a rollback waits for the run that it cancelled to let go of the lock, beyond the wait it was given.
const cancelWait = 30 * time.Second

// letGoWait is how long any command waits for a run that has its outcome already: what is left of it is mostly pruning.
const letGoWait = 3 * time.Second

// Work is the whole life of a worker: it takes the lock, ends the run that crashed if one did, does what the request asks and
// writes the outcome. A ctx that is cancelled, as SIGINT and SIGTERM do, cancels a run that has touched nothing. An error is of a run that never began; what happens in a run is told by its log.
func (s *Site) Work(ctx context.Context, req Request) error {
	if err := s.make(req.Command); err != nil {
		return err
	}
	worker.Unhangable()

	lock, err := s.acquire(ctx, req)
	if err != nil {
		return err
	}
	defer lock.Release()
	j, err := s.openJournal(req)
	if err != nil {
		return err
	}
	defer j.Close()
	if rec, found, err := j.Current(); err == nil && found && rec.Phase != journal.Finished && !req.deploys() && req.Command != Recover {
		return pendingError(rec)
	}
	recovered, err := s.recoverCrashed(ctx, j)
	if err != nil {
		return err
	}
	if req.Command == Recover {
		_, err := s.Root.Sweep()
		return err
	}
	return s.work(ctx, j, req, recovered)
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
func (s *Site) work(ctx context.Context, j *journal.Journal, req Request, recovered string) (err error) {
	r := &run{Site: s, req: req, doing: req.Command, journal: j, log: &worker.Log{Now: time.Now}, took: map[string]bool{}}
	s.Warn = r.warn
	if r.hold, err = worker.HoldCommands(s.Root.State()); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return errors.Join(err, r.hold.Close())
	}
	if recovered != "" {
		r.note("%s", recovered)
	}
	r.sweep()
	runErr := r.carryOut(ctx)
	r.conclude(ctx, runErr)
	if r.outcome == release.Cancelled { // what it was doing says only that it was ended
		runErr = release.Errorf(release.ExitCancelled, "cancelled before anything was touched%s", r.beforeRan())
	}
	if err := r.finish(runErr); err != nil {
		r.warn(err)
	}
	r.afterwards(ctx)
	r.end(runErr)
	return nil
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
	if r.turned || r.exported {
		_ = r.step(release.StepPrune, "", func() (string, error) { return r.prune(ctx) })
	}
	_, err := disk.MakeReserve(r.Root.State())
	r.warn(err)
	r.warn(worker.PrepareLog(r.Root.State(), r.rec.Run.Run))
}

// acquire takes the root's lock. A rollback does not wait for a run that has touched nothing yet: it cancels it, so that a
// long build never blocks the way back.
func (s *Site) acquire(ctx context.Context, req Request) (lock *worker.Lock, err error) {
	lock, err = worker.Acquire(ctx, s.Root.State(), 0)
	if !errors.Is(err, worker.ErrLocked) {
		return lock, err
	}
	defer func() {
		if ctx.Err() != nil && err != nil {
			err = release.Errorf(release.ExitCancelled, "%s: cancelled while it waited for another run", req.Command)
		}
	}()
	wait := req.Wait + s.cancelHolder(req)
	if wait > 0 {
		if lock, err = worker.Acquire(ctx, s.Root.State(), wait); !errors.Is(err, worker.ErrLocked) {
			return lock, err
		}
	}
	return nil, s.lockedError()
}

// cancelHolder asks the run that holds the lock to make way for the command, and says how long to wait for that. A run that has
// its outcome lets go soon, whoever comes; one that has touched nothing is cancelled for a rollback.
func (s *Site) cancelHolder(req Request) time.Duration {
	rec, found, err := journal.Read(s.Root.State())
	finished := found && rec.Phase == journal.Finished
	switch {
	case err != nil || !found:
		return 0
	case req.Command == Rollback && (finished || rec.Cancellable()) && s.canGoBack(req) && cancel(rec) == nil:
		return cancelWait
	case finished:
		return letGoWait
	}
	return 0
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
	return fmt.Sprintf("run %d (%s, by %s) since %s, in step %s, pid %d", rec.Run.Run, what, rec.Run.By,
		rec.Run.Started.Local().Format(time.DateTime), nonEmpty(string(step), "begin"), rec.PID)
}

func (s *Site) lockedError() error {
	holder := s.Holder()
	if holder == "" {
		return release.Errorf(release.ExitLocked, "%s: %w", s.Root.Dir, worker.ErrLocked).Hint("--wait 1m waits for it")
	}
	return release.Errorf(release.ExitLocked, "%s: %w: %s", s.Root.Dir, worker.ErrLocked, holder).
		Hint("rel attach follows it; --wait 1m waits for it")
}

// said is what a worker whose run never began tells its starter, on its standard error.
type said struct {
	Exit  int      `json:"exit"`
	Error string   `json:"error"`
	Hints []string `json:"hints,omitempty"`
}

// WorkerMain is the process that the hidden command "rel worker" runs: the guardian, or below it the worker.
func (s *Site) WorkerMain(ctx context.Context, req Request, guarded bool) (code int) {
	if guarded {
		err := s.Work(ctx, req)
		if err == nil {
			return release.ExitDone
		}
		text, _ := json.Marshal(said{release.ExitCode(err), err.Error(), release.Hints(err)}) // of strings: cannot go wrong
		fmt.Fprintf(os.Stderr, "%s\n", text)
		return release.ExitCode(err)
	}
	return s.guard(req)
}

// guard is the guardian's life. The recovery it asks for is a worker like any other.
func (s *Site) guard(req Request) int {
	recovery := Request{Key: req.Key, Command: Recover, By: req.By, Wait: cancelWait}
	ended := func() bool {
		rec, found, err := journal.Read(s.Root.State())
		return err != nil || !found || rec.Run.Key != req.Key || rec.Phase == journal.Finished
	}
	program, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return release.ExitError
	}
	code, text, err := worker.Guard(program, WorkerArgs(s.Root.Dir, req), WorkerArgs(s.Root.Dir, recovery), ended, s.tellDeath)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return release.ExitError
	}
	os.Stderr.Write(text) // nobody may be there to read it
	return code
}

// tellDeath puts a dead worker's last words into the log of its run.
func (s *Site) tellDeath(words []byte) {
	rec, found, err := journal.Read(s.Root.State())
	if err != nil || !found {
		return
	}
	log, err := worker.OpenLog(s.Root.State(), rec.Run.Run)
	if err != nil {
		return
	}
	defer log.Close()
	log.Emit(release.Event{Kind: release.EventWarn, Step: release.StepRecover, Text: fmt.Sprintf("the worker of run %d died: recovering", rec.Run.Run)})
	if len(words) > 0 {
		log.Emit(release.Event{Kind: release.EventOutput, Text: string(words)})
	}
}

// WorkerArgs are the arguments that make this program the guardian of a request's worker.
func WorkerArgs(root string, req Request) []string {
	return []string{"worker", "-C", root, "--request", req.String()}
}
