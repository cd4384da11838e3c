package service

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// Graceful lets the service reload without losing a request. A service that is down is started instead. It is done when a new
// generation of workers takes requests and none of the old one does: an old worker may still finish what it has begun. A master that
// dies of the reload is ErrMasterGone.
func (s *Service) Graceful(ctx context.Context) error {
	if s.spec.Graceful == "" && s.unitFor("graceful") == "" {
		return s.usage("no graceful command is known for preset %q", s.spec.Preset).Hint("set graceful in rel.toml")
	}
	return s.reload(ctx, "graceful", s.spec.Graceful)
}

// Restart restarts the service: by its own command, or by stop and start. A service that is down is started. It is done when the
// processes from before are gone and new ones run.
func (s *Service) Restart(ctx context.Context) error {
	if s.spec.RestartCmd == "" && s.unitFor("restart_cmd") == "" {
		if err := s.Stop(ctx); err != nil {
			return err
		}
		return s.Start(ctx)
	}
	return s.reload(ctx, "restart_cmd", s.spec.RestartCmd)
}

func (s *Service) reload(ctx context.Context, key, command string) error {
	deadline := time.Now().Add(s.spec.Timeout)
	st, err := s.look()
	if err != nil {
		return s.errorf("%w", err)
	}
	if !st.Up {
		return s.Start(ctx)
	}
	g, err := s.generation(st, strings.TrimSuffix(key, "_cmd"))
	if err == nil {
		err = s.note(st, g)
	}
	if err != nil {
		return s.errorf("%w", err)
	}
	tail, err := s.control(ctx, key, command, st.Master)
	switch {
	case err != nil && st.Master.PID != 0 && !st.Master.Same():
		return s.errorf("%w: %s died at %s: %w%s", ErrMasterGone, st.Master, g.what, err, tail)
	case err != nil:
		return s.errorf("%w%s", err, tail)
	case st.Master.PID == 0: // a unit without a main process: what systemd says is all there is
		return s.awaitUp(ctx, deadline, 0, g.what, tail)
	}
	return g.await(ctx, deadline, tail)
}

// await waits for the new generation.
func (g *generation) await(ctx context.Context, deadline time.Time, tail transcript) error {
	s := g.service
	var waiting string
	var err error
	var doneAt time.Time // since when all is as it should be
	done := proc.Await(ctx, time.Until(deadline), func() bool {
		waiting, err = g.look()
		switch {
		case err != nil:
			return true
		case waiting != "":
			doneAt = time.Time{}
			return false
		case doneAt.IsZero(): // look once more, for a worker that the old generation forked last
			doneAt = time.Now()
			return false
		}
		return g.fresh.PID != 0 || time.Since(doneAt) >= settle
	})
	switch {
	case err != nil:
		return s.errorf("after %s: %w%s", g.what, err, tail).Hint("rel err shows the service's error log")
	case done && g.fresh.PID == 0:
		s.env.Warn(fmt.Sprintf("%s: %s has no workers, so that its reload cannot be seen", s.spec.Name, g.master))
		return nil
	case done:
		return nil
	case ctx.Err() != nil:
		return s.errorf("%s: not seen to end: %s: %w", g.what, waiting, context.Cause(ctx))
	case g.what == Graceful && g.fresh.PID != 0 && g.unsure:
		s.env.Warn(fmt.Sprintf("%s: %s after %s; whether it still takes requests cannot be seen", s.spec.Name, waiting, s.spec.Timeout))
		return nil
	}
	if !g.goneAt.IsZero() {
		return s.errorf("after %s: %w: %s%s", g.what, ErrMasterGone, waiting, tail).Hint("rel err shows the service's error log")
	}
	return s.errorf("%s has not taken effect after %s: %s%s", g.what, s.spec.Timeout, waiting, tail).
		Hint("rel err shows the service's error log")
}
