package deploy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/worker"
)

// run is a run in flight, and all that its steps hand on to each other.
type run struct {
	*Site
	req     Request
	journal *journal.Journal
	rec     journal.Record // what the journal says of this run; written by mark alone
	log     logger
	warned  []string
	ledger  journal.Ledger
	hold    *worker.Commands
	gated   *gated // of the hook that gates a push, which has no journal and not the root's lock; nil in a worker
	began   time.Time

	repo     *gitrepo.Repo
	modules  *gitrepo.Modules // of the export, where one is needed
	from     release.Release  // live when the run began; its ID is empty if nothing was
	target   target           // what is to go live
	plan     *export.Plan     // of the export, where one is needed
	spare    store.Spare      // to be turned into the new release; its Dir is empty where there is none
	to       release.Release  // the release that goes live; on the way back the one that was live
	left     string           // the tag of the release that to takes the place of
	doing    string           // the request's command, or "revert" on the way back
	manifest release.Manifest

	services []*service.Service
	took     map[string]bool // of the services: it has taken the new release over, or may have
	unlock   []func()        // the services' own locks
	logs     []*markedLog    // of their error logs, marked before anything was touched
	down     time.Duration   // how long services were known to be down, or were seen to be by the prober
	prober   *gate.Prober    // from just before anything is touched to the end; nil where there is nothing to ask
	timeline []timed         // the steps so far, in the order in which they began
	exported bool            // it has made a release of its own
	turned   bool            // it has switched the live path and is to stay so
	told     string          // the answer to its waiting for rel confirm, where who recovers it has it
	outcome  release.Outcome
	finished func() error // called when the outcome is written, if not nil
}

// logger is told what a run does: its log, or who has pushed.
type logger interface {
	Emit(release.Event)
	Close() error
}

// step does one step of the run and tells about it: that it begins, how it ended, how long it took.
func (r *run) step(step release.Step, what string, do func() (figure string, err error)) error {
	r.rec.Step = step
	r.log.Emit(release.Event{Kind: release.EventStep, Step: step, Text: what})
	r.prober.Step()
	start := time.Now()
	figure, err := do()
	took := r.timed(step, start).Milliseconds()
	if err != nil {
		r.log.Emit(release.Event{Kind: release.EventFail, Step: step, Text: err.Error(), MS: took, Hints: release.Hints(err)})
		return err
	}
	r.log.Emit(release.Event{Kind: release.EventDone, Step: step, Text: figure, MS: took})
	return nil
}

func (r *run) note(format string, args ...any) {
	r.log.Emit(release.Event{Kind: release.EventNote, Step: r.rec.Step, Text: fmt.Sprintf(format, args...)})
}

// warn tells what is wrong and does not stop the run; the same thing once.
func (r *run) warn(err error) {
	if err == nil || slices.Contains(r.warned, err.Error()) {
		return
	}
	r.warned = append(r.warned, err.Error())
	step := r.rec.Step
	if step == "" {
		step = release.StepResolve // before the first
	}
	r.log.Emit(release.Event{Kind: release.EventWarn, Step: step, Text: err.Error(), Hints: release.Hints(err)})
}

// warnOfRoom is warn for what only helps people: that there was no room for it is said once, whatever it was.
func (r *run) warnOfRoom(err error) {
	if disk.IsFull(err) {
		err = fmt.Errorf("%s: the disk is full: the run goes on, and some of what rel keeps about it is not written", r.Root.Dir)
	}
	r.warn(err)
}

// output is what commands of the run print to.
func (r *run) output(line string) {
	r.log.Emit(release.Event{Kind: release.EventOutput, Step: r.rec.Step, Text: line})
}

// mark writes the run's record, synced: from here on a crash is recovered from this phase. A run that goes back stays in the
// phase that says so, whatever it does on the way.
func (r *run) mark(phase journal.Phase) error {
	if r.rec.Phase != journal.Reverting {
		r.rec.Phase = phase
	}
	return r.record()
}

// record writes the record. The way back does not depend on it: there a journal that cannot be written is a warning.
func (r *run) record() error {
	err := r.journal.Write(r.rec)
	if r.rec.Phase == journal.Reverting {
		r.warn(err)
		return nil
	}
	return err
}

