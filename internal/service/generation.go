package service

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// generation is what ran before a reload, and what is seen of the next one.
type generation struct {
	service *Service
	what    string       // graceful or restart
	since   uint64       // boot ticks: no older process is new
	master  proc.Process // from before
	old     []oldWorker  // workers that the master forked before it reloaded
	served  bool         // one of these held a listening socket: in this service, workers take requests themselves
	stamp   fs.FileInfo  // Apache's pid file from before: each generation writes it anew before it forks; nil for others
	stamped bool         // it has
	fresh   proc.Process // a new worker, or a new master
	goneAt  time.Time    // since when no master has been seen
	unsure  bool         // that what is waited for still takes requests
}

type oldWorker struct {
	proc.Process
	took bool // it took requests before the reload
	late bool // first seen after the command: forked by the master as it was, or while it reloaded
}

// generation takes down who is there before a reload.
func (s *Service) generation(st State, what string) (*generation, error) {
	g := &generation{service: s, what: what, since: proc.Ticks(), master: st.Master}
	if s.spec.Preset == "apache" {
		g.stamp = statOf(s.spec.PIDFile)
	}
	takes, err := g.takesRequests(st.Master, st.Workers)
	if err != nil {
		return nil, err
	}
	for _, w := range st.Workers {
		g.old = append(g.old, oldWorker{Process: w, took: takes[w.PID] == yes})
		g.served = g.served || takes[w.PID] == yes
	}
	return g, nil
}

// look says what is still to wait for, "" if nothing, or gives an error when it is in vain.
func (g *generation) look() (string, error) {
	if err := g.readStamp(); err != nil {
		return "", err
	}
	st, err := g.service.look()
	switch {
	case err != nil:
		return "", err
	case !st.Up:
		return g.masterless(st)
	}
	g.goneAt = time.Time{}
	if !st.Master.Is(g.master) {
		return g.replaced(st)
	}
	if g.stamp != nil && !g.stamped {
		return fmt.Sprintf("%s has not reloaded", st.Master), nil // or has by now: then who is seen now may be a new worker
	}
	takes, err := g.takesRequests(st.Master, append(st.Workers, g.alive()...))
	if err != nil {
		return "", err
	}
	g.fresh = proc.Process{}
	for _, w := range st.Workers {
		switch {
		case g.isOld(w):
		case w.Start < g.since:
			g.old = append(g.old, oldWorker{Process: w, late: true})
		case takes[w.PID] != no || !g.served:
			g.fresh = w
		}
	}
	if g.fresh.PID == 0 && len(g.old) > 0 {
		return fmt.Sprintf("%s has no new worker", st.Master), nil
	}
	return g.remaining(takes), nil
}

func (g *generation) isOld(w proc.Process) bool {
	for _, o := range g.old {
		if o.Is(w) {
			return true
		}
	}
	return false
}

// alive are the old workers that still live.
func (g *generation) alive() []proc.Process {
	var found []proc.Process
	for _, o := range g.old {
		if o.Same() {
			found = append(found, o.Process)
		}
	}
	return found
}

// masterless is while no master is seen. A reload keeps its master or has the next one ready; a restart may take its time between
// the two, as a start does.
func (g *generation) masterless(st State) (string, error) {
	s := g.service
	if g.goneAt.IsZero() {
		g.goneAt = time.Now()
	}
	patience := settle
	if g.what != Graceful && s.comm == "" && st.Unit == "" {
		patience = s.spec.Timeout
	}
	if failedUnit(st) {
		return "", fmt.Errorf("%w: %s ended, and %s", ErrMasterGone, g.master, st.Why)
	}
	if time.Since(g.goneAt) >= patience && (g.what == Graceful || !s.coming(g.since)) {
		return "", fmt.Errorf("%w: %s ended", ErrMasterGone, g.master)
	}
	return st.Why, nil
}

