package e2e

import (
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// A hold refuses what goes forward, and never the way back.
func TestHold(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.tag("v1.0", "v1.1", "v1.2")
	s.want(release.ExitDone, "activate", "v1.0")
	s.want(release.ExitDone, "activate", "v1.1")
	s.want(release.ExitDone, "hold", "until Monday")
	s.says(s.want(release.ExitRefused, "activate", "v1.2"), "held by tester", "until Monday", "rel hold --off")
	s.wantLive("v1.1")
	s.want(release.ExitDone, "rollback")
	s.wantLive("v1.0")
	s.says(s.want(release.ExitDone, "status"), "until Monday")
	s.want(release.ExitDone, "hold", "--off")
	s.want(release.ExitDone, "activate")
	s.wantLive("v1.2")
}

// A release that has to be confirmed stays when it is, and goes when it is not.
func TestConfirmWithin(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.want(release.ExitDone, "activate", "v1.0")
		s.says(s.want(release.ExitError, "confirm"), "no run waits to be confirmed")
		s.says(s.want(release.ExitReverted, "activate", "v1.1", "--confirm-within", "300ms"), "no rel confirm came")
		s.wantLive("v1.0")

		c := s.start("activate", "v1.1", "--confirm-within", "60s")
		if !c.awaitPhase(journal.Confirming) {
			t.Fatal(c)
		}
		s.wantLive("v1.1")
		s.want(release.ExitDone, "confirm")
		if c.wait() != release.ExitDone {
			t.Fatal(c)
		}
		s.wantLive("v1.1")
		if run := s.lastRun(); run.Outcome != release.Live {
			t.Errorf("%+v", run)
		}
	})
}

// The time to confirm goes on when the worker is killed meanwhile.
func TestConfirmAfterKill(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		within, tag, exit := "60s", "v1.1", release.ExitDone
		if !confirmed {
			within, tag, exit = "5s", "v1.0", release.ExitReverted
		}
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			s.tag("v1.0", "v1.1")
			s.want(release.ExitDone, "activate", "v1.0")
			c := s.start("activate", "v1.1", "--confirm-within", within)
			if !c.awaitPhase(journal.Confirming) {
				t.Fatal(c)
			}
			worker, _, found := s.worker()
			if !found {
				t.Fatal("no worker")
			}
			must(t, proc.Signal(worker, syscall.SIGKILL))
			if confirmed {
				s.want(release.ExitDone, "confirm")
			}
			if got := c.wait(); got != exit {
				t.Errorf("exit code %d, want %d\n%s", got, exit, c)
			}
			s.wantLive(tag)
		})
	}
}

// Where everything of a run that waits is killed, a rollback does not wait for its answer: it is the answer.
func TestRollbackOfAKilledWait(t *testing.T) {
	s := newSite(t, options{})
	s.tag("v1.0", "v1.1", "v1.2")
	s.want(release.ExitDone, "activate", "v1.0")
	s.want(release.ExitDone, "activate", "v1.1")
	c := s.start("activate", "v1.2", "--confirm-within", "10m")
	if !c.awaitPhase(journal.Confirming) {
		t.Fatal(c)
	}
	worker, guardian, found := s.worker()
	if !found {
		t.Fatal("no worker")
	}
	must(t, c.cmd.Process.Kill())
	must(t, proc.SignalAll([]proc.Process{guardian, worker}, syscall.SIGKILL))
	c.wait()
	s.says(s.want(release.ExitDone, "rollback"), "v1.1 is live already")
	s.wantLive("v1.1")
}
