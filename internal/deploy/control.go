package deploy

import (
	"context"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// control is start, stop, restart and graceful: the services alone, nothing is switched.
func (r *run) control(ctx context.Context) error {
	v, err := r.look()
	if err != nil {
		return err
	}
	r.ledger, r.from, r.to = v.Ledger, v.Live, v.Live
	r.rec.Run.From, r.rec.Run.FromID = v.Live.Tag, v.Live.ID
	picked, err := r.picked()
	if err != nil {
		return err
	}
	if err := r.mayControl(r.services, r.req.Command); err != nil {
		return err
	}
	if err := r.lockServices(ctx); err != nil {
		return err
	}
	if r.rec.Services, err = r.servicesNow(); err != nil {
		return err
	}
	if r.req.Command == Restart || r.req.Command == Graceful {
		for _, s := range picked {
			if s.Spec().Test == "" {
				continue
			}
			err := r.step(release.StepCheck, s.Spec().Name, func() (string, error) {
				return s.Spec().Name + " test", s.Test(ctx, r.environ(), r.Root.LivePath(), nil)
			})
			if err != nil {
				return release.Errorf(release.ExitRefused, "%w", err)
			}
		}
	}
	r.markLogs(ctx)
	if err := r.mark(journal.Stopping); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	if r.req.Command == Stop {
		slices.Reverse(picked)
	}
	for i, s := range picked {
		if err := r.controlOne(ctx, s); err != nil {
			if i == 0 && release.ExitCode(err) == release.ExitUsage {
				return err // it has no such command: nothing was touched
			}
			r.outcome = release.Failed
			r.showErrorLogs(ctx)
			return release.Errorf(release.ExitFailed, "%w", err).Hint("rel status shows what runs")
		}
	}
	r.outcome = release.Done
	return nil
}

func (r *run) controlOne(ctx context.Context, s *service.Service) error {
	switch r.req.Command {
	case Start:
		return r.serviceStep(release.StepStart, s, "up", func() error { return s.Start(ctx) })
	case Stop:
		return r.serviceStep(release.StepStop, s, "stopped", func() error { return s.Stop(ctx) })
	}
	start := r.Now()
	err := r.serviceStep(release.StepStart, s, "up", func() error { return s.Apply(ctx, r.req.Command) })
	if r.req.Command == Restart {
		r.down += r.Now().Sub(start)
	}
	return err
}

// picked are the services that the request names.
func (r *run) picked() ([]*service.Service, error) {
	if len(r.services) == 0 {
		return nil, release.Errorf(release.ExitError, "%s: no service is configured", r.Root.Dir).
			Hint("add [[service]] to %s/rel.toml", r.Root.Dir)
	}
	if r.req.Service == "" {
		return slices.Clone(r.services), nil
	}
	var names []string
	for _, s := range r.services {
		if s.Spec().Name == r.req.Service {
			return []*service.Service{s}, nil
		}
		names = append(names, s.Spec().Name)
	}
	return nil, release.Errorf(release.ExitUsage, "%s: no such service", r.req.Service).Hint("services: %s", strings.Join(names, ", "))
}

// recoverControl ends a start, stop, restart or graceful that crashed: what was up and should be is up again.
func (r *run) recoverControl(ctx context.Context) error {
	if r.req.Command == Stop {
		r.rec.Run.Note = "left as it is: rel stop, interrupted"
		return release.Errorf(release.ExitError, "stop: interrupted").Hint("rel status shows what runs; rel stop stops the rest")
	}
	if err := r.controlAgain(ctx); err != nil {
		return r.stuck(err)
	}
	r.rec.Run.Note = "the services that were up are up"
	return nil
}

// controlAgain does again what a start, restart or graceful was cut off in: a service that was up may be on its way down.
func (r *run) controlAgain(ctx context.Context) error {
	r.req.Service = r.rec.Service
	picked, err := r.picked()
	if err != nil {
		return err
	}
	for _, s := range picked {
		if r.req.Command != Start && !r.wasUp(s.Spec().Name) {
			continue
		}
		if err := r.controlOne(ctx, s); err != nil {
			return err
		}
	}
	return r.startGone(ctx)
}
