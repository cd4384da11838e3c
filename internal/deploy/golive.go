package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// goLive is a whole activation or rollback. Up to before, whatever says no leaves everything as it was; from stop on it goes
// on to confirm, or back, and nothing but the machine's end stops it.
func (r *run) goLive(ctx context.Context) error {
	if err := r.resolve(ctx); err != nil {
		return err
	}
	if done, err := r.alreadyLive(ctx); done || err != nil {
		return err
	}
	if state := r.ledger.Tags[r.target.Tag.Name]; state.Failed {
		r.note("%s failed in run %d: rel log %d shows it", r.target.Tag.Name, state.Run, state.Run)
	}
	if err := r.stage(ctx); err != nil {
		return err
	}
	if err := r.mayControl(r.services, r.req.Command+" "+r.to.Tag); err != nil {
		return err
	}
	if err := r.lockServices(ctx); err != nil {
		return err
	}
	if err := r.before(ctx); err != nil {
		return err
	}
	if err := r.prepare(ctx); err != nil {
		return err
	}
	defer r.measure(ctx)()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := r.mark(journal.Stopping); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if err := r.turn(ctx); err != nil {
		return r.revert(ctx, err)
	}
	r.outcome, r.turned = release.Live, true
	return nil
}

// stageOnly is the whole of rel stage.
func (r *run) stageOnly(ctx context.Context) error {
	if err := r.resolve(ctx); err != nil {
		return err
	}
	if err := r.stage(ctx); err != nil {
		return err
	}
	r.outcome = release.Staged
	return nil
}

// resolve decides once what the run is about.
func (r *run) resolve(ctx context.Context) error {
	return r.step(release.StepResolve, r.req.Tag, func() (string, error) {
		v, err := r.look()
		if err != nil {
			return "", err
		}
		run := &r.rec.Run
		r.ledger, r.from = v.Ledger, v.Live
		run.From, run.FromID, r.left = r.from.Tag, r.from.ID, r.from.Tag
		if r.req.Command == Activate {
			if err := r.Held(); err != nil {
				return "", err
			}
		}
		r.target, err = r.choose(ctx, r.req, v, r.opener(ctx))
		tag := r.target.Tag
		if tag.Name != "" { // what is refused is named too
			run.To, run.Commit, run.Tree, run.Signer = tag.Name, tag.Commit, tag.Tree, r.target.Signer
		}
		if err != nil {
			return "", err
		}
		if err := r.mark(journal.Begun); err != nil {
			return "", err
		}
		figure := strings.TrimSuffix(fmt.Sprintf("%s → %.12s", tag.Name, tag.Commit), " → ")
		if run.Signer != "" {
			figure += ", signed by " + run.Signer
		}
		return figure, nil
	})
}

// alreadyLive ends the run when what it wants is live, is what was tagged, and answers.
func (r *run) alreadyLive(ctx context.Context) (bool, error) {
	if r.req.Force || r.from.ID == "" || r.target.Release.ID != r.from.ID {
		return false, nil
	}
	drift, err := r.drift(r.from.ID)
	if err != nil || len(drift) > 0 {
		return false, err
	}
	for _, s := range r.services {
		if s.Spec().Restart == service.None {
			continue
		}
		if state, err := s.State(); err != nil || !state.Up {
			return false, err
		}
	}
	verified, err := r.healthOnce(ctx)
	if err != nil {
		r.note("%s is live and does not answer (%v): going live with it again", r.from.Tag, err)
		return false, nil
	}
	r.note("%s is live already", r.from.Tag)
	r.to, r.outcome = r.from, release.Live
	r.rec.Run.Release, r.rec.Run.Verified = r.from.ID, verified
	return true, nil
}

