package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/git-rel/rel/internal/proc"
)

// unitInfo is what systemctl show tells of a unit.
type unitInfo struct {
	Load, Active, Sub, Result, Invocation string
	Group                                 string // the control group of its processes: "/system.slice/web.service"
	MainPID                               int
	CanReload                             bool
}

var errNoSystemd = errors.New("systemd is not pid 1 here, so there are no units")

// unitNow is the unit whose state is the service's: the configured one, or the one that the master was seen to be in, or the
// distribution's own.
func (s *Service) unitNow() string {
	switch {
	case s.spec.Unit != "":
		return s.spec.Unit
	case !s.systemd:
		return ""
	case s.unit == "" && !s.given["pidfile"] && !s.given["start"]:
		for _, name := range s.conventions() {
			if info, err := s.show(context.Background(), name); err == nil && info.Load == "loaded" {
				s.unit = name
				break
			}
		}
	}
	return s.unit
}

func (s *Service) conventions() []string {
	switch s.spec.Preset {
	case "apache":
		return apache.units
	case "nginx":
		return nginx.units
	}
	return nil
}

// unitFor is the unit that a command goes to: none where the command was set by hand, which is then what the person wants.
func (s *Service) unitFor(key string) string {
	if verbs[key] == "" || s.given[strings.TrimSuffix(key, "_cmd")] {
		return ""
	}
	if s.spec.Unit != "" {
		return s.spec.Unit
	}
	return s.unit
}

// unitMaster is the state as systemd has it.
func (s *Service) unitMaster(unit string) (State, error) {
	if !s.systemd {
		return State{}, fmt.Errorf("unit %s: %w", unit, errNoSystemd)
	}
	info, err := s.show(context.Background(), unit)
	if err != nil {
		return State{}, err
	}
	if info.Load == "not-found" {
		return State{}, fmt.Errorf("unit %s: systemd does not know it", unit)
	}
	st := State{Unit: unit, group: info.Group, Why: fmt.Sprintf("unit %s is %s (%s, result %s)", unit, info.Active, info.Sub, info.Result)}
	if info.Active != "active" && info.Active != "reloading" {
		return st, nil
	}
	if info.MainPID == 0 { // a unit without a main process, or one whose pid file systemd could not read
		return State{Unit: unit, Up: true, group: info.Group}, nil
	}
	p, err := proc.Lookup(info.MainPID)
	if errors.Is(err, proc.ErrGone) {
		st.Why = fmt.Sprintf("unit %s: its main process, pid %d, is gone", unit, info.MainPID)
		return st, nil
	}
	return State{Unit: unit, Up: err == nil, Master: p, group: info.Group}, err
}

// ownerOf is the unit that a master belongs to, and its control group. Being in its control group is not enough: so is everything that was started by hand
// from within a service, as by a login or a runner of tests.
func (s *Service) ownerOf(master proc.Process) (unit, group string, err error) {
	unit = proc.Unit(master.PID)
	if unit == "" {
		return "", "", nil
	}
	info, err := s.show(context.Background(), unit)
	if err != nil || info.MainPID != master.PID {
		return "", "", err
	}
	return unit, info.Group, nil
}

// failedUnit tells whether systemd has given the service up.
func failedUnit(st State) bool {
	return st.Unit != "" && !st.Up && strings.Contains(st.Why, " is failed (")
}

// show asks systemd about a unit, which every user may.
func (s *Service) show(ctx context.Context, unit string) (unitInfo, error) {
	var out bytes.Buffer
	c := proc.Command{
		Name: "systemctl show", Path: "systemctl", Env: s.env.Environ, Timeout: s.spec.Timeout,
		Args:   []string{"show", "--no-pager", "--property=LoadState,ActiveState,SubState,Result,InvocationID,MainPID,CanReload,ControlGroup", "--", unit},
		Output: func(line string) { out.WriteString(line + "\n") },
	}
	if _, err := c.Run(ctx); err != nil {
		return unitInfo{}, fmt.Errorf("%w%s", err, transcript{tail: strings.Split(strings.TrimSpace(out.String()), "\n")})
	}
	return parseShow(out.String())
}

func parseShow(text string) (unitInfo, error) {
	var info unitInfo
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch key {
		case "LoadState":
			info.Load = value
		case "ActiveState":
			info.Active = value
		case "SubState":
			info.Sub = value
		case "Result":
			info.Result = value
		case "InvocationID":
			info.Invocation = value
		case "ControlGroup":
			info.Group = value
		case "CanReload":
			info.CanReload = value == "yes"
		case "MainPID":
			pid, err := strconv.Atoi(value)
			if err != nil {
				return info, fmt.Errorf("systemctl show: MainPID %q", value)
			}
			info.MainPID = pid
		}
	}
	return info, nil
}
