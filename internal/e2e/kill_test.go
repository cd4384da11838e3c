package e2e

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// The kills of TestKill, in all, and of its short form.
const (
	kills      = 200
	killsShort = 24
)

// lanes are the roots that are killed side by side for each mode and command: most of a run is waiting.
const lanes = 2

// TestKill kills runs at random moments. Whatever dies, the live path always leads to a whole release, and who is left, or the next
// command, brings the run to an outcome and the service to serve what is live.
func TestKill(t *testing.T) {
	each := kills / (4 * lanes)
	if testing.Short() {
		each = killsShort / (4 * lanes)
	}
	var all sync.WaitGroup // not t.Parallel, which allows no more of them than there are processors
	for mode, o := range modes() {
		for _, name := range []string{"activate", "rollback"} {
			for lane := range lanes {
				all.Go(func() {
					t.Run(fmt.Sprintf("%s/%s/%d", mode, name, lane), func(t *testing.T) {
						hash := fnv.New64()
						fmt.Fprint(hash, t.Name())
						killRuns(t, o, name, rand.New(rand.NewPCG(hash.Sum64(), 1)), each)
					})
				})
			}
		}
	}
	all.Wait()
}

// killer kills the runs of one root.
type killer struct {
	*site
	random  *rand.Rand
	command string
	usual   time.Duration  // how long a run takes that is left alone
	phases  map[string]int // how many were killed in which phase
	victims map[string]int // and who
}

// killTags are the tags that are gone back and forth between. More than are kept, so that each run exports or prunes at times.
var killTags = []string{"v1.0", "v1.1", "v1.2", "v1.3"}

func killRuns(t *testing.T, o options, command string, random *rand.Rand, n int) {
	o.toml = "keep = 1\n"
	// A build that goes on writing for a while shows whether a recovery begins beside it.
	o.tables = "[build]\nrun = 'for i in 1 2 3 4 5; do echo $i >> built.txt; sleep 0.01; done'\n"
	k := &killer{site: newSite(t, o), random: random, command: command, phases: map[string]int{}, victims: map[string]int{}}
	k.tag(killTags...)
	k.want(release.ExitDone, "activate", "v1.0")
	k.wantLive("v1.0")
	start := time.Now()
	k.want(release.ExitDone, "activate", "v1.1")
	k.usual = time.Since(start)
	defer k.watch().end(t)
	for done, tries := 0, 0; done < n && !t.Failed(); tries++ {
		if tries == 4*n {
			t.Fatalf("only %d of %d runs were killed", done, tries)
		}
		if k.one() {
			done++
		}
	}
	t.Logf("killed in phase: %v; who: %v", k.phases, k.victims)
}

// one starts a run, kills it, lets it be recovered and sees that all is well. False if the run was faster than the kill.
func (k *killer) one() bool {
	k.t.Helper()
	before := k.liveTag()
	c, want := k.begin(before)
	whom := []string{"worker", "worker and guardian", "all", "worker and its recovery"}[k.random.IntN(4)]
	at, killed := k.kill(c, whom)
	code := c.wait()
	said := ""
	if whom == "all" && killed {
		k.wantNoWorker()
		code, said = k.recoverByHand()
	}
	k.wantNoWorker()
	if killed {
		k.phases[string(at)]++
		k.victims[whom]++
	}
	k.wantOutcome(fmt.Sprint(c, said), before, want, code)
	k.wantTidy(killed)
	k.goOn()
	return killed
}

// begin starts the command that is to be killed, to another release than what is live.
func (k *killer) begin(live string) (*command, string) {
	others := slices.DeleteFunc(slices.Clone(killTags), func(tag string) bool { return tag == live })
	want := others[k.random.IntN(len(others))]
	args := []string{k.command, want}
	if k.command == "activate" && k.random.IntN(2) == 0 {
		args = append(args, "--force") // exported anew
	}
	return k.start(args...), want
}

// kill waits for a random moment of the run, or of a random phase, and kills. It returns the phase in which it did.
func (k *killer) kill(c *command, whom string) (journal.Phase, bool) {
	if k.random.IntN(2) == 0 {
		k.pause(c, k.usual)
	} else {
		phases := []journal.Phase{
			journal.Begun, journal.Prepared, journal.Stopping, journal.Stopped, journal.Switching, journal.Switched, journal.Starting,
			journal.Started, journal.Healthy, journal.Finished,
		}
		c.awaitOtherPhase(phases[k.random.IntN(len(phases))])
		k.pause(c, k.usual/[]time.Duration{20, 1000}[k.random.IntN(2)])
	}
	at, killed := k.killWorkers(c, whom)
	if whom == "worker and its recovery" && killed {
		k.pause(c, k.usual/2)
		k.killWorkers(c, whom)
	}
	return at, killed
}

// pause waits for a random part of d, or for the command's end.
func (k *killer) pause(c *command, d time.Duration) {
	select {
	case <-c.done:
	case <-time.After(time.Duration(k.random.Int64N(int64(d) + 1))):
	}
}

