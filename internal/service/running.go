package service

import (
	"cmp"
	"os"
	"slices"

	"github.com/git-rel/rel/internal/proc"
)

// Running is a process of a service.
type Running struct {
	proc.Process
	Main bool // the master
	// Old: it may go on serving what it loaded before the service last took a release over. That is told by its age and its sockets, of
	// what this Service has done; what its files say is another matter.
	Old    bool
	Drains bool // it is Old, and has let go of the sockets on which it took requests: it finishes what it has begun
	Young  bool // it is no older than the takeover, which it has therefore seen the end of
}

// takeover is what there was before the service was last told to take a release over: by a reload, or by a stop before a start.
type takeover struct {
	before map[int]uint64 // who was of the service's family: pid → start
	comm   string         // of the master
	since  uint64         // boot ticks: who is older is no new process; 0: there was no takeover
	reload *generation    // nil where it was stopped
}

// note takes down who is there before the service is told anything.
func (s *Service) note(st State, reload *generation) error {
	family, err := s.tree(st)
	s.took = takeover{before: map[int]uint64{}, comm: st.Master.Comm, since: proc.Ticks(), reload: reload}
	for _, p := range family {
		s.took.before[p.PID] = p.Start
	}
	return err
}

// Since is the boot tick from which on a process of the service is a new one: as of the last reload's end, or the last stop. It is 0
// where this Service has neither reloaded nor stopped it.
func (s *Service) Since() uint64 {
	if g := s.took.reload; g != nil {
		return max(g.since, s.took.since)
	}
	return s.took.since
}

// FindSharers looks through all processes, once, for those that hold the listening sockets of the service, whose state is st, without
// being of its family: orphans of an earlier master. Running has them from then on. Who started the master, as systemd or a
// supervisor, may hold its sockets for it and is none of them.
func (s *Service) FindSharers(st State) error {
	if len(st.sockets) == 0 || st.Master.PID == 0 {
		return nil
	}
	family, err := s.tree(st)
	if err != nil {
		return s.errorf("%w", err)
	}
	holders, err := proc.SocketHolders(st.sockets, usersOf(family)...)
	if err != nil {
		return s.errorf("%w", err)
	}
	above := ancestors(st.Master)
	s.sharers = slices.DeleteFunc(holders, func(p proc.Process) bool {
		return above[p.PID] || slices.ContainsFunc(family, p.Is)
	})
	return nil
}

func usersOf(processes []proc.Process) []uint32 {
	var uids []uint32
	for _, p := range processes {
		if uid, err := p.UID(); err == nil && !slices.Contains(uids, uid) {
			uids = append(uids, uid)
		}
	}
	return uids
}

func ancestors(p proc.Process) map[int]bool {
	above := map[int]bool{1: true}
	for err := error(nil); err == nil && p.PPID > 1; {
		above[p.PPID] = true
		p, err = proc.Lookup(p.PPID)
	}
	return above
}

// tree is the family of the master: it and all that descend from it, and who else is in the unit's control group.
func (s *Service) tree(st State) ([]proc.Process, error) {
	if !st.Up {
		return nil, nil
	}
	family, err := proc.InGroup(st.group)
	if err != nil || st.Master.PID == 0 {
		return family, err
	}
	below, err := proc.Descendants(st.Master.PID)
	return distinct(append([]proc.Process{st.Master}, append(below, family...)...)), err
}

// distinct has each process once, oldest first.
func distinct(processes []proc.Process) []proc.Process {
	slices.SortFunc(processes, func(a, b proc.Process) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.PID, b.PID)) })
	return slices.CompactFunc(processes, proc.Process.Is)
}

// Running are the processes of the service, whose state is st, oldest first: its family, who was of it before the last takeover and is still there with all
// that it has forked, and whom FindSharers has found.
func (s *Service) Running(st State) ([]Running, error) {
	all, err := s.tree(st)
	if err != nil {
		return nil, s.errorf("%w", err)
	}
	for _, p := range slices.Concat(s.stillThere(), s.sharers) {
		if now, err := proc.Lookup(p.PID); err != nil || !now.Is(p) {
			continue
		}
		below, err := proc.Descendants(p.PID)
		if err != nil {
			return nil, s.errorf("%w", err)
		}
		all = append(append(all, p), below...)
	}
	found, err := s.judge(st, distinct(all))
	if err != nil {
		return nil, s.errorf("%w", err)
	}
	return found, nil
}

// stillThere are those of before the last takeover that may still be there.
func (s *Service) stillThere() []proc.Process {
	var found []proc.Process
	for pid, start := range s.took.before {
		if p, err := proc.Lookup(pid); err == nil && p.Start == start {
			found = append(found, p)
		}
	}
	return found
}

// judge tells who of all, oldest first, is new and who may serve what is old.
func (s *Service) judge(st State, all []proc.Process) ([]Running, error) {
	takes := map[int]answer{}
	if g := s.took.reload; g != nil {
		var err error
		if takes, err = g.takesRequests(st.Master, all); err != nil {
			return nil, err
		}
	}
	found := make([]Running, 0, len(all))
	seen := map[int]Running{}
	for _, p := range all {
		if p.PID == os.Getpid() { // a service that deploys itself, as by a hook of git's in a CGI
			continue
		}
		r := Running{Process: p, Main: p.Is(st.Master), Young: s.took.since != 0 && p.Start >= s.Since()}
		parent := seen[p.PPID]
		switch {
		case s.took.since == 0 || r.Main:
		case parent.Drains: // and what it has started, as a CGI, ends with it
			r.Old, r.Drains = true, true
		case !s.wasThere(p):
			r.Old = parent.Old || !r.Young && slices.ContainsFunc(s.sharers, p.Is)
		case s.took.reload == nil:
			r.Old = p.Comm == s.took.comm || listensAtAll(p) // after a stop, none of the service was to be left
		default:
			r.Old, r.Drains = s.took.reload.leftover(p, takes[p.PID])
		}
		seen[p.PID] = r
		found = append(found, r)
	}
	return found, nil
}

// listensAtAll tells whether a process takes requests anywhere, as far as we may see.
func listensAtAll(p proc.Process) bool {
	sockets, err := proc.Listening(p.PID)
	return err == nil && len(sockets[p.PID]) > 0
}

func (s *Service) wasThere(p proc.Process) bool {
	start, there := s.took.before[p.PID]
	return there && start == p.Start || s.took.reload != nil && s.took.reload.isOld(p)
}

// leftover tells of a process from before a reload whether it may serve what is old, and whether it only finishes what it has begun.
// A helper that never took requests may well stay, and so may one that the reload itself forked.
func (g *generation) leftover(p proc.Process, takes answer) (old, drains bool) {
	if takes == yes {
		return true, false
	}
	i := slices.IndexFunc(g.old, func(o oldWorker) bool { return o.Is(p) })
	if i < 0 || g.old[i].late {
		return false, false
	}
	if g.what == Graceful && (g.old[i].took || g.stamped) {
		return true, true
	}
	helper := g.what == Graceful && takes == no && g.served
	return !helper, false
}
