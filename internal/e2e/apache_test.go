package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// TestApache takes a real Apache with mod_perl through what a person does with it and what goes wrong, in both modes of the live
// path. The parts of a mode follow one another on one server, each from v1, which the last one leaves.
func TestApache(t *testing.T) {
	for _, mode := range []struct {
		name      string
		directory bool
	}{{"symlink", false}, {"directory", true}} {
		t.Run(mode.name, func(t *testing.T) {
			t.Parallel() // they wait most of the time
			v := newApache(t, mode.directory)
			for _, part := range []struct {
				name string
				test func(*server)
			}{
				{"first activation starts it", apacheFirst},
				{"graceful loses no request", apacheGraceful},
				{"stop-start", apacheStopStart},
				{"a syntax error is refused", apacheSyntaxError},
				{"what dies at start is reverted", apacheDies},
				{"a root that cannot be reached is refused", apacheUnreachable},
				{"a mistake in the server's own configuration", apacheConfiguration},
				{"stop returns when the port is free", apacheStop},
				{"a lost terminal changes nothing", apacheHangup},
			} {
				if !t.Run(part.name, func(t *testing.T) { part.test(v.in(t)) }) {
					return // what follows begins from what it should have left
				}
			}
		})
	}
}

// apacheFirst activates v1 where nothing runs.
func apacheFirst(v *server) {
	v.said(release.ExitDone, []string{"activate", "v1"}, "web started", "from v1", "v1, release verified")
	v.serves("v1")
}

// apacheGraceful goes to and fro between v1 and v2 under load.
func apacheGraceful(v *server) {
	v.serves("v1")
	times := 50
	if testing.Short() {
		times = 20
	}
	master := v.master()
	load := v.load()
	var took, longest time.Duration
	var slowest string
	for i := range times {
		tag := []string{"v2", "v1"}[i%2]
		c := v.start("activate", tag)
		if got := c.wait(); got != release.ExitDone {
			v.t.Fatalf("activation %d: exit code %d\n%s\n%s", i+1, got, c, v.log())
		}
		v.serves(tag) // none of the old takes requests
		run := v.lastRun()
		if run.Verified != release.VerifiedRelease || run.DowntimeMS != 0 || run.Outcome != release.Live {
			v.t.Fatalf("activation %d: %+v", i+1, run)
		}
		this := time.Duration(run.Seconds * float64(time.Second))
		if took += this; this > longest {
			longest, slowest = this, c.err.String()
		}
	}
	load.end()
	v.t.Logf("%d activations, %s each; the longest:\n%s", times, (took / time.Duration(times)).Round(time.Millisecond), slowest)
	load.wantNoneLost(v.t, "v1", "v2")
	if now := v.master(); !now.Is(master) {
		v.t.Errorf("the master was %s and is %s", master, now)
	}
}

// apacheStopStart goes to v2 and back by stopping and starting, under load: rel's downtime is what visitors saw.
func apacheStopStart(v *server) {
	v.serves("v1")
	v.restart = "stop-start"
	v.configure()
	for _, step := range []struct{ command, tag string }{{"activate", "v2"}, {"rollback", "v1"}} {
		master, load := v.master(), v.load()
		out := v.said(release.ExitDone, []string{step.command, step.tag}, step.tag+" (was v", "release verified, down ")
		v.serves(step.tag)
		load.end()
		_, rest, stopped := strings.Cut(out, "web stopped")
		_, rest, switched := strings.Cut(rest, "\nswitch ")
		if !stopped || !switched || !strings.Contains(rest, "web started") {
			v.t.Error("not in the order stop, switch, start")
		}
		if now := v.master(); now.Is(master) {
			v.t.Errorf("%s has never stopped", now)
		}
		run := v.lastRun()
		fresh, kept, gap := load.sofar()
		v.t.Logf("rel says down %d ms; visitors were without an answer for %d ms; lost %d", run.DowntimeMS, gap.Milliseconds(),
			fresh.lost+kept.lost)
		if fresh.lost == 0 {
			v.t.Error("visitors have not noticed a stop: they would notice no lost request")
		}
		if down := time.Duration(run.DowntimeMS) * time.Millisecond; down <= 0 || down > time.Duration(run.Seconds*float64(time.Second)) {
			v.t.Errorf("downtime %s of %f s", down, run.Seconds)
		}
	}
	v.restart = "graceful"
	v.configure()
}

// apacheSyntaxError tries v3, which perl does not compile.
func apacheSyntaxError(v *server) {
	v.serves("v1")
	master, load := v.master(), v.load()
	v.said(release.ExitRefused, []string{"activate", "v3"}, "lib/Shop/Cart.pm", `Global symbol "$summ" requires explicit package name`,
		"nothing changed, v1 is live")
	v.serves("v1")
	load.end()
	load.wantNoneLost(v.t, "v1")
	if now := v.master(); !now.Is(master) {
		v.t.Errorf("the master was %s and is %s", master, now)
	}
	if run := v.lastRun(); run.Outcome != release.Refused || run.DowntimeMS != 0 {
		v.t.Errorf("%+v", run)
	}
}

