package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// A worker that is killed while the service is stopped leaves it up again, without anybody's hand: its guardian sees to it, or who
// followed the run.
func TestKilledBetweenStopAndStart(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.restart, o.tables = "stop-start", gated
		s := newSite(t, o)
		s.tag("v1.0", "v1.1", "v1.2")
		s.want(release.ExitDone, "activate", "v1.0")
		for _, one := range []struct {
			whom, command, tag string
		}{
			{"worker", "activate", "v1.1"},
			{"worker and guardian", "activate", "v1.2"},
			{"worker", "rollback", "v1.1"},
			{"worker and guardian", "rollback", "v1.0"},
		} {
			s.shut("after_switch")
			c := s.start(one.command, one.tag)
			s.awaitAt("after_switch")
			if _, err := s.answer(); err == nil {
				t.Fatalf("%s: the service is not stopped", one.whom)
			}
			worker, guardian, found := s.worker()
			if !found {
				t.Fatal(c)
			}
			if one.whom != "worker" {
				must(t, proc.Signal(guardian, syscall.SIGKILL))
			}
			must(t, proc.Signal(worker, syscall.SIGKILL))
			s.opened("after_switch") // should the recovery run the step again
			if code := c.wait(); code != release.ExitDone {
				t.Fatalf("%s: %s", one.whom, c)
			}
			s.wantNoWorker()
			s.wantLive(one.tag)
			run := s.lastRun()
			if run.Outcome != release.Interrupted || run.To != one.tag || run.Note == "" {
				t.Errorf("%s: %+v", one.whom, run)
			}
		}
	})
}

// Where nobody is left who followed, the next command brings the service up again. One that only looks says what is to be done.
func TestAllKilledBetweenStopAndStart(t *testing.T) {
	for name, next := range map[string][]string{
		"recover": {"recover"}, "activate": {"activate", "v1.2"}, "rollback": {"rollback", "v1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{restart: "stop-start", directory: true, tables: gated})
			s.tag("v1.0", "v1.1", "v1.2")
			s.want(release.ExitDone, "activate", "v1.0")
			s.shut("after_switch")
			c := s.start("activate", "v1.1")
			s.awaitAt("after_switch")
			worker, guardian, found := s.worker()
			if !found {
				t.Fatal(c)
			}
			must(t, c.cmd.Process.Kill())
			must(t, proc.Signal(guardian, syscall.SIGKILL))
			must(t, proc.Signal(worker, syscall.SIGKILL))
			s.opened("after_switch")
			c.wait()
			s.wantNoWorker()
			s.says(s.want(release.ExitDone, "status"), "crashed", "rel recover")
			s.want(release.ExitDone, next...)
			tag := "v1.1"
			if len(next) > 1 {
				tag = next[1]
			}
			s.wantLive(tag)
			s.says(s.want(release.ExitDone, "recover"), "nothing to recover")
		})
	}
}

// A lost terminal does nothing to the run, wherever it is.
func TestHangup(t *testing.T) {
	for _, gate := range []string{"build", "after_switch"} {
		t.Run(gate, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{restart: "stop-start", tables: gated})
			s.tag("v1.0", "v1.1")
			s.want(release.ExitDone, "activate", "v1.0")
			s.shut(gate)
			c := s.startAs(&syscall.SysProcAttr{Setsid: true}, "activate", "v1.1")
			s.awaitAt(gate)
			must(t, syscall.Kill(-c.pid(), syscall.SIGHUP)) // the session has this one process group
			c.wait()
			s.opened(gate)
			s.want(release.ExitDone, "attach")
			s.wantLive("v1.1")
			if run := s.lastRun(); run.Outcome != release.Live {
				t.Errorf("%+v", run)
			}
			s.wantNoWorker()
		})
	}
}

// Ctrl-C before anything is touched cancels, and leaves nothing.
func TestInterruptBefore(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.tables = gated
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.want(release.ExitDone, "activate", "v1.0")
		s.shut("build")
		c := s.start("activate", "v1.1")
		s.awaitAt("build")
		must(t, c.cmd.Process.Signal(os.Interrupt))
		if code := c.wait(); code != release.ExitCancelled {
			t.Fatal(c)
		}
		s.wantLive("v1.0")
		s.wantNoWorker()
		if run := s.lastRun(); run.Outcome != release.Cancelled || run.Exit != release.ExitCancelled {
			t.Errorf("%+v", run)
		}
		entries, err := os.ReadDir(filepath.Join(s.dir, "releases"))
		must(t, err)
		held := 1
		if o.directory {
			held = 0 // the live release is at the live path
		}
		if len(entries) != held {
			t.Errorf("left in releases: %v", entries)
		}
		for _, p := range s.processes() {
			if s.phase() != journal.Finished || p.Comm == "sh" {
				t.Errorf("left: %s %s", p, proc.Cmdline(p.PID))
			}
		}
		s.opened("build")
		s.want(release.ExitDone, "activate", "v1.1")
		s.wantLive("v1.1")
	})
}

// Ctrl-C after the switch only ends the following: the run goes on, and it is said how to follow it again.
func TestInterruptAfter(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{restart: "stop-start", tables: gated})
	s.tag("v1.0", "v1.1")
	s.want(release.ExitDone, "activate", "v1.0")
	s.shut("after_switch")
	c := s.start("activate", "v1.1")
	s.awaitAt("after_switch")
	must(t, c.cmd.Process.Signal(os.Interrupt))
	if code := c.wait(); code != release.ExitCancelled {
		t.Fatal(c)
	}
	s.says(c.err.String(), "goes on", "rel attach 2")
	attached := s.start("attach", "2")
	worker, _, found := s.worker()
	if !found {
		t.Fatal("the worker is gone")
	}
	must(t, syscall.Kill(worker.PID, syscall.SIGTERM)) // nor does this end it from here on
	s.opened("after_switch")
	if code := attached.wait(); code != release.ExitDone {
		t.Fatal(attached)
	}
	s.wantLive("v1.1")
	s.wantNoWorker()
}

// --detach returns at once with the run's number, and the run goes on by itself.
func TestDetach(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{tables: gated})
	s.tag("v1.0")
	s.shut("build")
	var detached struct{ Run int }
	s.ask(&detached, "activate", "v1.0", "--detach")
	s.awaitAt("build")
	s.opened("build")
	s.want(release.ExitDone, "attach", fmt.Sprint(detached.Run))
	s.wantLive("v1.0")
}
