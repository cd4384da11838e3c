package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// endCommandsWithin is how long recovery waits for a crashed run's commands to be gone after it killed them.
const endCommandsWithin = 10 * time.Second

// Pending is the run that crashed, if one did: it has no outcome, and nobody works on it.
func (s *Site) Pending() (journal.Record, bool, error) {
	if !s.Made() {
		return journal.Record{}, false, nil
	}
	rec, found, err := journal.Read(s.Root.State())
	if err != nil || !found || rec.Phase == journal.Finished {
		return rec, false, err
	}
	held, err := worker.Held(s.Root.State())
	if errors.Is(err, fs.ErrPermission) {
		return rec, false, nil // only the owner can tell
	}
	if held || err != nil {
		return rec, false, err
	}
	// The run may have ended, and another begun, since its record was read: only a record read after the lock was free tells.
	number := rec.Run.Run
	rec, found, err = journal.Read(s.Root.State())
	return rec, found && rec.Phase != journal.Finished && rec.Run.Run == number, err
}

// recoverCrashed ends the run that crashed, if one did, and says in a sentence what it did. It holds the lock. Done twice it
// does nothing more; killed in the middle it begins again. With back a rollback has come, which answers a run that waits for rel
// confirm.
func (s *Site) recoverCrashed(ctx context.Context, j *journal.Journal, back bool) (string, error) {
	rec, found, err := j.Current()
	if err != nil {
		return "", err
	}
	if !found || rec.Phase == journal.Finished {
		return "", s.settleLive()
	}
	r, err := s.adoptRun(j, rec)
	if err != nil {
		return "", err
	}
	r.told = map[bool]string{true: answerBack}[back]
	ctx = context.WithoutCancel(ctx)
	var runErr error
	stuck := r.step(release.StepRecover, r.crashed(), func() (string, error) {
		if err := r.settle(ctx); err != nil {
			return "", err
		}
		runErr = r.recover(ctx)
		return r.rec.Run.Note, nil
	})
	if stuck != nil { // it stays to be recovered: nothing may go on beside what is half-done
		return "", release.Errorf(release.ExitFailed, "recovering run %d: %w", rec.Run.Run, stuck).
			Hint("rel recover tries again; rel log %d shows the run", rec.Run.Run)
	}
	if r.outcome != release.Failed {
		r.outcome = release.Interrupted
	}
	if err := r.finish(runErr); err != nil {
		return "", err
	}
	r.warnOfRoom(worker.PrepareLog(s.Root.State(), rec.Run.Run))
	r.end(ctx, runErr)
	return fmt.Sprintf("run %d had crashed: %s", rec.Run.Run, r.rec.Run.Note), nil
}

// adoptRun takes over a crashed run: its record, its log, and what it worked on.
func (s *Site) adoptRun(j *journal.Journal, rec journal.Record) (*run, error) {
	me, err := proc.Lookup(os.Getpid())
	if err != nil {
		return nil, err
	}
	r := &run{
		Site: s, doing: rec.Run.Command, left: rec.Run.From, journal: j, rec: rec, began: rec.Run.Started,
		log: &worker.Log{Now: time.Now}, took: map[string]bool{},
	}
	s.Warn = r.warn
	r.req = Request{Key: rec.Run.Key, Command: rec.Run.Command, Tag: rec.Run.To, By: rec.Run.By, ConfirmWithin: rec.ConfirmWithin}
	r.openLog()
	if r.ledger, err = journal.LoadLedger(s.Root.State()); err != nil {
		return nil, err
	}
	r.from, r.to = r.known(rec.Run.FromID, rec.Run.From), r.known(rec.Run.Release, rec.Run.To)
	if r.services, err = s.Services(r.output, r.started); err != nil {
		return nil, err
	}
	marks, err := s.readMarks()
	r.warn(err)
	for _, one := range r.services {
		if mark, ok := marks[one.Spec().Name]; ok {
			r.logs = append(r.logs, &markedLog{service: one.Spec().Name, log: s.errorLog(one), mark: mark})
		}
		r.took[one.Spec().Name] = rec.Phase.Touched() // the dead worker may have come to it
	}
	r.rec.PID, r.rec.Start = me.PID, me.Start
	return r, j.Write(r.rec)
}

// known is a release of the crashed run: as its manifest has it, else as the record does.
func (r *run) known(id release.ID, tag string) release.Release {
	if id == "" || !r.sealed(id) {
		return release.Release{}
	}
	manifest, err := r.Root.Manifest(id)
	if err != nil {
		r.warn(err)
		return release.Release{ID: id, Tag: tag}
	}
	return manifest.Release
}

// sealed says whether there is a release of that id.
func (s *Site) sealed(id release.ID) bool {
	_, err := os.Stat(s.Root.State("manifests", string(id)))
	return err == nil
}

func (r *run) crashed() string {
	return fmt.Sprintf("run %d (%s %s) crashed in phase %s", r.rec.Run.Run, r.rec.Run.Command, r.rec.Run.To, r.rec.Phase)
}

