package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// rehearsal is how the commands of a run that come before the switch see the release that is to go live: at the live path, where it
// will be, or only where it is now.
type rehearsal struct {
	view  *proc.View // nil: the live path is what it is
	blind bool       // another release is at the live path, and the commands see that one
}

// figure is what a step's line says of it.
func (h rehearsal) figure() string {
	switch {
	case h.view != nil:
		return "rehearsed"
	case h.blind:
		return "not rehearsed"
	}
	return ""
}

// mark tells verdicts apart that may have been of another release's code.
func (h rehearsal) mark() string {
	if h.blind {
		return " not rehearsed"
	}
	return ""
}

// rehearse sees whether commands can run where id is at the live path, by running one. Where nothing is live, or id is, there is
// nothing to cover.
func (r *run) rehearse(ctx context.Context, id release.ID) (rehearsal, error) {
	if r.from.ID == "" || r.from.ID == id {
		return rehearsal{}, nil
	}
	blind := rehearsal{blind: true}
	if r.Config.Live.Rehearsal == config.RehearsalOff {
		return blind, nil
	}
	view := proc.View{At: r.Root.LivePath(), Dir: r.Root.ReleaseDir(id)}
	var err error
	if view.What, err = r.Root.Preview(id); err == nil {
		_, err = proc.Command{Name: "rehearsal", Shell: ":", View: &view, Env: r.environ(), Hold: r.hold.File}.Run(ctx)
	}
	switch {
	case err == nil:
		return rehearsal{view: &view}, nil
	case ctx.Err() != nil:
		return blind, err
	}
	return blind, r.blind("%w", err)
}

// blind says why commands do not see the new release at the live path, and refuses where the configuration wants them to.
func (r *run) blind(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if r.Config.Live.Rehearsal == config.RehearsalRequire {
		return release.Errorf(release.ExitRefused, "%w: live.rehearsal wants the new release at %s before the switch", err, r.Root.LivePath()).
			Hint("run rel as root, or on a kernel that allows user namespaces; live.rehearsal = \"auto\" does without where it must")
	}
	r.note("not rehearsed: %v: %s is still %s", err, r.Config.Live.Path, r.from.Tag)
	return nil
}

// rehearseBuild is rehearse for a build. In a user namespace sudo, ssh and the owner's other groups do not work, and a build may need
// them: there it is rehearsed only where the configuration requires that.
func (r *run) rehearseBuild(ctx context.Context, id release.ID) (rehearsal, error) {
	if proc.InUserNamespace() && r.Config.Live.Rehearsal == config.RehearsalAuto && r.from.ID != "" {
		return rehearsal{blind: true}, nil
	}
	return r.rehearse(ctx, id)
}

// rehearseChecks is rehearse for checks and tests, where there are any.
func (r *run) rehearseChecks(ctx context.Context) (rehearsal, error) {
	tested := slices.ContainsFunc(r.services, func(s *service.Service) bool { return s.Spec().Test != "" })
	if len(r.Config.Check) == 0 && !tested && len(r.trials()) == 0 {
		return rehearsal{}, nil
	}
	return r.rehearse(ctx, r.to.ID)
}

// viewOf is the view that a service's test has: none where it is run by sudo, which does not work in a user namespace.
func (r *run) viewOf(h rehearsal, s *service.Service) (*proc.View, error) {
	if h.view != nil && proc.InUserNamespace() && s.Spec().Sudo {
		return nil, r.blind("%s test: sudo does not work in a user namespace", s.Spec().Name)
	}
	return h.view, nil
}
