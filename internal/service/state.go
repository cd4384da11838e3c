package service

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/proc"
)

// State is what runs of a service.
type State struct {
	Up      bool
	Master  proc.Process   // zero when down, and of a systemd unit without a main process
	Workers []proc.Process // the master's children that are the same program
	Ports   []Port         // of the addresses in listen
	Unit    string         // the systemd unit that owns the master, if one does
	Why     string         // why it counts as down
	group   string         // the unit's control group
	sockets []string       // on which it takes requests: those bound to the addresses in listen, and its own; by inode
}

// Port is an address that the service is to listen on.
type Port struct {
	Addr    string // as configured
	Held    bool   // somebody listens there
	PID     int    // who; 0 where we may not see it
	Command string
	Ours    bool // it is the service's own master or worker, or may be since we cannot see
}

// State looks at what runs.
func (s *Service) State() (State, error) {
	st, err := s.look()
	if err != nil {
		return State{}, s.errorf("%w", err)
	}
	return st, nil
}

// look finds the master, its workers and the ports.
func (s *Service) look() (State, error) {
	st, err := s.master()
	if err != nil {
		return State{}, err
	}
	if st.Up && st.Master.PID != 0 {
		if st.Workers, err = s.workers(st.Master); err != nil {
			return State{}, err
		}
		s.remember(append([]proc.Process{st.Master}, st.Workers...))
	}
	st.Ports, st.sockets, err = s.ports(st)
	return st, err
}

// remember keeps the identities of what is there now and what was there and still is.
func (s *Service) remember(now []proc.Process) {
	have := map[int]uint64{}
	for _, p := range now {
		have[p.PID] = p.Start
	}
	for _, p := range s.known {
		if _, again := have[p.PID]; !again && p.Same() {
			now = append(now, p)
		}
	}
	s.known = now
}

// workers are the master's children that are the same program: not its loggers, CGIs and the like. Where the preset knows no
// program, they are all its children.
func (s *Service) workers(master proc.Process) ([]proc.Process, error) {
	children, err := proc.Children(master.PID)
	if err != nil || s.comm == "" {
		return children, err
	}
	var found []proc.Process
	for _, c := range children {
		if c.Comm == master.Comm || s.named(c) {
			found = append(found, c)
		}
	}
	return found, nil
}

// master finds the master: by systemd, the pid file, or who listens.
func (s *Service) master() (State, error) {
	if unit := s.unitNow(); unit != "" {
		return s.unitMaster(unit)
	}
	st, err := State{}, error(nil)
	if s.spec.PIDFile != "" {
		st, err = s.pidFileMaster()
	} else {
		st, err = s.portMaster()
	}
	if err == nil && st.Up && s.systemd && s.spec.Preset != "command" {
		st.Unit, st.group, err = s.ownerOf(st.Master)
		s.unit = orElse(st.Unit, s.unit)
	}
	return st, err
}

// named tells whether a process is the preset's program. Its own name for itself does not say: setting $0 in mod_perl makes
// Apache's "/usr/sbin/apach". Where we may not see what it executes, its command line has to do.
func (s *Service) named(p proc.Process) bool {
	name := p.Comm
	if exe, err := proc.Exe(p.PID); err == nil {
		name = filepath.Base(exe)
	} else if !s.is(name) {
		first, _, _ := strings.Cut(proc.Cmdline(p.PID), " ")
		name = strings.TrimSuffix(filepath.Base(first), ":") // "nginx: master process"
	}
	return s.is(name)
}

func (s *Service) is(name string) bool {
	return name == s.comm || (s.spec.Preset == "apache" && (name == "apache2" || name == "httpd"))
}

// listens tells whether p or a child of it holds one of the service's ports.
func (s *Service) listens(p proc.Process) bool {
	if len(s.spec.Listen) == 0 {
		return false
	}
	listeners, err := proc.Listeners(s.spec.Listen...)
	if err != nil {
		return false
	}
	for _, l := range listeners {
		if l.PID == p.PID {
			return true
		}
		if holder, err := proc.Lookup(l.PID); err == nil && holder.PPID == p.PID {
			return true
		}
	}
	return false
}

