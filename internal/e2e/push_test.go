package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/queue"
	"github.com/git-rel/rel/internal/release"
)

// pushesVariable is how many pushes TestPushKilled kills, where somebody wants more than pushesShort.
const (
	pushesVariable = "REL_TEST_PUSHES"
	pushesShort    = 20
)

// pushSite is a root with a repository of its own that is pushed to.
type pushSite struct {
	*site
	bare string
}

func newPushSite(t *testing.T, o options) *pushSite {
	t.Helper()
	s := &pushSite{site: newSite(t, o)}
	s.bare = filepath.Join(s.dir, "repo.git")
	path := filepath.Join(s.dir, "rel.toml")
	text, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, bytes.Replace(text, fmt.Appendf(nil, "repo = %q\n", s.repo), nil, 1), 0o644))
	s.want(release.ExitDone, "init")
	return s
}

// push starts a push in a session of its own, as a client on another machine has one.
func (s *pushSite) push(refs ...string) (*exec.Cmd, *bytes.Buffer) {
	s.t.Helper()
	said := &bytes.Buffer{}
	cmd := exec.Command("git", append([]string{"-C", s.repo, "push", s.bare}, refs...)...)
	cmd.Env = append(environ(), raceVariable+"="+raceSettings(s.rel))
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = said, said, time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	must(s.t, cmd.Start())
	return cmd, said
}

// quiet waits until nothing is at work in the root any more: no hook, no worker, nothing of git.
func (s *pushSite) quiet() {
	s.t.Helper()
	var left strings.Builder
	s.await("processes are left", func() bool {
		left.Reset()
		for _, p := range s.processes() {
			fmt.Fprintf(&left, "%d %s\n", p.PID, proc.Cmdline(p.PID))
		}
		return left.Len() == 0
	}, &left)
}

// accepted says whether git has a tag.
func (s *pushSite) accepted(tag string) bool {
	cmd := exec.Command("git", "-C", s.bare, "rev-parse", "--quiet", "--verify", "refs/tags/"+tag)
	cmd.Env = environ()
	return cmd.Run() == nil
}

// runsOf are the runs of the history that wanted a tag.
func (s *pushSite) runsOf(tag string) []release.Run {
	var found []release.Run
	for _, run := range s.historyOf() {
		if run.To == tag {
			found = append(found, run)
		}
	}
	return found
}

// Whoever of a push is killed, and when: a tag that git has accepted is in the history exactly once in the end, nothing is
// deployed twice, and no process is left. Nobody has to help, unless the watcher was killed too: then the next rel does.
func TestPushKilled(t *testing.T) {
	t.Parallel()
	tables := "[build]\nrun = 'for i in 1 2 3 4 5; do echo $i; sleep 0.01; done'\n"
	killedPushes(t, tables, pushesShort, victims...)
}

// killedPushes kills some of those that n pushes consist of.
func killedPushes(t *testing.T, tables string, n int, whoms ...string) *pushSite {
	t.Helper()
	if more, err := strconv.Atoi(os.Getenv(pushesVariable)); err == nil {
		n = more
	}
	s := newPushSite(t, options{noService: true, tables: tables})
	s.tag("v0.1")
	start := time.Now()
	cmd, said := s.push("v0.1")
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "live     v0.1") {
		t.Fatalf("%v\n%s", err, said)
	}
	usual := time.Since(start)
	random := rand.New(rand.NewPCG(uint64(n), 1))
	became := map[string]int{}
	for i := range n {
		tag := fmt.Sprintf("v1.%d", i)
		s.tag(tag)
		cmd, said := s.push(tag)
		whom := whoms[random.IntN(len(whoms))]
		time.Sleep(time.Duration(random.Int64N(int64(usual))))
		s.killOf(cmd, whom)
		_ = cmd.Wait() // it may have been killed
		became[whom+": "+s.settle(tag, whom == allOfThem, said)]++
	}
	t.Logf("one push takes %s; %v", usual, became)
	s.wantLive(s.lastLive())
	return s
}

