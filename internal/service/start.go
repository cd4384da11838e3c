package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// ErrMasterGone is of a service whose master ended when it was to go on: it is down and has to be started.
var ErrMasterGone = errors.New("its master is gone")

const settle = time.Second // that something must stay as it is before it is believed to stay so

// Start starts the service, unless it runs, and is done when its master is there and each address in listen is held by it. It
// waits for addresses that others still hold.
func (s *Service) Start(ctx context.Context) error {
	deadline := time.Now().Add(s.spec.Timeout)
	st, err := s.look()
	if err != nil {
		return s.errorf("%w", err)
	}
	if !st.Up {
		if held(st.Ports) != "" {
			if err := s.awaitFree(ctx, deadline); err != nil {
				return err
			}
		}
		if err := s.retire(ctx); err != nil {
			return s.errorf("%w", err)
		}
		before := proc.Ticks()
		s.took.since = before
		tail, err := s.control(ctx, "start", s.spec.Start, proc.Process{})
		if err != nil {
			return s.errorf("not started: %w%s", err, tail)
		}
		return s.awaitUp(ctx, deadline, before, "start", tail)
	}
	return s.awaitUp(ctx, deadline, st.Master.Start, "start", transcript{})
}

// awaitUp waits until a master that is no older than since runs and holds the ports, and has done so for a moment: a service that
// dies of its code does it at once.
func (s *Service) awaitUp(ctx context.Context, deadline time.Time, since uint64, what string, tail transcript) error {
	var st State
	var err error
	var dead string
	var seen proc.Process
	var upAt, absentAt time.Time
	done := proc.Await(ctx, time.Until(deadline), func() bool {
		if st, err = s.look(); err != nil {
			return true
		}
		young := st.Up && (st.Master.PID == 0 || st.Master.Start >= since)
		switch {
		case !young:
			upAt = time.Time{}
		case upAt.IsZero() || !st.Master.Is(seen):
			seen, upAt = st.Master, time.Now()
		}
		if dead = s.deadOnArrival(st, seen, since, &absentAt); dead != "" {
			return true
		}
		return young && portsHeld(st) && time.Since(upAt) >= settle/4
	})
	switch {
	case err != nil:
		return s.errorf("%w", err)
	case dead != "":
		return s.errorf("after %s: %w: %s%s", what, ErrMasterGone, dead, tail).Hint("rel err shows the service's error log")
	case done:
		return nil
	case ctx.Err() != nil:
		return s.errorf("not seen to run: %w", context.Cause(ctx))
	case !st.Up:
		return s.errorf("down %s after %s: %s%s", s.spec.Timeout, what, st.Why, tail).Hint("rel err shows the service's error log")
	case st.Master.PID != 0 && st.Master.Start < since:
		return s.errorf("%s still runs %s after %s: it is the one from before", st.Master, s.spec.Timeout, what)
	}
	return s.errorf("%s runs, but %s", st.Master, portsMissing(st))
}

// deadOnArrival says why waiting on is in vain: the new master was seen and is gone, systemd gave it up, or nothing of the
// preset's name has been there for a while.
func (s *Service) deadOnArrival(st State, seen proc.Process, since uint64, absentAt *time.Time) string {
	if st.Up {
		*absentAt = time.Time{}
		return ""
	}
	if failedUnit(st) {
		return st.Why
	}
	if s.coming(since) {
		*absentAt = time.Time{}
		return ""
	}
	if seen.PID == 0 && s.comm == "" && !s.wrotePIDFile() { // a daemon may take its time to write it
		return ""
	}
	if absentAt.IsZero() {
		*absentAt = time.Now()
	}
	if time.Since(*absentAt) < settle {
		return ""
	}
	if seen.PID != 0 {
		return fmt.Sprintf("%s came up and died", seen)
	}
	return st.Why
}

// wrotePIDFile tells whether a pid file names somebody who is gone: whoever wrote it since the start, when there was no such file.
func (s *Service) wrotePIDFile() bool {
	if s.spec.PIDFile == "" {
		return false
	}
	f, err := s.readPIDFile()
	return err == nil && f.pid != 0 && f.process.PID == 0
}

// coming tells whether a daemon of the preset's program has started since then that may still be loading: it leads its own session,
// which what is left of a dead one does not.
func (s *Service) coming(since uint64) bool {
	if s.comm == "" {
		return false
	}
	all, err := proc.List()
	if err != nil {
		return true // then the timeout has to do
	}
	for _, p := range all {
		if p.Start >= since && p.PID == p.Session && s.named(p) {
			return true
		}
	}
	return false
}

func portsHeld(st State) bool {
	for _, p := range st.Ports {
		if !p.Held || !p.Ours {
			return false
		}
	}
	return true
}

func portsMissing(st State) string {
	for _, p := range st.Ports {
		if !p.Held || !p.Ours {
			return p.String()
		}
	}
	return "its ports were not held in time"
}

// awaitFree waits until nobody listens where the service is to listen. What is left of an earlier master of ours is ended: it
// serves old code and would never let go.
func (s *Service) awaitFree(ctx context.Context, deadline time.Time) error {
	var bound []proc.Listener
	var err error
	ended := false
	free := proc.Await(ctx, time.Until(deadline), func() bool {
		if bound, err = s.bound(); err != nil || len(bound) == 0 {
			return true
		}
		if !ended {
			ended, err = s.endOrphans(bound)
		}
		return err != nil
	})
	switch {
	case err != nil:
		return s.errorf("%w", err)
	case free:
		return nil
	case ctx.Err() != nil:
		return s.errorf("not started: %w", context.Cause(ctx))
	}
	ports, _, err := s.ports(State{})
	if err != nil {
		return s.errorf("%w", err)
	}
	return s.errorf("not started: %s", held(ports)).Hint("end that process, or change listen in rel.toml")
}

// orphans are the processes that were seen as workers of this service and have lost their master: they have another parent now.
func (s *Service) orphans() []proc.Process {
	var found []proc.Process
	for _, k := range s.known {
		if now, err := proc.Lookup(k.PID); err == nil && now.Is(k) && now.PPID != k.PPID {
			found = append(found, k)
		}
	}
	return found
}

// endOrphans ends what an earlier master left, if that is what holds a port.
func (s *Service) endOrphans(bound []proc.Listener) (bool, error) {
	orphans := s.orphans()
	var pids []int
	for _, o := range orphans {
		pids = append(pids, o.PID)
	}
	sockets, err := proc.Listening(pids...)
	if err != nil {
		return false, err
	}
	for _, o := range orphans {
		for _, l := range bound {
			if slices.Contains(sockets[o.PID], l.Inode) {
				s.env.Warn(fmt.Sprintf("%s: %s is left of an earlier master and holds %s: ended", s.spec.Name, o, l.Addr))
				return true, proc.SignalAll(orphans, syscall.SIGTERM)
			}
		}
	}
	return false, nil
}

// bound are the sockets where the service is to listen.
func (s *Service) bound() ([]proc.Listener, error) {
	if len(s.spec.Listen) == 0 {
		return nil, nil
	}
	return proc.Bound(s.spec.Listen...)
}

func held(ports []Port) string {
	for _, p := range ports {
		if p.Held {
			return p.String()
		}
	}
	return ""
}