// settle ends what the dead worker left running and makes its switch whole, if it was at one.
func (r *run) settle(ctx context.Context) error {
	err := r.endLeftovers(ctx)
	if err != nil {
		return err
	}
	if r.hold, err = worker.HoldCommands(r.Root.State()); err != nil {
		return err
	}
	if !r.rec.Phase.Touched() {
		return nil
	}
	if r.req.deploys() {
		if err := r.Root.Settle(r.rec.Run.Release, r.rec.Run.FromID); err != nil {
			return err
		}
	}
	return r.lockServices(ctx)
}

// recover finishes or undoes the crashed run, once the disk is settled.
func (r *run) recover(ctx context.Context) error {
	if !r.rec.Phase.Touched() {
		r.sweep()
		r.rec.Run.Note = "nothing had been touched" + r.beforeRan()
		return release.Errorf(release.ExitError, "%s: interrupted before anything was touched%s", r.req.Command, r.beforeRan())
	}
	if !r.req.deploys() {
		return r.recoverControl(ctx)
	}
	r.sweep()
	live, err := r.Root.Live()
	if err != nil {
		return r.stuck(err)
	}
	if live.ID == r.to.ID && r.rec.Phase != journal.Reverting {
		cause := r.finishForward(ctx)
		if cause == nil {
			r.rec.Run.Note = r.to.Tag + " is live and was confirmed"
			return nil
		}
		if r.from.ID == "" {
			r.outcome = release.Failed
			return r.failed(fmt.Errorf("interrupted, and nothing was live before it: %w", cause), errNotRemoved)
		}
		r.rec.Run.Error = cause.Error()
	}
	cause := fmt.Errorf("interrupted: %s", nonEmpty(r.rec.Run.Error, "the worker died in phase "+string(r.rec.Phase)))
	err = r.revert(ctx, cause)
	r.rec.Run.Note = "back to " + nonEmpty(r.from.Tag, "nothing live")
	return err
}

// errNotRemoved says why recovery leaves a release live that does not answer.
var errNotRemoved = fmt.Errorf("it was left live, since there is nothing to go back to")

// finishForward brings the services to serve the release that is live already, and sees that it answers.
func (r *run) finishForward(ctx context.Context) error {
	if r.rec.Phase.Before(journal.Started) {
		if r.rec.Phase.Before(journal.Starting) { // cut off, or not reached
			if err := r.after(ctx, "after_switch", r.Config.Steps.AfterSwitch); err != nil {
				return err
			}
		}
		if err := r.startServices(ctx); err != nil {
			return err
		}
	}
	if err := r.startGone(ctx); err != nil {
		return err
	}
	if err := r.health(ctx); err != nil {
		return err
	}
	if err := r.stragglers(ctx); err != nil {
		return err
	}
	return r.awaitConfirm(ctx)
}

// startGone starts each service that was up and is gone.
func (r *run) startGone(ctx context.Context) error {
	for _, s := range r.services {
		state, err := s.State()
		if err != nil {
			return err
		}
		if state.Up || !r.wasUp(s.Spec().Name) {
			continue
		}
		if err := r.serviceStep(release.StepStart, s, "started", func() error { return s.Start(ctx) }); err != nil {
			return err
		}
	}
	return nil
}

// stuck is a recovery that could not do its work.
func (r *run) stuck(err error) error {
	r.outcome = release.Failed
	r.rec.Run.Note = "recovery went wrong: " + err.Error()
	return release.Errorf(release.ExitFailed, "recovering run %d: %w", r.rec.Run.Run, err).
		Hint("rel status shows what is live; rel log %d the whole run", r.rec.Run.Run)
}

// endLeftovers ends what the dead worker left running, so that nothing writes beside the recovery.
func (r *run) endLeftovers(ctx context.Context) error {
	if r.rec.Boot != proc.BootID() {
		return nil // the machine was started anew: nothing of that run is left
	}
	for _, group := range r.rec.Groups {
		if err := proc.EndGroup(ctx, group.PID, group.Start); err != nil {
			return err
		}
	}
	r.rec.Groups = nil
	limited, cancel := context.WithTimeout(ctx, endCommandsWithin)
	defer cancel()
	return worker.EndCommands(limited, r.Root.State())
}

// sweep removes what crashes left on disk, and what pushes left, which a rollback does not wait for; and it makes the links ready that
// a full disk did not allow. What cannot be removed must not block the way back.
func (r *run) sweep() {
	if r.req.Command != Rollback {
		r.warn(r.dropUnaccepted())
	}
	_, err := r.Root.Sweep()
	r.warn(err)
	r.warnOfRoom(r.Root.Relink())
}

// settleLive makes a switch whole that no run is known of, as after the loss of the journal.
func (s *Site) settleLive() error {
	if _, err := os.Lstat(s.Root.State("swap")); err != nil {
		return nil
	}
	live, err := s.Root.Live()
	if err != nil {
		return err
	}
	return s.Root.Settle(live.ID, live.ID)
}