// victims are those of a push that TestPushKilled kills.
var victims = []string{"client", "client", "hook", "receive-pack", "receive-pack and hook", "all but the watcher", allOfThem, "worker", "guardian, worker and client"}

// allOfThem are all but who does the work.
const allOfThem = "all and the watcher"

// killOf kills some of those that a push consists of.
func (s *pushSite) killOf(cmd *exec.Cmd, whom string) {
	for _, p := range s.processes() {
		line := proc.Cmdline(p.PID)
		worker, watcher := strings.Contains(line, " worker -C "), strings.Contains(line, "hook watch")
		hook := !watcher && strings.Contains(line, " hook p")
		switch {
		case strings.HasSuffix(whom, "hook") && hook,
			strings.HasPrefix(whom, "receive-pack") && !hook && strings.Contains(line, "receive-pack"),
			whom == "worker" && worker && strings.HasSuffix(line, "--guarded"),
			strings.HasPrefix(whom, "guardian") && worker,
			strings.HasPrefix(whom, "all") && !worker && (!watcher || whom == allOfThem):
			_ = proc.Signal(p, syscall.SIGKILL) // it may have ended
		}
	}
	if strings.HasPrefix(whom, "all") || strings.HasSuffix(whom, "client") {
		_ = syscall.Kill(cmd.Process.Pid, syscall.SIGKILL)
	}
}

// settle waits until nothing is left of a push, helps as a person would if that may be needed, and says what became of the tag.
func (s *pushSite) settle(tag string, mayHelp bool, said *bytes.Buffer) string {
	s.t.Helper()
	s.quiet()
	state := filepath.Join(s.dir, ".rel")
	helped := ""
	if left := s.unsettled(); left != "" {
		if !mayHelp {
			s.t.Fatalf("%s: nobody sees to %s\n%s", tag, left, said)
		}
		helped = ", recovered"
		s.start("recover").wait()
		s.quiet()
		if left := s.unsettled(); left != "" {
			s.t.Fatalf("%s: recovered, and nobody sees to %s\n%s", tag, left, said)
		}
	}
	_, bad, err := queue.List(state)
	must(s.t, err)
	runs := s.runsOf(tag)
	if !s.accepted(tag) {
		if len(runs) > 0 {
			s.t.Fatalf("%s: git has not accepted it: %+v\n%s", tag, runs, said)
		}
		return "not accepted" + helped
	}
	if len(runs) != 1 || len(bad) > 0 {
		s.t.Fatalf("%s: accepted, and in the history %d times: %+v, %v\n%s", tag, len(runs), runs, bad, said)
	}
	if runs[0].By != "tester" {
		s.t.Fatalf("%s: by %s", tag, runs[0].By)
	}
	if s.byWatcher(tag) {
		helped += ", by the watcher"
	}
	return string(runs[0].Outcome) + helped
}

// unsettled is what of pushes waits for somebody, empty where nothing does.
func (s *pushSite) unsettled() string {
	state := filepath.Join(s.dir, ".rel")
	rec, _, err := journal.Read(state)
	must(s.t, err)
	waiting, _, err := queue.List(state)
	must(s.t, err)
	tentative, err := filepath.Glob(filepath.Join(state, "queue", ".tentative-*"))
	must(s.t, err)
	if len(waiting)+len(tentative) > 0 || rec.Phase != journal.Finished {
		return fmt.Sprintf("%+v, %q, phase %s", waiting, tentative, rec.Phase)
	}
	return ""
}

// byWatcher says whether post-receive did not queue the request of a tag.
func (s *pushSite) byWatcher(tag string) bool {
	taken, err := filepath.Glob(filepath.Join(s.dir, ".rel", "queue", ".taken-*"))
	must(s.t, err)
	return slices.ContainsFunc(taken, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.Contains(string(text), `"refs/tags/`+tag+`"`)
	})
}

// lastLive is the tag of the last run that ended live.
func (s *pushSite) lastLive() string {
	for _, run := range s.historyOf() {
		if run.Now == run.Release && run.Release != "" {
			return run.To
		}
	}
	return ""
}