// portMaster is who listens on the service's first address, where there is no pid file: the oldest holder of the socket.
func (s *Service) portMaster() (State, error) {
	listeners, err := proc.Listeners(s.spec.Listen...)
	if err != nil {
		return State{}, err
	}
	if len(listeners) == 0 {
		return State{Why: "nobody listens on " + strings.Join(s.spec.Listen, ", ")}, nil
	}
	if listeners[0].PID == 0 {
		return State{}, fmt.Errorf("%s: this user may not see who listens there; set pidfile", listeners[0].Addr)
	}
	p, err := proc.Lookup(listeners[0].PID)
	if errors.Is(err, proc.ErrGone) {
		return State{Why: "nobody listens on " + strings.Join(s.spec.Listen, ", ")}, nil
	}
	return State{Up: err == nil, Master: p}, err
}

// ports looks at each address of the service, and gives the sockets, too. Only a port that is not ours is looked up among all processes.
func (s *Service) ports(st State) (found []Port, sockets []string, err error) {
	if len(s.spec.Listen) == 0 && (!st.Up || st.Master.PID == 0) {
		return nil, nil, nil
	}
	table, err := proc.ReadSockets()
	if err != nil {
		return nil, nil, err
	}
	own, err := s.sockets(st, table)
	if err != nil {
		return nil, nil, err
	}
	for inode := range own {
		sockets = append(sockets, inode)
	}
	for _, addr := range s.spec.Listen {
		bound, err := table.Bound(addr)
		if err != nil {
			return nil, nil, err
		}
		port := Port{Addr: addr, Held: len(bound) > 0, Ours: len(bound) > 0}
		for _, l := range bound {
			sockets = append(sockets, l.Inode)
			if holder, ok := own[l.Inode]; ok {
				port.PID = holder
			} else {
				port.Ours = false
			}
		}
		if port.Held && !port.Ours {
			if err := s.nameHolder(st, &port); err != nil {
				return nil, nil, err
			}
		} else if port.Held {
			port.Command = proc.Cmdline(port.PID)
		}
		found = append(found, port)
	}
	return found, sockets, nil
}

// sockets are the listening sockets of the master and its workers, with who holds each.
func (s *Service) sockets(st State, table proc.Sockets) (map[string]int, error) {
	own := map[string]int{}
	if !st.Up || st.Master.PID == 0 {
		return own, nil
	}
	pids := []int{st.Master.PID}
	for _, w := range st.Workers {
		pids = append(pids, w.PID)
	}
	byPID, err := table.Of(pids...)
	if err != nil {
		return nil, err
	}
	for i := len(pids) - 1; i >= 0; i-- { // the master's name goes first
		for _, inode := range byPID[pids[i]] {
			own[inode] = pids[i]
		}
	}
	return own, nil
}

// nameHolder says who holds a port that is not known to be ours. It may be all the same: another process of the unit, or one that
// this user may not look into.
func (s *Service) nameHolder(st State, port *Port) error {
	listeners, err := proc.Listeners(port.Addr)
	if err != nil {
		return err
	}
	port.Held, port.Ours = len(listeners) > 0, st.Up && len(listeners) > 0
	for _, l := range listeners {
		ours := st.Up && (l.PID == 0 || l.PID == st.Master.PID || s.childOf(st, l.PID) || s.unitOwns(st, l.PID))
		if port.Ours || !ours { // a foreign holder is the one to name
			port.PID, port.Command = l.PID, l.Command
		}
		port.Ours = port.Ours && ours
	}
	return nil
}

func (s *Service) childOf(st State, pid int) bool {
	p, err := proc.Lookup(pid)
	return err == nil && p.PPID == st.Master.PID
}

// unitOwns tells whether a process is of the systemd unit: units have processes that are no children of the main one.
func (s *Service) unitOwns(st State, pid int) bool {
	return st.Unit != "" && proc.Unit(pid) == st.Unit
}

// String names who holds the port.
func (p Port) String() string {
	switch {
	case !p.Held:
		return p.Addr + " is free"
	case p.PID == 0:
		return p.Addr + " is held by a process that this user may not see"
	}
	return fmt.Sprintf("%s is held by pid %d: %s", p.Addr, p.PID, p.Command)
}