// replaced is when another master has taken over: done when nobody of the old takes requests and the ports are the new one's.
func (g *generation) replaced(st State) (string, error) {
	if st.Master.Start < g.since {
		return "", fmt.Errorf("%s is the master now, but it is older than the %s", st.Master, g.what)
	}
	g.fresh = st.Master
	if g.master.Same() {
		return fmt.Sprintf("%s is still there beside the new master, %s", g.master, st.Master), nil
	}
	takes, err := g.takesRequests(st.Master, g.alive())
	if err != nil {
		return "", err
	}
	if waiting := g.remaining(takes); waiting != "" {
		return waiting, nil
	}
	if !portsHeld(st) {
		return fmt.Sprintf("%s runs, but %s", st.Master, portsMissing(st)), nil
	}
	return "", nil
}

// remaining names an old worker that is to be waited for. Under graceful that is one that takes requests; where we may not see
// it, one that is there, unless Apache has reloaded: it tells its workers to close their sockets before that. Under restart it is
// each that was there before.
func (g *generation) remaining(takes map[int]answer) string {
	for _, w := range g.old {
		if !w.Same() {
			continue
		}
		g.unsure = takes[w.PID] == unknown || !g.served
		switch {
		case takes[w.PID] == yes:
			return fmt.Sprintf("pid %d of the old workers still takes requests: %s", w.PID, proc.Cmdline(w.PID))
		case w.late && (takes[w.PID] == no || g.stamped): // a helper that the reload itself forked, as Apache's cgid
		case g.what == Graceful && takes[w.PID] == no && g.served:
		case g.what == Graceful && g.stamped:
		default:
			return fmt.Sprintf("pid %d of the old workers is still there: %s", w.PID, proc.Cmdline(w.PID))
		}
	}
	return ""
}

// answer is to the question whether a worker takes requests.
type answer byte

const (
	unknown answer = iota
	yes
	no
)

// takesRequests asks the kernel: a worker takes requests as long as it has a listening socket that it shares with its master, or
// any if that has none. This is how Apache's and nginx's workers drain: they close it and finish what they have. Where we may not
// see a worker's descriptors, nginx says so in its title.
func (g *generation) takesRequests(master proc.Process, workers []proc.Process) (map[int]answer, error) {
	pids := []int{master.PID, g.master.PID}
	for _, w := range workers {
		pids = append(pids, w.PID)
	}
	sockets, err := proc.Listening(pids...)
	if err != nil {
		return nil, err
	}
	shared := map[string]bool{}
	for _, inode := range append(sockets[master.PID], sockets[g.master.PID]...) {
		shared[inode] = true
	}
	takes := map[int]answer{}
	for _, w := range workers {
		held, readable := sockets[w.PID]
		if readable {
			takes[w.PID] = no
		}
		for _, inode := range held {
			if len(shared) == 0 || shared[inode] {
				takes[w.PID] = yes
			}
		}
		if !readable && strings.Contains(proc.Cmdline(w.PID), "worker process is shutting down") {
			takes[w.PID], g.served = no, true
		}
	}
	return takes, nil
}

func statOf(path string) fs.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

// readStamp sees whether Apache has written its pid file, which proves that it has reloaded. Who is a worker before that is an old
// one, so the workers are looked at first.
func (g *generation) readStamp() error {
	if g.stamp == nil || g.stamped {
		return nil
	}
	workers, err := g.service.workers(g.master)
	if err != nil {
		return err
	}
	now := statOf(g.service.spec.PIDFile)
	if now != nil && (!os.SameFile(now, g.stamp) || !now.ModTime().Equal(g.stamp.ModTime())) {
		g.stamped = true
		g.since = max(g.since, ticksAt(now.ModTime()))
		return nil
	}
	for _, w := range workers {
		if !g.isOld(w) {
			g.old = append(g.old, oldWorker{Process: w, late: true})
		}
	}
	return nil
}

// ticksAt is where the boot clock stood at a time that a file has. Two ticks less are for the coarse clock that file times are taken
// from; a reload takes longer than that. A pause between reading one clock and the other would make new workers look old: then they
// are read again.
func ticksAt(t time.Time) uint64 {
	var at uint64
	for range 10 {
		ticks := proc.Ticks()
		ago := uint64(max(0, time.Since(t)))*proc.TicksPerSecond/uint64(time.Second) + 2
		at = ticks - min(ticks, ago)
		if proc.Ticks()-ticks <= 1 {
			break
		}
	}
	return at
}