// Twenty pushes at once: each is accepted and in the history once, live or superseded; what was queued last is live in the end.
func TestTwentyPushes(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: "[build]\nrun = 'sleep 0.1'\n"})
	var tags []string
	for i := range 20 {
		tags = append(tags, fmt.Sprintf("v1.%d", i))
	}
	s.tag(tags...)
	var cmds []*exec.Cmd
	var said []*bytes.Buffer
	for _, tag := range tags {
		cmd, text := s.push(tag)
		cmds, said = append(cmds, cmd), append(said, text)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%s: %v\n%s", tags[i], err, said[i])
		}
	}
	s.quiet()
	outcomes := map[release.Outcome]int{}
	for i, tag := range tags {
		runs := s.runsOf(tag)
		if len(runs) != 1 || runs[0].Outcome != release.Live && runs[0].Outcome != release.Superseded {
			t.Errorf("%s: %+v\n%s", tag, runs, said[i])
			continue
		}
		outcomes[runs[0].Outcome]++
		s.says(said[i].String(), fmt.Sprintf("%s: %s, run %d: ", tag, runs[0].Outcome, runs[0].Run))
	}
	last := s.lastRun()
	if last.Outcome != release.Live {
		t.Errorf("the last request did not go live: %+v", last)
	}
	s.wantLive(last.To)
	t.Logf("%v", outcomes)
}

// A rollback cancels a pushed run that has touched nothing, and goes before what waits in the queue, which then goes on.
func TestRollbackBeforeQueue(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: gated})
	s.tag("v1.0", "v1.1", "v1.2", "v1.3")
	for _, tag := range []string{"v1.0", "v1.1"} {
		cmd, said := s.push(tag)
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	s.shut("build")
	second, secondSaid := s.push("v1.2")
	s.awaitAt("build")
	third, thirdSaid := s.push("v1.3")
	s.await("v1.3 does not wait", func() bool {
		waiting, _, err := queue.List(filepath.Join(s.dir, ".rel"))
		return err == nil && len(waiting) == 2
	})
	s.says(s.want(release.ExitDone, "rollback"), "cancelled run 3 (activate v1.2, by tester)", "live     v1.0 (was v1.1)")
	s.opened("build")
	must(t, second.Wait())
	must(t, third.Wait())
	s.says(secondSaid.String(), "v1.2: cancelled, run 3")
	s.says(thirdSaid.String(), "v1.3: live, run 5")
	s.quiet()
	s.wantLive("v1.3")
}

// A pusher whose connection goes is no hindrance: the run goes on to its end, and the hook with it.
func TestPusherGone(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: gated})
	s.tag("v1.0")
	s.shut("build")
	cmd, _ := s.push("v1.0")
	s.awaitAt("build")
	must(t, syscall.Kill(-cmd.Process.Pid, syscall.SIGHUP)) // client, receive-pack and hook: the connection is gone
	_ = cmd.Wait()
	s.opened("build")
	s.quiet()
	s.wantLive("v1.0")
	if runs := s.runsOf("v1.0"); len(runs) != 1 || runs[0].Outcome != release.Live {
		t.Errorf("%+v", runs)
	}
}

// When all of a push are gone but its watcher, and then those who do the work too, the watcher sees that the request comes to its end.
func TestWatcherStays(t *testing.T) {
	t.Parallel()
	s := newPushSite(t, options{noService: true, tables: gated})
	s.tag("v1.0")
	s.shut("build")
	cmd, said := s.push("v1.0")
	s.awaitAt("build")
	s.killOf(cmd, "receive-pack and hook")
	_ = cmd.Wait() // its connection is gone
	s.await("more than the worker and the watcher is left", func() bool {
		return !slices.ContainsFunc(s.processes(), func(p proc.Process) bool {
			line := proc.Cmdline(p.PID)
			return strings.Contains(line, "receive-pack") || strings.Contains(line, "hook p")
		})
	})
	s.killOf(cmd, "guardian and worker")
	s.opened("build")
	if became := s.settle("v1.0", false, said); became != string(release.Interrupted) {
		t.Error(became)
	}
}
