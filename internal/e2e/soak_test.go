package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// long is a soak that no test waits for: what is wrong ends it.
const long = "soak = \"10m\"\n"

// What is bad only after it has answered 200 is reverted, and said in one sentence.
func TestBadAfterItAnswers(t *testing.T) {
	for _, c := range []struct{ fault, health, said string }{
		{"logs", long + `log = "revert"`, "v1.1: shop: a new kind of error in @RUN@/faulty.log: Traceback (most recent call last):"},
		{"dies", long, "v1.1: it was healthy, and then: shop: it is down: "},
		{"lost", long, "v1.1: it was healthy, and then: GET http://@ADDR@/: 500, 200 expected, 2 times in a row"},
		{"version", `timeout = "3s"`, `v1.1: health: GET http://@ADDR@/: "v0.9" answers, v1.1 expected, after `},
		{"slow", `timeout = "3s"`, "v1.1: health: GET http://@ADDR@/: connection refused, after "},
	} {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			s := newFaulty(t, options{}, "soak = \"0s\"\ntimeout = \"60s\"\n")
			s.tagFault("v1.0", "")
			s.tagFault("v1.1", c.fault)
			s.want(release.ExitDone, "activate", "v1.0")
			s.setHealth(c.health)
			activation := s.start("activate", "v1.1")
			if strings.HasPrefix(c.health, long) {
				if !activation.awaitPhase(journal.Soaking) {
					t.Fatal(activation)
				}
				must(t, os.WriteFile(filepath.Join(s.run, badNow), nil, 0o644))
			}
			if activation.wait() != release.ExitReverted {
				t.Fatal(activation)
			}
			said := activation.String()
			s.says(said, "v1.0 is live again and healthy", "rel log 2")
			run := s.lastRun()
			if want := strings.NewReplacer("@RUN@", s.run, "@ADDR@", s.addr).Replace(c.said); !strings.HasPrefix(run.Error, want) ||
				strings.Contains(run.Error, "\n") || run.Outcome != release.Reverted {
				t.Errorf("%q, want %q\n%s", run.Error, want, said)
			}
			s.wantVersion("v1.0")
			s.wantRunning(1)
		})
	}
}

// setHealth replaces what newFaulty was told of [health].
func (s *site) setHealth(lines string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "rel.toml")
	text, err := os.ReadFile(path)
	must(s.t, err)
	head, _, _ := strings.Cut(string(text), "interval = \"10ms\"\n")
	must(s.t, os.WriteFile(path, []byte(head+"interval = \"10ms\"\n"+lines+"\n"), 0o644))
}

// A new kind of error is told, and kept in the history; the release stays, since the log may be a neighbour's too. The same error as
// ever is no news.
func TestNewErrorsWarn(t *testing.T) {
	t.Parallel()
	s := newFaulty(t, options{}, "soak = \"0s\"\ntimeout = \"60s\"\n")
	s.tagFault("v1.0", "")
	s.tagFault("v1.1", "")
	s.tagFault("v1.2", "noisy")
	s.want(release.ExitDone, "activate", "v1.0")
	s.setHealth("timeout = \"60s\"\nsoak = \"100ms\"\n")
	said := s.want(release.ExitDone, "activate", "v1.1")
	if strings.Contains(said, "warning") {
		t.Errorf("%s", said)
	}
	s.says(said, "soak", "healthy all the time, no new kind of error in "+s.run+"/faulty.log")
	s.setHealth("timeout = \"60s\"\nsoak = \"1ms\"\n")
	said = s.want(release.ExitDone, "activate", "v1.2")
	s.says(said, "warning: shop: a new kind of error in "+s.run+"/faulty.log: Traceback", "rel err shop", "; new errors in "+s.run)
	if run := s.lastRun(); run.Outcome != release.Live || run.Note != "new errors in "+s.run+"/faulty.log" || len(run.Log) == 0 ||
		!strings.HasPrefix(run.Log[0], "Traceback") {
		t.Errorf("%+v", run)
	}
	s.wantVersion("v1.2")
	s.says(s.want(release.ExitDone, "err", "--color", "always"), "\x1b[31mTraceback (most recent call last):\x1b[0m\n  File", "\x1b[31mCartError")
	var logs []struct {
		Lines    []string
		Errors   int
		Warnings int
	}
	s.ask(&logs, "err")
	if len(logs) != 1 || logs[0].Errors < 6 || len(logs[0].Lines) <= logs[0].Errors || logs[0].Warnings != 0 {
		t.Errorf("%+v", logs)
	}
	s.setHealth("timeout = \"60s\"\nlog = \"off\"\n") // then nothing is waited for
	if said := s.want(release.ExitDone, "activate", "v1.1"); strings.Contains(said, "soak") {
		t.Errorf("%s", said)
	}
}

// A worker that is killed while its release soaks leaves it live, if it is healthy.
func TestKilledInASoak(t *testing.T) {
	t.Parallel()
	s := newFaulty(t, options{}, "timeout = \"60s\"\n"+long)
	s.tagFault("v1.0", "")
	c := s.start("activate", "v1.0")
	if !c.awaitPhase(journal.Soaking) {
		t.Fatal(c)
	}
	worker, _, found := s.worker()
	if !found {
		t.Fatal("no worker")
	}
	must(t, proc.Signal(worker, syscall.SIGKILL))
	if c.wait() != release.ExitDone {
		t.Error(c)
	}
	s.wantVersion("v1.0")
	if run := s.lastRun(); run.Outcome != release.Interrupted || run.Note != "v1.0 is live and was confirmed" {
		t.Errorf("%+v", run)
	}
}

// A release that soaks is left by a rollback at once.
func TestRollbackOfASoak(t *testing.T) {
	t.Parallel()
	s := newFaulty(t, options{}, "soak = \"0s\"\ntimeout = \"60s\"\n")
	for _, tag := range []string{"v1.0", "v1.1", "v1.2"} {
		s.tagFault(tag, "")
	}
	s.want(release.ExitDone, "activate", "v1.0")
	s.want(release.ExitDone, "activate", "v1.1")
	s.setHealth("timeout = \"60s\"\n" + long)
	c := s.start("activate", "v1.2")
	if !c.awaitPhase(journal.Soaking) {
		t.Fatal(c)
	}
	s.says(s.want(release.ExitDone, "rollback"), "was not confirmed yet, and was told to go back", "v1.1 is live already")
	if c.wait() != release.ExitReverted {
		t.Error(c)
	}
	s.says(c.err.String(), "soak     a rollback came", "v1.2: v1.1 is live again and healthy")
	s.wantVersion("v1.1")
	s.want(release.ExitDone, "rollback") // which does not soak
	s.wantVersion("v1.0")
}
