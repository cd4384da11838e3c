package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

const (
	clockSlack  = 5 * time.Second // that a process may look younger than its pid file: clocks are corrected in small steps
	reapingTime = 5 * time.Second // that a parent is given to ask how a zombie ended
)

// pidFile is a pid file and the process that it names.
type pidFile struct {
	pid     int          // 0 when it names none
	process proc.Process // zero when gone
	foreign bool         // it names a process of another program
	why     string       // why nobody of ours is named; empty when somebody is
}

// readPIDFile trusts a pid file as far as it goes: the process must be there, be the preset's program, and have started before the
// file was written, for a process writes its own pid. One that holds the service's port is trusted all the same, since a clock that
// was set in between makes any process look young.
func (s *Service) readPIDFile() (pidFile, error) {
	path := s.spec.PIDFile
	data, err := os.ReadFile(path)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return pidFile{why: "no pid file " + path}, nil
	}
	if err != nil {
		return pidFile{}, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return pidFile{why: fmt.Sprintf("%s holds no pid: %.40q", path, first)}, nil
	}
	p, err := proc.Lookup(pid)
	if errors.Is(err, proc.ErrGone) {
		return pidFile{pid: pid, why: fmt.Sprintf("pid %d of %s is gone", pid, path)}, nil
	}
	if err != nil {
		return pidFile{}, err
	}
	f := pidFile{pid: pid, process: p}
	if s.comm != "" && !s.named(p) {
		f.foreign, f.why = true, fmt.Sprintf("%s of %s is not %s", p, path, s.comm)
	} else if p.StartedAt(time.Now()).After(info.ModTime().Add(clockSlack)) && !s.listens(p) {
		f.why = fmt.Sprintf("%s is younger than %s, which names it", p, path)
	}
	return f, nil
}

func (s *Service) pidFileMaster() (State, error) {
	f, err := s.readPIDFile()
	if err != nil || f.why != "" {
		return State{Why: f.why}, err
	}
	return State{Up: true, Master: f.process}, nil
}

// retire removes a pid file that names nobody of ours, before a start: Apache asks with kill(pid, 0) whether it runs already, takes
// a zombie, or whoever has its pid now, for itself, exits 0 and starts nothing.
func (s *Service) retire(ctx context.Context) error {
	if s.spec.PIDFile == "" || s.unitFor("start") != "" {
		return nil
	}
	f, err := s.readPIDFile()
	if err != nil {
		return err
	}
	if f.pid == 0 || (f.process.PID != 0 && !f.foreign) {
		return nil
	}
	err = proc.AsRoot(func() error { return os.Remove(s.spec.PIDFile) })
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	vanished := func() bool { return errors.Is(syscall.Kill(f.pid, 0), syscall.ESRCH) }
	if !proc.Await(ctx, reapingTime, vanished) {
		s.env.Warn(fmt.Sprintf("%s: %s, and cannot be removed: the service may take itself for running: %v", s.spec.Name, f.why, err))
	}
	return nil
}