// begin gives the run its number and puts it into the journal.
func (r *run) begin() error {
	me, err := proc.Lookup(os.Getpid())
	if err != nil {
		return err
	}
	if v, err := r.look(); err == nil { // else resolve tells
		r.from = v.Live
	}
	r.began = r.Now()
	r.rec = journal.Record{
		Run: release.Run{
			Run: r.journal.NextRun(), Key: r.req.Key, Command: r.req.Command, To: r.req.Tag, By: r.req.By, Ref: r.req.Ref, Started: r.began.UTC(),
			From: r.from.Tag, FromID: r.from.ID, Verified: release.VerifiedNone,
		},
		Boot: proc.BootID(), PID: me.PID, Start: me.Start, ConfirmWithin: r.req.ConfirmWithin, Service: r.req.Service,
	}
	if err := r.mark(journal.Begun); err != nil {
		return err
	}
	r.openLog()
	r.log.Emit(release.Event{Kind: release.EventBegin, Run: &r.rec.Run})
	return nil
}

func (r *run) openLog() {
	log, err := worker.OpenLog(r.Root.State(), r.rec.Run.Run)
	r.log = log
	r.warnOfRoom(err)
}

// conclude sets the outcome of a run whose steps ended with err, if they have not set it.
func (r *run) conclude(ctx context.Context, err error) {
	switch {
	case r.outcome != "":
	case err == nil:
		r.outcome = release.Done
	case ctx.Err() != nil:
		r.outcome = release.Cancelled
	default:
		r.outcome = release.Refused
	}
}

// finish writes the outcome: journal first, then history, then what can be derived again. What goes wrong after the journal
// has it is a warning, since the run has happened.
func (r *run) finish(runErr error) error {
	run := &r.rec.Run
	run.Outcome = r.outcome
	run.Seconds = r.Now().Sub(r.began).Seconds()
	run.DowntimeMS = r.down.Milliseconds()
	run.Exit = r.exit(runErr)
	if runErr != nil {
		run.Error = runErr.Error()
	}
	run.Now = r.liveNow()
	err := r.journal.Finish(*run)
	var later *journal.NotYetInHistory
	switch {
	case errors.As(err, &later):
		r.warn(err)
	case err != nil:
		return err
	}
	r.ledger.Apply(*run)
	r.warnOfRoom(journal.SaveLedger(r.Root.State(), r.ledger))
	return nil
}

// liveNow is what is live when the run ends: what the disk says, and where that cannot be told what the run knows.
func (r *run) liveNow() release.ID {
	live, err := r.Root.Live()
	switch {
	case err == nil && live.Foreign == "":
		return live.ID
	case r.rec.Phase.Touched():
		return r.rec.Run.Release
	}
	return r.rec.Run.FromID
}

// end tells the outcome and closes what the run held.
func (r *run) end(ctx context.Context, runErr error) {
	run := &r.rec.Run
	r.log.Emit(release.Event{Kind: release.EventEnd, Run: run, Exit: run.Exit, Text: r.rec.Run.Error, Hints: release.Hints(runErr)})
	for _, unlock := range r.unlock {
		unlock()
	}
	if r.hold != nil {
		r.warn(r.repackMirrors(ctx))
		r.warn(r.hold.Close())
	}
	if r.modules != nil {
		r.warn(r.modules.Close())
	}
	if _, err := r.open(); err == nil { // a rollback needs no repository: the next run copies then
		r.warn(r.pin(ctx))
		r.warn(r.audit(ctx, r.repo))
		r.warn(r.repo.Close())
	}
	r.log.Close() // nothing is written to it any more
}

// exit is the exit code that the outcome asks for.
func (r *run) exit(err error) int {
	switch r.outcome {
	case release.Live, release.Staged, release.Done:
		return release.ExitDone
	case release.Cancelled:
		return release.ExitCancelled
	case release.Reverted:
		return release.ExitReverted
	case release.Failed:
		return release.ExitFailed
	}
	return release.ExitCode(err)
}

// environ is the environment of builds, checks and steps that the root's owner runs.
func (r *run) environ() []string { return r.environOf(r.Owner) }

func (r *run) environOf(user proc.User) []string {
	return r.Site.environ(user, r.to, map[string]string{
		"REL_COMMAND": r.doing, "REL_RUN": strconv.Itoa(r.rec.Run.Run), "REL_PREVIOUS_TAG": r.left,
	})
}

// command is a command of the configuration, called name in errors, run in dir by the shell, its output going to the log.
func (r *run) command(name, shell, dir string, timeout time.Duration) proc.Command {
	return proc.Command{
		Name: name, Shell: shell, Dir: dir, Env: r.environ(), Hold: r.hold.File, Output: r.output, Timeout: timeout,
	}
}
