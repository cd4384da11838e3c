package e2e

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// asker asks a server about 200 times a second, on connections of its own and with code of its own, and keeps which requests were
// answered: what it makes of them is to agree with what rel measures.
type asker struct {
	addr string
	stop chan struct{}
	wait sync.WaitGroup

	mu   sync.Mutex
	sent []request
}

type request struct {
	from, to time.Time // when it was sent, and when it was answered or failed
	failed   bool
}

func (v *server) asker() *asker {
	a := &asker{addr: v.addr, stop: make(chan struct{})}
	a.wait.Go(func() {
		for tick := time.NewTicker(5 * time.Millisecond); ; {
			select {
			case <-a.stop:
				tick.Stop()
				return
			case <-tick.C:
				a.wait.Go(a.once)
			}
		}
	})
	return a
}

func (a *asker) once() {
	one := request{from: time.Now()}
	one.failed = a.ask() != nil
	one.to = time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sent = append(a.sent, one)
}

func (a *asker) ask() error {
	conn, err := net.DialTimeout("tcp", a.addr, answerWithin)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "GET /shop HTTP/1.0\r\n\r\n"); err != nil {
		return err
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", res.Status)
	}
	return nil
}

// down ends it and tells how long nobody was answered: from the first request that failed to the first answer to one that was sent
// after all that failed.
func (a *asker) down() (down time.Duration, failed int) {
	close(a.stop)
	a.wait.Wait()
	slices.SortFunc(a.sent, func(x, y request) int { return cmp.Compare(x.from.UnixNano(), y.from.UnixNano()) })
	first, last := -1, -1
	for i, r := range a.sent {
		if r.failed {
			if failed++; first < 0 {
				first = i
			}
			last = i
		}
	}
	if failed == 0 || last+1 == len(a.sent) {
		return 0, failed
	}
	answered := slices.MinFunc(a.sent[last+1:], func(x, y request) int { return x.to.Compare(y.to) })
	return answered.to.Sub(a.sent[first].from), failed
}

// TestDowntime goes to and fro between two releases of an Apache that is stopped and started, asked by somebody else meanwhile: what
// rel says of the downtime is what that one saw. How near they are on a machine that does nothing else, and how much of it is rel's
// own, is for a person to look at: REL_TEST_DOWNTIMES=10 makes that many, and wants of nine in ten what is promised.
func TestDowntime(t *testing.T) {
	t.Parallel()
	times, strict := 2, false
	if n, err := strconv.Atoi(os.Getenv("REL_TEST_DOWNTIMES")); err == nil {
		times, strict = n, true
	}
	v := newApache(t, false)
	v.said(release.ExitDone, []string{"activate", "v1"})
	v.stopStart()
	near, quick := 0, 0
	for i := range times {
		agrees, own := v.downOnce([]string{"v2", "v1"}[i%2])
		if agrees <= 40*time.Millisecond {
			near++
		}
		if own <= 20*time.Millisecond {
			quick++
		}
	}
	v.said(release.ExitDone, []string{"log", "--plot"}, "asked     GET http://", "failed │ ", "×")
	t.Logf("%d of %d agree within two intervals, in %d less than 20 ms are rel's own", near, times, quick)
	if strict && (near*10 < times*9 || quick*10 < times*9) {
		t.Error("that is too few")
	}
}

// stopStart configures a restart by stopping and starting, with a start that tells when it began.
func (v *server) stopStart() {
	v.t.Helper()
	v.restart = "stop-start"
	v.file(filepath.Join(v.run, "start"), "date +%s%N >@RUN@/started\nexec apache2 -f @RUN@/apache2.conf -k start\n")
	var lines []string
	for line := range strings.Lines(v.table) {
		if strings.HasPrefix(line, "start = ") {
			line = fmt.Sprintf("start = %q\n", "sh "+filepath.Join(v.run, "start"))
		}
		lines = append(lines, line)
	}
	v.table = strings.Join(lines, "")
	v.configure()
}

// downOnce activates a tag, and tells by how much rel's downtime differs from the asker's, and what of it is rel's own.
func (v *server) downOnce(tag string) (differ, own time.Duration) {
	v.t.Helper()
	asker, gone, master := v.asker(), make(chan time.Time, 1), v.master()
	children, err := proc.Children(master.PID)
	must(v.t, err)
	go func() {
		for master.Same() || slices.ContainsFunc(children, proc.Process.Same) {
			time.Sleep(time.Millisecond)
		}
		gone <- time.Now()
	}()
	c := v.start("activate", tag)
	if got := c.wait(); got != release.ExitDone {
		v.t.Fatalf("exit code %d\n%s\n%s", got, c, v.log())
	}
	seen, failed := asker.down()
	run := v.lastRun()
	if run.Probe == nil {
		v.t.Fatalf("%s\nnot measured: %+v", c, run)
	}
	said := time.Duration(run.DowntimeMS) * time.Millisecond
	differ, own = (said - seen).Abs(), v.startedAt().Sub(<-gone)
	v.t.Logf("%s: rel says %s, the asker %s with %d failures; rel's own %s, of which it knows %.1f ms; %+v", tag, said, seen.Round(time.Millisecond),
		failed, own.Round(time.Millisecond/10), run.SwitchMS, *run.Probe)
	if failed == 0 || run.Probe.Failures == 0 || run.Probe.Before.Answers == 0 || run.Probe.After.Answers == 0 || said <= 0 {
		v.t.Errorf("nobody has noticed a stop: %+v", *run.Probe)
	}
	if run.SwitchMS <= 0 || run.SwitchMS > float64(run.DowntimeMS) {
		v.t.Errorf("%.1f ms of %d were rel's own", run.SwitchMS, run.DowntimeMS)
	}
	if differ > time.Second+seen { // far more than any machine's load makes of it
		v.t.Errorf("rel says down %s, and it was %s", said, seen)
	}
	return differ, own
}

// startedAt is when the server's start began.
func (v *server) startedAt() time.Time {
	v.t.Helper()
	data, err := os.ReadFile(filepath.Join(v.run, "started"))
	must(v.t, err)
	ns, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	must(v.t, err)
	return time.Unix(0, ns)
}
