package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// modes are the two ways of the live path, each with the restart that goes with it.
func modes() map[string]options {
	return map[string]options{"symlink": {}, "directory": {directory: true, restart: "stop-start"}}
}

// inModes runs a test in both modes, side by side.
func inModes(t *testing.T, test func(t *testing.T, o options)) {
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, o)
		})
	}
}

// Going back goes further back each time, and never forward to what was left.
func TestBackTwice(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tag("v1.2", "v1.3", "v1.4")
		for _, tag := range []string{"v1.2", "v1.3", "v1.4"} {
			s.want(release.ExitDone, "activate", tag)
			s.wantLive(tag)
		}
		for _, tag := range []string{"v1.3", "v1.2"} {
			s.want(release.ExitDone, "rollback")
			s.wantLive(tag)
		}
		s.says(s.want(release.ExitNotFound, "rollback"), "no release was live before it", "rel list")
		s.says(s.want(release.ExitDone, "activate"), "v1.2 is live already")
		s.wantLive("v1.2")
		s.want(release.ExitDone, "activate", "v1.4") // by name it is taken
		s.wantLive("v1.4")
		s.want(release.ExitDone, "rollback")
		s.wantLive("v1.2")
		s.tag("v1.5")
		s.want(release.ExitDone, "activate")
		s.wantLive("v1.5")
		if states := s.states(); states["v1.5"] != "live" || states["v1.2"] != "previous" || states["v1.4"] != "once-live" {
			t.Error(states)
		}
	})
}

// The first activation of all fails: the live path is absent again, the service down as it was, and the text says what to do.
func TestFirstFails(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tagWith("v1.0", dyingPage)
		said := s.want(release.ExitFailed, "activate", "v1.0")
		s.says(said, "a person is needed, nothing is at the live path", "rel log 1", "rel activate", "till") // the error log's line is shown too
		if _, err := os.Lstat(s.live); err == nil {
			t.Errorf("%s is there", s.live)
		}
		s.wantDown()
		if run := s.lastRun(); run.Outcome != release.Failed || run.Exit != release.ExitFailed || run.Now != "" {
			t.Errorf("%+v", run)
		}
		if states := s.states(); states["v1.0"] != "failed" {
			t.Error(states)
		}
		s.says(s.want(release.ExitNotFound, "activate"), "each was left by a rollback or failed", "rel activate v1.0")
		s.says(s.want(release.ExitNotFound, "rollback"), "nothing is live")
		s.tag("v1.1")
		s.want(release.ExitDone, "activate")
		s.wantLive("v1.1")
	})
}

// A release that dies at start is reverted, is not chosen again by itself, and the way back from there passes it over.
func TestReverted(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.tagWith("v1.2", dyingPage)
		s.want(release.ExitDone, "activate", "v1.0")
		s.want(release.ExitDone, "activate", "v1.1")
		s.says(s.want(release.ExitReverted, "activate"), "v1.2", "till", "rel log 3", "v1.1 is live again and healthy")
		s.wantLive("v1.1")
		s.says(s.want(release.ExitDone, "activate"), "v1.1 is live already")
		s.want(release.ExitDone, "rollback")
		s.wantLive("v1.0")
		s.want(release.ExitReverted, "rollback", "v1.2")
		s.wantLive("v1.0")
	})
}

// A release that was live and was pruned is exported again.
func TestBackToPruned(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.toml = "keep = 0\n"
		s := newSite(t, o)
		s.tag("v1.0", "v1.1", "v1.2")
		for _, tag := range []string{"v1.0", "v1.1", "v1.2"} {
			s.want(release.ExitDone, "activate", tag)
		}
		if states := s.states(); states["v1.0"] != "pruned" {
			t.Fatal(states)
		}
		s.says(s.want(release.ExitDone, "rollback", "v1.0"), "export")
		s.wantLive("v1.0")
		s.want(release.ExitDone, "verify")
	})
}

