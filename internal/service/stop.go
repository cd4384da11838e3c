package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

const (
	afterFailedStop = 3 * time.Second       // that is waited for after a stop command that failed
	lookEvery       = 50 * time.Millisecond // for children that a master makes while it ends
)

// Stop stops the service and is done when its master and that one's children are gone and every address in listen is free. Who does
// not go is named in the error and not killed: only systemd knows from its unit what may be.
func (s *Service) Stop(ctx context.Context) error {
	deadline := time.Now().Add(s.spec.Timeout)
	st, err := s.look()
	if err != nil {
		return s.errorf("%w", err)
	}
	old, err := s.family(st.Master, nil)
	if err == nil {
		err = s.note(st, nil)
	}
	if err != nil {
		return s.errorf("%w", err)
	}
	var tail transcript
	var failed error
	if st.Up {
		if tail, failed = s.control(ctx, "stop", s.spec.Stop, st.Master); failed != nil {
			deadline = earlier(deadline, time.Now().Add(afterFailedStop))
		}
	} else if held(st.Ports) == "" {
		return nil
	}
	down, old, err := s.awaitDown(ctx, deadline, st.Master, old)
	if err != nil {
		return s.errorf("%w", err)
	}
	if down {
		return nil
	}
	ports, _, err := s.ports(State{})
	if err != nil {
		return s.errorf("%w", err)
	}
	if len(old) == 0 && held(ports) == "" { // at the last moment
		return nil
	}
	return s.notStopped(ctx, old, ports, failed, tail)
}

// awaitDown waits, and returns whether all is gone, and who is left.
func (s *Service) awaitDown(ctx context.Context, deadline time.Time, master proc.Process, old []proc.Process) (bool, []proc.Process, error) {
	var bound []proc.Listener
	var err error
	var looked time.Time
	down := proc.AwaitClosely(ctx, time.Until(deadline), func() bool {
		if time.Since(looked) < lookEvery && slices.ContainsFunc(old, proc.Process.Same) {
			return false // looking at those that are known takes no time
		}
		looked = time.Now()
		if old, err = s.family(master, old); err != nil {
			return true
		}
		bound, err = s.bound()
		return err != nil || (len(old) == 0 && len(bound) == 0)
	})
	return down, old, err
}

func (s *Service) notStopped(ctx context.Context, old []proc.Process, ports []Port, failed error, tail transcript) *release.Error {
	left := held(ports)
	if len(old) > 0 {
		left = fmt.Sprintf("pid %d still runs: %s", old[0].PID, proc.Cmdline(old[0].PID))
	}
	switch {
	case failed != nil:
		return s.errorf("not stopped: %s: %w%s", left, failed, tail)
	case ctx.Err() != nil:
		return s.errorf("not stopped: %s: %w", left, context.Cause(ctx))
	}
	e := s.errorf("not stopped after %s: %s%s", s.spec.Timeout, left, tail)
	if len(old) > 0 {
		e.Hint("kill -9 %d ends it without its consent", old[0].PID)
	}
	return e
}

// family are a master and its children that live, with those seen before that live still.
func (s *Service) family(master proc.Process, before []proc.Process) ([]proc.Process, error) {
	var alive []proc.Process
	have := map[int]bool{}
	for _, p := range before {
		if p.Same() {
			alive, have[p.PID] = append(alive, p), true
		}
	}
	if master.PID == 0 || !master.Same() {
		return alive, nil
	}
	children, err := proc.Children(master.PID)
	if err != nil {
		return nil, err
	}
	for _, p := range append([]proc.Process{master}, children...) {
		if !have[p.PID] {
			alive = append(alive, p)
		}
	}
	return alive, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