// before runs the step that comes before anything live is touched: "before" of an activation, "on_rollback" of a rollback.
func (r *run) before(ctx context.Context) error {
	shell, name, dir := r.Config.Steps.Before, "before", r.Root.ReleaseDir(r.to.ID)
	if r.req.Command == Rollback {
		shell, name = r.Config.Steps.OnRollback, "on_rollback"
		if r.from.ID != "" {
			dir = r.Root.ReleaseDir(r.from.ID) // what undoes a release is in that release
		}
	}
	if shell == "" {
		return nil
	}
	return r.step(release.StepBefore, shell, func() (string, error) {
		r.rec.BeforeRan = true
		if err := r.mark(journal.Begun); err != nil {
			return "", err
		}
		if _, err := r.command(name, shell, dir, r.Config.Steps.Timeout.Duration).Run(ctx); err != nil {
			return "", release.Errorf(release.ExitRefused, "%w%s", err, r.beforeRan())
		}
		return "", nil
	})
}

// beforeRan says, of a run that ended with nothing live touched, that a step of the configuration has been at work all the same.
func (r *run) beforeRan() string {
	if !r.rec.BeforeRan {
		return ""
	}
	return "; but the step before had begun: see what it did"
}

// prepare writes down what is there, so that a revert can restore exactly that, after a crash too.
func (r *run) prepare(ctx context.Context) error {
	var err error
	if r.rec.Services, err = r.servicesNow(); err != nil {
		return err
	}
	r.markLogs(ctx)
	r.keepMarks()
	r.watchLogs(ctx)
	if err := os.Remove(r.confirmPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return r.mark(journal.Prepared)
}

// turn is the heart: stop, switch, start, see that it answers. Whatever it returns, the caller goes back.
func (r *run) turn(ctx context.Context) error {
	if err := r.stopServices(ctx); err != nil {
		return err
	}
	if err := r.switchTo(r.to.ID, r.from.ID); err != nil {
		return err
	}
	if err := r.after(ctx, "after_switch", r.Config.Steps.AfterSwitch); err != nil {
		return err
	}
	if err := r.startServices(ctx); err != nil {
		return err
	}
	if err := r.health(ctx); err != nil {
		return err
	}
	if err := r.stragglers(ctx); err != nil {
		return err
	}
	if err := r.soak(ctx); err != nil {
		return err
	}
	if err := r.mark(journal.Healthy); err != nil {
		return err
	}
	return r.awaitConfirm(ctx)
}

// switchTo makes a release the live one, atomically.
func (r *run) switchTo(to, from release.ID) error {
	if to == from {
		return nil
	}
	if err := r.mark(journal.Switching); err != nil {
		return err
	}
	return r.step(release.StepSwitch, "", func() (string, error) {
		warning, err := r.Root.Switch(to, from, r.gapPhase)
		if err != nil {
			return "", err
		}
		r.warn(warning)
		return fmt.Sprintf("%s → %s", r.Config.Live.Path, to), r.mark(journal.Switched)
	})
}

// gapPhase is told where a switch of two renames stands. Recovery goes by what is on disk, which shows it too.
func (r *run) gapPhase(phase string) error {
	r.note("switch: %s", phase)
	return nil
}

// after runs a step that comes after the switch, in the release that is live now.
func (r *run) after(ctx context.Context, name, shell string) error {
	if shell == "" {
		return nil
	}
	return r.runStep(ctx, name, shell, r.Root.LivePath())
}

// runStep runs one of [steps] under its own name.
func (r *run) runStep(ctx context.Context, name, shell, dir string) error {
	return r.step(release.Step(name), shell, func() (string, error) {
		_, err := r.command(name, shell, dir, r.Config.Steps.Timeout.Duration).Run(ctx)
		return "", err
	})
}

// health sees how far the new release works. Without [health] it sees only that the services' processes stay.
func (r *run) health(ctx context.Context) error {
	run := &r.rec.Run
	if len(r.services) > 0 {
		run.Verified = release.VerifiedProcess
	}
	if !r.healthOf(r.to).Configured() {
		return r.stillUp()
	}
	return r.step(release.StepHealth, "", func() (string, error) {
		start := r.Now()
		report, err := r.healthOf(r.to).Wait(ctx, r.healthRequest())
		if err != nil {
			if r.rec.StoppedAt.IsZero() {
				r.rec.StoppedAt = start.UTC() // it has not answered since; what is restored ends it
			}
			return "", err
		}
		run.Verified = report.Verified
		return fmt.Sprintf("%d of %d passes: %s", report.Passes, r.Config.Health.Passes, report.Last), nil
	})
}
