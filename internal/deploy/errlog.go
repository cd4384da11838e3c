package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/release"
)

// ErrorLog is what a service's error log gained since the last switch.
type ErrorLog struct {
	Service string       `json:"service"`
	Path    string       `json:"path"`
	Lines   []string     `json:"lines"`
	mark    gate.LogMark // after Lines
}

// errLines is how many lines of an error log are shown at most.
const errLines = 1000

// marksPath is where the places of the error logs at the last switch are kept.
func (s *Site) marksPath() string { return s.Root.State("marks") }

// markLogs notes where the services' error logs end now, before the run touches them.
func (r *run) markLogs() map[string]gate.LogMark {
	marks := map[string]gate.LogMark{}
	for _, one := range r.services {
		spec := one.Spec()
		if spec.ErrorLog == "" {
			continue
		}
		mark, err := gate.MarkLog(spec.ErrorLog)
		r.warn(err)
		marks[spec.Name] = mark
		r.marks = append(r.marks, mark)
	}
	return marks
}

// keepMarks keeps the marks for rel err. It helps people and is no part of the run's safety: what goes wrong is a warning.
func (r *run) keepMarks(marks map[string]gate.LogMark) {
	data, err := json.Marshal(marks)
	if err == nil {
		err = disk.WriteFile(r.marksPath(), data, 0o644)
	}
	r.warnOfRoom(err)
}

// ErrorLogs are the error logs of the services, or of the one that is named, since the last switch.
func (s *Site) ErrorLogs(name string) ([]ErrorLog, error) {
	services, err := s.Services(nil, nil)
	if err != nil {
		return nil, err
	}
	marks, err := s.readMarks()
	if err != nil {
		return nil, err
	}
	logs := []ErrorLog{}
	for _, one := range services {
		spec := one.Spec()
		if spec.ErrorLog == "" || (name != "" && spec.Name != name) {
			continue
		}
		mark, known := marks[spec.Name]
		if !known {
			mark = gate.LogMark{Path: spec.ErrorLog} // never switched yet: the whole log
		}
		lines, next, err := mark.Next(errLines)
		if err != nil {
			return nil, err
		}
		logs = append(logs, ErrorLog{Service: spec.Name, Path: spec.ErrorLog, Lines: append([]string{}, lines...), mark: next})
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
func (l *ErrorLog) Next() ([]string, error) {
	lines, next, err := l.mark.Next(errLines)
	l.mark = next
	return lines, err
}
