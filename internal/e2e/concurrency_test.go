package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// Two activations at once: one goes on, the other is told who holds the lock; or waits, if it is asked to.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{tables: gated})
	s.tag("v1.0", "v1.1", "v1.2")
	s.want(release.ExitDone, "activate", "v1.0")
	s.shut("build")
	first := s.start("activate", "v1.1")
	s.awaitAt("build")
	said := s.want(release.ExitLocked, "activate", "v1.2")
	holder, _, found := s.worker()
	if !found {
		t.Fatal(first)
	}
	s.says(said, "run 2", "activate v1.1", "by tester", "step build", fmt.Sprintf("pid %d", holder.PID), "--wait")
	s.says(s.want(release.ExitLocked, "activate", "v1.2", "--wait", "100ms"), "run 2")
	s.says(s.want(release.ExitLocked, "recover"), "run 2")
	second := s.start("activate", "v1.2", "--wait", "60s")
	s.await("two guardians and two workers", func() bool { return len(s.workers()) == 4 })
	s.opened("build")
	for _, c := range []*command{first, second} {
		if c.wait() != release.ExitDone {
			t.Fatal(c)
		}
	}
	s.says(second.err.String(), "waiting", "run 2")
	s.wantLive("v1.2")
	if runs := s.historyOf(); len(runs) != 3 || runs[0].From != "v1.1" || runs[0].To != "v1.2" {
		t.Errorf("%+v", runs)
	}
}

// Twenty at once: one wins, and all others are told who holds the lock.
func TestTwentyAtOnce(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.tables = gated
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.want(release.ExitDone, "activate", "v1.0")
		s.shut("build")
		var all []*command
		for range 20 {
			all = append(all, s.start("activate", "v1.1"))
		}
		var left []*command
		s.await("19 that lose", func() bool {
			left = nil
			for _, c := range all {
				if !c.ended() {
					left = append(left, c)
				}
			}
			return len(left) == 1
		})
		s.awaitAt("build")
		s.opened("build")
		for _, c := range all {
			switch code := c.wait(); {
			case c == left[0] && code == release.ExitDone:
			case c != left[0] && code == release.ExitLocked:
				s.says(c.err.String(), "another run holds the lock")
			default:
				t.Error(c)
			}
		}
		s.wantLive("v1.1")
		s.wantNoWorker()
		if runs := s.historyOf(); len(runs) != 2 {
			t.Errorf("%+v", runs)
		}
	})
}

// Twenty at once that wait: each gets its turn, and its own number.
func TestTwentyWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{tables: gated})
	s.tag("v1.0", "v1.1")
	s.want(release.ExitDone, "activate", "v1.0")
	w := s.watch()
	var all []*command
	for i := range 20 {
		all = append(all, s.start("activate", fmt.Sprintf("v1.%d", i%2), "--wait", "60s"))
	}
	for _, c := range all {
		if c.wait() != release.ExitDone {
			t.Fatal(c)
		}
	}
	w.end(t)
	runs := s.historyOf()
	for i, run := range runs {
		if run.Run != len(runs)-i || run.Outcome != release.Live {
			t.Errorf("%+v", run)
		}
	}
	if len(runs) != 21 {
		t.Errorf("%d runs, want 21", len(runs))
	}
	s.wantLive(runs[0].To)
	s.wantNoWorker()
}

// A rollback does not wait for a long build: it cancels it.
func TestRollbackCancels(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.tables = gated
		s := newSite(t, o)
		s.tag("v1.0", "v1.1", "v1.2")
		s.want(release.ExitDone, "activate", "v1.0")
		s.want(release.ExitDone, "activate", "v1.1")
		s.shut("build")
		long := s.start("activate", "v1.2")
		s.awaitAt("build")
		s.want(release.ExitDone, "rollback")
		s.wantLive("v1.0")
		if long.wait() != release.ExitCancelled {
			t.Error(long)
		}
		runs := s.historyOf()
		if len(runs) != 4 || runs[0].Command != "rollback" || runs[1].Outcome != release.Cancelled {
			t.Errorf("%+v", runs)
		}
		if states := s.states(); states["v1.2"] != "unstaged" {
			t.Error(states)
		}
		s.wantNoWorker()
	})
}

// A rollback does not cancel what is past the switch: it says who is at work, or waits.
func TestRollbackAfterSwitch(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{restart: "stop-start", tables: gated})
	s.tag("v1.0", "v1.1")
	s.want(release.ExitDone, "activate", "v1.0")
	s.shut("after_switch")
	forth := s.start("activate", "v1.1")
	s.awaitAt("after_switch")
	s.says(s.want(release.ExitLocked, "rollback"), "run 2")
	back := s.start("rollback", "--wait", "60s")
	s.await("both are there", func() bool { return len(s.workers()) == 4 })
	s.opened("after_switch")
	if forth.wait() != release.ExitDone || back.wait() != release.ExitDone {
		t.Fatal(forth, back)
	}
	s.wantLive("v1.0")
}

// Two roots that share a service take turns: the second does not touch it while a run of the first is at it.
func TestSharedService(t *testing.T) {
	t.Parallel()
	a := newSite(t, options{restart: "stop-start", tables: gated})
	a.tag("v1.0", "v1.1")
	a.want(release.ExitDone, "activate", "v1.0")
	b := newSite(t, options{restart: "stop-start", share: a, directory: true})
	b.tag("v1.0")
	a.shut("after_switch")
	first := a.start("activate", "v1.1")
	a.awaitAt("after_switch")
	second := b.start("activate", "v1.0")
	b.await("the second has not checked", func() bool { return b.did(1, release.EventDone, release.StepCheck) != time.Time{} })
	if phase := b.phase(); phase != journal.Begun {
		t.Errorf("the second is in phase %s while the service is the first one's", phase)
	}
	a.opened("after_switch")
	if first.wait() != release.ExitDone {
		t.Fatal(first)
	}
	if second.wait() != release.ExitDone {
		t.Fatal(second, b.story())
	}
	ended, switched := a.did(2, release.EventDone, release.StepHealth), b.did(1, release.EventStep, release.StepSwitch)
	if !switched.After(ended) {
		t.Errorf("the second switched at %s, before the first was done at %s", switched, ended)
	}
	b.wantLive("v1.0")
}

// did is when a run's log first tells of a step; the zero time if it does not.
func (s *site) did(run int, kind release.EventKind, step release.Step) (at time.Time) {
	_ = worker.ReadLog(filepath.Join(s.dir, ".rel"), run, func(e release.Event) { // there may be none yet
		if at.IsZero() && e.Kind == kind && e.Step == step {
			at = e.Time
		}
	})
	return at
}