// apacheDies tries v4, with which Apache dies at start, in the ways of a restart.
func apacheDies(v *server) {
	v.serves("v1")
	for _, restart := range []string{"graceful", "restart", "stop-start"} {
		v.restart = restart
		v.configure()
		v.said(release.ExitReverted, []string{"activate", "v4"}, "no moon today", "Shop/Handler.pm", "v1 is live again and healthy", "rel log")
		v.serves("v1")
		if run := v.lastRun(); run.Outcome != release.Reverted || run.From != "v1" || run.To != "v4" || run.DowntimeMS <= 0 {
			v.t.Errorf("%+v", run)
		}
		if live, err := os.ReadFile(filepath.Join(v.live, "lib/Shop/Cart.pm")); err != nil || !strings.Contains(string(live), "'v1'") {
			v.t.Errorf("%v at the live path: %s", err, live)
		}
		v.said(release.ExitDone, []string{"err"}, "no moon today")
		v.said(release.ExitDone, []string{"status", "--check"}, "v1")
	}
	if state := v.states()["v4"]; state != "failed" {
		v.t.Errorf("v4 is %q", state)
	}
	v.restart = "graceful"
	v.configure()
}

// apacheUnreachable closes the root to the service's user.
func apacheUnreachable(v *server) {
	v.serves("v1")
	was := v.user
	v.user = "www-data" // which is looked at also where this test may not become it
	v.configure()
	must(v.t, os.Chmod(v.dir, 0o700))
	defer func() {
		must(v.t, os.Chmod(v.dir, 0o755))
		v.user = was
		v.configure()
	}()
	master := v.master()
	for _, tag := range []string{"v5", "v2"} { // v2 has been live
		v.said(release.ExitRefused, []string{"activate", tag}, "www-data", v.dir+": drwx------", "nothing changed, v1 is live", "chmod o+rX")
	}
	if now := v.master(); !now.Is(master) {
		v.t.Errorf("the master was %s and is %s", master, now)
	}
	v.serves("v1")
}

// apacheConfiguration is when a person has broken what is no release's: Apache goes on with what it has, and so does rel.
func apacheConfiguration(v *server) {
	v.serves("v1")
	conf := filepath.Join(v.run, "apache2.conf")
	good, err := os.ReadFile(conf)
	must(v.t, err)
	must(v.t, os.WriteFile(conf, append(slices.Clone(good), "NoSuchDirective on\n"...), 0o644))
	defer func() { must(v.t, os.WriteFile(conf, good, 0o644)) }()
	master, load := v.master(), v.load()
	v.said(release.ExitRefused, []string{"activate", "v2"}, "NoSuchDirective", "nothing changed, v1 is live")
	v.said(release.ExitReverted, []string{"rollback", "v2"}, "NoSuchDirective", "v1 is live again and healthy") // it skips the gates
	v.said(release.ExitRefused, []string{"graceful"}, "nothing changed, v1 is live")
	v.serves("v1")
	load.end()
	load.wantNoneLost(v.t, "v1")
	if now := v.master(); !now.Is(master) {
		v.t.Errorf("the master was %s and is %s", master, now)
	}
}

// apacheStop stops a server that is at work: Apache's own stop returns while its workers still hold the port.
func apacheStop(v *server) {
	v.serves("v1")
	for range 2 {
		asked := make(chan struct{})
		go func() {
			defer close(asked)
			if res, err := http.Get("http://" + v.addr + "/shop?ms=2000"); err == nil { // it may be cut off
				res.Body.Close()
			}
		}()
		v.await("no worker is at work", func() bool { return v.busy() })
		v.said(release.ExitDone, []string{"stop"}, "web stopped")
		listener, err := net.Listen("tcp", v.addr)
		if err != nil {
			v.t.Errorf("rel stop is done, and the port is not free: %v", err)
		} else {
			must(v.t, listener.Close())
		}
		for _, p := range v.left() {
			if name := proc.Cmdline(p.PID); strings.HasPrefix(name, "apache2") {
				v.t.Errorf("rel stop is done, and %s is left: %s", p, name)
			}
		}
		<-asked
		v.said(release.ExitDone, []string{"start"}, "web up")
		v.serves("v1")
	}
}

// busy tells whether a connection to the server is open.
func (v *server) busy() bool {
	data, err := os.ReadFile("/proc/net/tcp")
	must(v.t, err)
	_, port, _ := strings.Cut(v.addr, ":")
	var number int
	_, err = fmt.Sscan(port, &number)
	must(v.t, err)
	const established = "01"
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); len(fields) > 3 && strings.HasSuffix(fields[1], fmt.Sprintf(":%04X", number)) &&
			fields[3] == established {
			return true
		}
	}
	return false
}