// A tag that was moved is refused until --force; a rollback goes to what was live.
func TestMovedTag(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.want(release.ExitDone, "activate", "v1.0")
		s.want(release.ExitDone, "activate", "v1.1")
		moved := "TAG: another shop, {{.version}}\n"
		s.tagWith("v1.0", moved)
		s.says(s.want(release.ExitRefused, "activate", "v1.0"), "v1.0: names", "was released as", "--force")
		s.wantLive("v1.1")
		s.says(s.want(release.ExitRefused, "stage", "v1.0"), "v1.0: names")
		s.want(release.ExitDone, "activate", "v1.0", "--force")
		page, err := os.ReadFile(filepath.Join(s.live, "page.tmpl"))
		must(t, err)
		if want := files("v1.0", moved)["page.tmpl"]; string(page) != want {
			t.Errorf("%s, want %s", page, want)
		}
		if got, err := s.answer(); err != nil || got != "v1.0" {
			t.Error(got, err)
		}
		s.want(release.ExitDone, "verify")
		s.want(release.ExitDone, "rollback")
		s.wantLive("v1.1")
	})
}

// Where the release to go back to was changed by somebody, it is exported again.
func TestBackToDrifted(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		s := newSite(t, o)
		s.tag("v1.0", "v1.1")
		s.want(release.ExitDone, "activate", "v1.0")
		old := s.lastRun().Release
		s.want(release.ExitDone, "activate", "v1.1")
		must(t, os.WriteFile(filepath.Join(s.dir, "releases", string(old), "lib/part0/0.txt"), []byte("patched by hand\n"), 0o644))
		must(t, os.Remove(filepath.Join(s.dir, "releases", string(old), "lib/part1/1.txt")))
		s.says(s.want(release.ExitRefused, "verify", "v1.0"), "lib/part0/0.txt", "lib/part1/1.txt")
		s.says(s.want(release.ExitDone, "rollback"), "has changed since it was exported",
			"lib/part0/0.txt: content, lib/part1/1.txt: missing", "exporting it again")
		s.wantLive("v1.0")
		if now := s.lastRun().Now; now == old {
			t.Error("the drifted release is live")
		}
		s.want(release.ExitDone, "rollback", "v1.1") // what is on disk stays whole
		s.wantLive("v1.1")
	})
}

// A release that a process still uses is kept, and said so, until the process is gone.
func TestPruneInUse(t *testing.T) {
	inModes(t, func(t *testing.T, o options) {
		o.toml = "keep = 0\n"
		s := newSite(t, o)
		s.tag("v1.0", "v1.1", "v1.2", "v1.3")
		s.want(release.ExitDone, "activate", "v1.0")
		user := exec.Command("sleep", "600")
		user.Dir = s.live
		must(t, user.Start())
		t.Cleanup(func() {
			_ = user.Process.Kill() // it may have ended
			_ = user.Wait()
		})
		s.want(release.ExitDone, "activate", "v1.1")
		s.says(s.want(release.ExitDone, "activate", "v1.2"), "kept", "sleep 600")
		s.says(s.want(release.ExitDone, "activate", "v1.3"), "kept", "sleep 600")
		if states := s.states(); states["v1.0"] != "once-live" || states["v1.1"] != "pruned" {
			t.Error(states)
		}
		must(t, user.Process.Kill())
		_ = user.Wait() // killed
		s.want(release.ExitDone, "prune")
		if states := s.states(); states["v1.0"] != "pruned" {
			t.Error(states)
		}
		s.wantLive("v1.3")
	})
}

// wantDown wants nobody to listen where the service does.
func (s *site) wantDown() {
	s.t.Helper()
	listeners, err := proc.Bound(s.addr)
	must(s.t, err)
	if len(listeners) > 0 {
		s.t.Errorf("%s is up: %+v", s.addr, listeners)
	}
	var status struct{ Services []struct{ Up bool } }
	s.ask(&status, "status")
	if len(status.Services) != 1 || status.Services[0].Up {
		s.t.Errorf("%+v", status)
	}
	s.wantNoWorker()
	if left := s.processes(); len(left) > 0 {
		s.t.Errorf("processes are left: %v", left)
	}
}
