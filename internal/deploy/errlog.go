package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// ErrorLog is what a service's error log gained since the last switch.
type ErrorLog struct {
	Service  string   `json:"service"`
	Path     string   `json:"path"` // of a file; or "journal:UNIT"
	Lines    []string `json:"lines"`
	Errors   int      `json:"errors"` // of Lines
	Warnings int      `json:"warnings"`
	log      gate.Log
	mark     gate.LogMark // after Lines
}

// errLines is how many lines of an error log are shown at most.
const errLines = 1000

// markedLog is a service's error log, and where it ended before a run touched anything.
type markedLog struct {
	service string
	log     gate.Log
	mark    gate.LogMark
	watch   *gate.LogWatch // nil where it is not watched
}

// marksPath is where the places of the error logs at the last switch are kept.
func (s *Site) marksPath() string { return s.Root.State("marks") }

// errorLog is a service's error log: journald shows that of a system's unit to root, and to whom the machine lets see it.
func (s *Site) errorLog(one *service.Service) gate.Log {
	user := s.Owner
	var as *proc.User
	if proc.CanBecome() {
		user = proc.User{Name: "root", Home: "/root"}
		as = &user
	}
	return gate.Log{Path: one.Spec().ErrorLog, Env: proc.Environment(user, s.Config.Env), As: as}
}

// markLogs notes where the services' error logs end now, before the run touches them. Two services may have the same.
func (r *run) markLogs(ctx context.Context) {
	known := map[string]gate.LogMark{}
	for _, one := range r.services {
		log := r.errorLog(one)
		if log.Path == "" {
			continue
		}
		mark, seen := known[log.Path]
		if !seen {
			var err error
			mark, err = log.Mark(ctx)
			r.warn(err)
			known[log.Path] = mark
		}
		r.logs = append(r.logs, &markedLog{service: one.Spec().Name, log: log, mark: mark})
	}
}

// keepMarks keeps the marks for rel err. It helps people and is no part of the run's safety: what goes wrong is a warning.
func (r *run) keepMarks() {
	marks := map[string]gate.LogMark{}
	for _, l := range r.logs {
		marks[l.service] = l.mark
	}
	data, err := json.Marshal(marks)
	if err == nil {
		err = disk.WriteFile(r.marksPath(), data, 0o644)
	}
	r.warnOfRoom(err)
}

// ErrorLogs are the error logs of the services, or of the one that is named, since the last switch.
func (s *Site) ErrorLogs(ctx context.Context, name string) ([]*ErrorLog, error) {
	services, err := s.Services(nil, nil)
	if err != nil {
		return nil, err
	}
	marks, err := s.readMarks()
	if err != nil {
		return nil, err
	}
	logs := []*ErrorLog{}
	for _, one := range services {
		spec := one.Spec()
		if spec.ErrorLog == "" || (name != "" && spec.Name != name) {
			continue
		}
		log := &ErrorLog{Service: spec.Name, Path: spec.ErrorLog, log: s.errorLog(one), mark: marks[spec.Name]} // without a mark the whole log
		if log.Lines, err = log.Next(ctx); err != nil {
			return nil, err
		}
		for _, line := range log.Lines {
			switch gate.SeverityOf(line) {
			case gate.SeverityError:
				log.Errors++
			case gate.SeverityWarning:
				log.Warnings++
			}
		}
		logs = append(logs, log)
	}
	if len(logs) == 0 {
		what := "no service has an error log"
		if name != "" {
			what = name + ": no such service with an error log"
		}
		return nil, release.Errorf(release.ExitNotFound, "%s", what).Hint("set error_log of [[service]] in %s/rel.toml", s.Root.Dir)
	}
	return logs, nil
}

func (s *Site) readMarks() (map[string]gate.LogMark, error) {
	marks := map[string]gate.LogMark{}
	data, err := os.ReadFile(s.marksPath())
	if errors.Is(err, fs.ErrNotExist) {
		return marks, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &marks); err != nil {
		return nil, fmt.Errorf("%s: %w", s.marksPath(), err)
	}
	return marks, nil
}

// Next is what the log gained since it was last asked.
func (l *ErrorLog) Next(ctx context.Context) ([]string, error) {
	lines, next, err := l.log.Next(ctx, l.mark, errLines)
	l.mark = next
	return append([]string{}, lines...), err
}
