package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// logLines is how many lines of the services' error logs a failure shows.
const logLines = 20

// revert restores what was there before the run: the live path, and each service as it was. It looks first: what is gone is
// started and never gracefully restarted, and what was down is left down. It sets the outcome and returns what to tell.
func (r *run) revert(ctx context.Context, cause error) error {
	bad, what := r.to, "back to "+nonEmpty(r.from.Tag, "nothing live")
	r.rec.Step, r.rec.Run.Error, r.rec.Run.Verified = release.StepRevert, cause.Error(), release.VerifiedNone
	r.rec.Phase = journal.Reverting
	r.warn(r.record())
	r.showErrorLogs(ctx)
	r.note("going %s", what)
	err := r.step(release.StepRevert, what, func() (string, error) { return what, r.restore(ctx, bad) })
	r.rec.Run.Verified = release.VerifiedNone // what was seen on the way back is of another release
	told := r.reverted(bad, cause, err)
	r.onFailure(ctx, bad)
	return told
}

// reverted sets the outcome of a run that went back, and says it.
func (r *run) reverted(bad release.Release, cause, err error) error {
	r.outcome = release.Failed
	switch {
	case err != nil:
		return r.failed(cause, err)
	case r.from.ID == "":
		return release.Errorf(release.ExitFailed, "%s: %w; nothing was live before it, and nothing is now", bad.Tag, cause).
			Hint("rel log %d shows the whole run; once the cause is mended: rel activate %s, or a new tag if it was the release",
				r.rec.Run.Run, bad.Tag)
	case !r.allWereUp():
		return release.Errorf(release.ExitFailed, "%s: %w; %s is live again, and its services are down as they were before",
			bad.Tag, cause, r.from.Tag).Hint("the services are down, as they were before: rel start starts them")
	}
	r.outcome = release.Reverted
	return release.Errorf(release.ExitReverted, "%s: %w", bad.Tag, cause).
		Hint("rel log %d shows the whole run", r.rec.Run.Run)
}

// onFailure runs the step of that name, told what failed, whatever came of the way back.
func (r *run) onFailure(ctx context.Context, bad release.Release) {
	shell := r.Config.Steps.OnFailure
	if shell == "" {
		return
	}
	r.to, r.left, r.doing = bad, r.from.Tag, r.req.Command
	_ = r.runStep(ctx, "on_failure", shell, r.Root.Dir) // told as a step: it changes nothing any more
}

// restore is the revert itself.
func (r *run) restore(ctx context.Context, bad release.Release) error {
	r.to, r.left, r.doing = r.from, bad.Tag, "revert"
	if shell := r.Config.Steps.OnRollback; shell != "" {
		_ = r.runStep(ctx, "on_rollback", shell, r.Root.ReleaseDir(bad.ID)) // told as a step; the old code is wanted back all the same
	}
	// A service that cannot be stopped must not keep the bad release live. Where nothing was switched yet, it is what was there
	// before; else it may go on with the bad one, and that is for a person.
	switched, err := r.switched(bad.ID)
	if err != nil {
		return err
	}
	stopErr := r.stopAgain(ctx, switched)
	if switched {
		err = r.switchBack(bad.ID)
	} else {
		r.warn(stopErr)
		stopErr = nil
	}
	if err != nil {
		return errors.Join(stopErr, err)
	}
	defer r.upAgain()
	for _, s := range r.services {
		if !r.wasUp(s.Spec().Name) {
			continue
		}
		if err := r.apply(ctx, s); err != nil {
			if !r.undisturbed(s) {
				return errors.Join(stopErr, err)
			}
		}
	}
	if stopErr != nil || r.from.ID == "" || !r.allWereUp() {
		return stopErr
	}
	if err := r.health(ctx); err != nil {
		return err
	}
	return r.stragglers(ctx)
}

// undisturbed says whether a service still is the very one that the run found, and has not loaded the new release: what keeps it
// from reloading then, as a mistake in its own configuration does, has not harmed it.
func (r *run) undisturbed(s *service.Service) bool {
	if r.took[s.Spec().Name] {
		return false
	}
	state, err := s.State()
	return err == nil && state.Up && slices.ContainsFunc(r.rec.Services, func(was journal.ServiceWas) bool {
		return was.Name == s.Spec().Name && was.PID == state.Master.PID && was.Start == state.Master.Start
	})
}

// switched makes whole what a switch that went wrong may have left, and says whether something else is live than before the run.
func (r *run) switched(bad release.ID) (bool, error) {
	if err := r.Root.Settle(bad, r.from.ID); err != nil {
		return false, err
	}
	live, err := r.Root.Live()
	return live.ID != r.from.ID, err
}

// stopAgain stops, as far as it can, what the run started and what is stopped for a switch. Where nothing was switched, a service
// that nobody has begun to stop is left alone.
func (r *run) stopAgain(ctx context.Context, switched bool) error {
	var failed error
	for _, s := range slices.Backward(r.services) {
		stops := s.Spec().Restart == service.StopStart && (switched || !r.rec.StoppedAt.IsZero())
		if s.Spec().Restart == service.None || r.wasUp(s.Spec().Name) && !stops {
			continue
		}
		state, err := s.State()
		if err == nil && !state.Up {
			continue
		}
		if err == nil {
			err = r.serviceStep(release.StepStop, s, "stopped", func() error { return s.Stop(ctx) })
		}
		failed = errors.Join(failed, err)
	}
	return failed
}

// switchBack makes the live path what it was.
func (r *run) switchBack(bad release.ID) error {
	if r.from.ID == "" {
		return r.Root.Clear(bad)
	}
	return r.switchTo(r.from.ID, bad)
}

// allWereUp says whether each service that the run had to do with was up before it.
func (r *run) allWereUp() bool {
	return !slices.ContainsFunc(r.services, func(s *service.Service) bool {
		return s.Spec().Restart != service.None && !r.wasUp(s.Spec().Name)
	})
}

// failed is the end that needs a person: it says what was wrong, what went wrong on the way back, and what is there now.
func (r *run) failed(cause, err error) error {
	r.outcome = release.Failed
	e := release.Errorf(release.ExitFailed, "%s: %w; and on the way back: %w", r.rec.Run.To, cause, err)
	live, liveErr := r.Root.Live()
	switch {
	case liveErr != nil:
		e.Hint("%s cannot be read: %v", r.Root.LivePath(), liveErr)
	case live.ID == "":
		e.Hint("nothing is live now: rel activate --force TAG puts a release live")
	default:
		e.Hint("%s is live now; rel status shows what runs", live.ID)
	}
	return e.Hint("rel log %d shows the whole run; once the cause is mended: rel activate %s", r.rec.Run.Run, nonEmpty(r.from.Tag, "TAG"))
}

func nonEmpty(s, instead string) string {
	if s == "" {
		return instead
	}
	return s
}

// showErrorLogs tells what the services' error logs gained since the switch.
func (r *run) showErrorLogs(ctx context.Context) {
	shown := map[string]bool{}
	for _, l := range r.logs {
		if shown[l.log.Path] {
			continue
		}
		shown[l.log.Path] = true
		lines, err := l.log.Since(ctx, l.mark, 0)
		r.warn(err)
		if left := len(lines) - logLines; left > 0 { // the first lines have the cause, the last ones what became of it
			half := logLines / 2
			lines = slices.Concat(lines[:half], []string{fmt.Sprintf("… %d lines …", left)}, lines[len(lines)-half:])
		}
		if len(lines) > 0 {
			r.note("what %s gained:\n%s", l.log.Path, strings.Join(lines, "\n"))
		}
	}
}