// killWorkers kills the worker, and where it is so meant the guardian before it.
func (k *killer) killWorkers(c *command, whom string) (at journal.Phase, killed bool) {
	var worker, guardian proc.Process
	found := false
	c.until("no worker to kill", 5*time.Millisecond, func() bool {
		worker, guardian, found = k.worker()
		return found || c.ended() && guardian.PID == 0
	})
	if !found {
		return "", false
	}
	at = k.phase()
	if whom == "all" {
		_ = c.cmd.Process.Kill() // it may have ended
	}
	if whom == "worker and guardian" || whom == "all" {
		_ = proc.Signal(guardian, syscall.SIGKILL)
	}
	killed = proc.Signal(worker, syscall.SIGKILL) == nil
	return at, killed
}

// awaitOtherPhase waits until the run has come to a phase, or past it. Many a phase is a millisecond long.
func (c *command) awaitOtherPhase(phase journal.Phase) {
	c.site.t.Helper()
	path := filepath.Join(c.site.dir, ".rel", "journal")
	var seen time.Time
	began := false
	c.until("no phase "+string(phase), 200*time.Microsecond, func() bool {
		info, err := os.Stat(path)
		if err != nil || info.ModTime().Equal(seen) {
			return c.ended()
		}
		seen = info.ModTime()
		now := c.site.phase()
		began = began || now != journal.Finished
		return began && !now.Before(phase)
	})
}

// until polls as often as it is told.
func (c *command) until(what string, pause time.Duration, done func() bool) {
	c.site.t.Helper()
	for deadline := time.Now().Add(patience); !done(); {
		if time.Now().After(deadline) {
			c.site.t.Fatalf("%s after %s", what, patience)
		}
		select {
		case <-c.done:
			pause = 5 * time.Millisecond
		case <-time.After(pause):
		}
	}
}

// recoverByHand is what a person does after all of it is dead.
func (k *killer) recoverByHand() (code int, said string) {
	k.t.Helper()
	c := k.start("recover")
	code = c.wait()
	if !slices.Contains([]int{release.ExitDone, release.ExitError, release.ExitReverted}, code) {
		k.t.Fatal(c)
	}
	return code, c.String()
}

// wantOutcome wants the run to be finished, and that what is live is what its exit code says.
func (k *killer) wantOutcome(said, before, want string, code int) {
	k.t.Helper()
	live := k.liveTag()
	rec, found, err := journal.Read(filepath.Join(k.dir, ".rel"))
	must(k.t, err)
	if !found || rec.Phase != journal.Finished || rec.Run.Outcome == "" {
		k.t.Fatalf("the journal has no outcome: %+v\n%s", rec, said)
	}
	switch code {
	case release.ExitDone, release.ExitError, release.ExitReverted, -1:
	default:
		k.t.Fatalf("%s → %s, and %q is live\n%s\n%s", before, want, live, said, k.story())
	}
	expected := before
	if rec.Run.To == want && rec.Run.Exit == release.ExitDone && rec.Run.From == before {
		expected = want
	}
	if live != expected {
		k.t.Fatalf("%q is live, want %q after %+v\n%s", live, expected, rec.Run, said)
	}
	k.wantLive(live)
	k.want(release.ExitDone, "verify")
	k.wantNumbers()
}

// wantNumbers wants each run exactly once in the history, with an outcome.
func (k *killer) wantNumbers() {
	k.t.Helper()
	runs, err := journal.Tail(filepath.Join(k.dir, ".rel"), 0)
	must(k.t, err)
	for i, run := range runs {
		if run.Run != len(runs)-i || run.Outcome == "" {
			k.t.Fatalf("line %d of %d of the history: %+v", i, len(runs), run)
		}
	}
}

// wantTidy wants nothing left over. What a kill after the outcome leaves of a release that was being removed may stay until the next
// run.
func (k *killer) wantTidy(killed bool) {
	k.t.Helper()
	if _, err := os.Lstat(filepath.Join(k.dir, ".rel", "swap")); err == nil {
		k.t.Fatal(".rel/swap is left over")
	}
	if killed {
		return
	}
	entries, err := os.ReadDir(filepath.Join(k.dir, "releases"))
	must(k.t, err)
	for _, entry := range entries {
		_, err := os.Stat(filepath.Join(k.dir, ".rel", "manifests", entry.Name()))
		if strings.HasPrefix(entry.Name(), ".tmp-") || err != nil {
			k.t.Fatalf("releases/%s is left over: %v", entry.Name(), err)
		}
	}
}

// goOn wants the next activation to go well, and nothing to be left over after it. It makes two tags be released, so that
// there is always one to go to.
func (k *killer) goOn() {
	k.t.Helper()
	live := k.liveTag()
	next := killTags[(slices.Index(killTags, live)+1)%len(killTags)]
	k.want(release.ExitDone, "activate", next)
	k.wantLive(next)
	k.wantTidy(false)
}
