package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
	"github.com/git-rel/rel/internal/store"
)

// Status is what is live, since when, and what runs.
type Status struct {
	Tag      string          `json:"tag"`
	Commit   string          `json:"commit"`
	Release  release.ID      `json:"release"`
	Signer   string          `json:"signer"` // of the tag, as it was verified when it was staged or went live
	Since    *time.Time      `json:"since"`  // null where nothing is live, or no run made it so
	Path     string          `json:"path"`
	Drift    []store.Drift   `json:"drift"` // tagged files that are not as they were tagged
	Services []ServiceStatus `json:"services"`
	Run      int             `json:"run"`               // the run that made it live; 0 if none
	Pending  string          `json:"pending,omitempty"` // a run that crashed and is not recovered
	Active   string          `json:"active,omitempty"`  // a run in flight
	Held     *Hold           `json:"hold,omitempty"`
	Queued   int             `json:"queued,omitempty"`  // requests that wait
	Lost     []string        `json:"lost,omitempty"`    // tags that git has accepted and no hook has seen
	Foreign  string          `json:"foreign,omitempty"` // why the live path is not rel's
	Health   *HealthStatus   `json:"health,omitempty"`  // only where it was asked for
}

// ServiceStatus is how one service is.
type ServiceStatus struct {
	Name      string          `json:"name"`
	Up        bool            `json:"up"`
	PID       int             `json:"pid"`
	Since     *time.Time      `json:"since"`
	Processes int             `json:"processes"`
	Running   []ProcessStatus `json:"running"`       // with all that its processes have started
	Why       string          `json:"why,omitempty"` // it is down, or could not be looked at
}

// HealthStatus is what one try of the health probes saw.
type HealthStatus struct {
	Verified release.Verified `json:"verified"`
	Error    string           `json:"error,omitempty"`
}

// OK says whether a release is live, undrifted and, as far as it was looked at, healthy.
func (s Status) OK() bool {
	for _, one := range s.Services {
		if !one.Up {
			return false
		}
	}
	return s.Release != "" && len(s.Drift) == 0 && s.Pending == "" && (s.Health == nil || s.Health.Error == "")
}

// Status looks at the disk, the history and the processes; with health it also asks the service once.
func (s *Site) Status(ctx context.Context, health bool) (Status, error) {
	status := Status{Path: s.Root.LivePath(), Drift: []store.Drift{}, Services: []ServiceStatus{}}
	var err error
	if status.Held, err = s.Hold(); err != nil {
		return status, err
	}
	if err := s.runsNow(&status); err != nil {
		return status, err
	}
	s.pushes(&status)
	live, err := s.Root.Live()
	if err != nil {
		return status, err
	}
	status.Foreign = live.Foreign
	var took map[string]release.Took
	v, err := s.peek()
	if err != nil {
		return status, err
	}
	if v.Live.ID != "" {
		status.Tag, status.Commit, status.Release = v.Live.Tag, v.Live.Commit, v.Live.ID
		status.Signer = v.signer(v.Live.Tag, v.Live.Commit, v.Live.Signer)
		if took, err = s.sinceWhen(&status); err != nil {
			return status, err
		}
		drift, err := s.drift(v.Live.ID)
		if err != nil {
			s.Warn(err)
		}
		status.Drift = append(status.Drift, drift...)
	}
	services, err := s.Services(nil, nil)
	if err != nil {
		return status, err
	}
	for _, one := range services {
		status.Services = append(status.Services, s.serviceStatus(one, v, took[one.Spec().Name]))
	}
	if health && s.healthOf(v.Live).Configured() {
		report, err := s.healthOf(v.Live).Once(ctx, gate.HealthRequest{
			Tag: v.Live.Tag, Commit: v.Live.Commit, Dir: s.Root.LivePath(),
			Env: s.environ(s.Owner, v.Live, map[string]string{"REL_COMMAND": "status"}),
		})
		status.Health = &HealthStatus{Verified: report.Verified}
		if err != nil {
			status.Health.Error = err.Error()
		}
	}
	return status, nil
}

// runsNow fills in the run in flight, or the one that crashed.
func (s *Site) runsNow(status *Status) error {
	rec, pending, err := s.Pending()
	if err != nil {
		return err
	}
	if pending {
		status.Pending = fmt.Sprintf("run %d (%s %s) crashed in phase %s", rec.Run.Run, rec.Run.Command, rec.Run.To, rec.Phase)
		return nil
	}
	if s.Made() {
		status.Active = s.Holder()
	}
	return nil
}

// pushes fills in what became of pushes. Only the owner can look into the queue.
func (s *Site) pushes(status *Status) {
	waiting, _, err := s.Queued()
	if errors.Is(err, fs.ErrPermission) {
		return
	}
	status.Queued = len(slices.DeleteFunc(waiting, func(w Waiting) bool { return w.Run > 0 }))
	lost, lostErr := s.Lost()
	for _, u := range lost {
		if retry, tag := shortName(u.Ref); !retry {
			status.Lost = append(status.Lost, tag)
		}
	}
	if err = errors.Join(err, lostErr); err != nil {
		s.Warn(err)
	}
}

// sinceLookBack is how many runs are looked through for the one that made the live release live.
const sinceLookBack = 1000

// sinceWhen finds the run that made the live release live, and how each service took it over last.
func (s *Site) sinceWhen(status *Status) (took map[string]release.Took, err error) {
	runs, err := journal.Tail(s.Root.State(), sinceLookBack)
	if err != nil {
		return nil, err
	}
	took = map[string]release.Took{}
	for _, run := range runs {
		if run.Now != status.Release {
			return took, nil
		}
		for _, one := range run.Services {
			if _, newer := took[one.Service]; !newer && one.Since > 0 {
				took[one.Service] = one
			}
		}
		if run.FromID != status.Release && run.Release == status.Release {
			since := run.Started.Add(time.Duration(run.Seconds * float64(time.Second))).UTC().Truncate(time.Second)
			status.Since, status.Run = &since, run.Run
			return took, nil
		}
	}
	return took, nil
}

func (s *Site) serviceStatus(one *service.Service, v view, took release.Took) ServiceStatus {
	status := ServiceStatus{Name: one.Spec().Name, Running: []ProcessStatus{}}
	state, err := one.State()
	if err != nil {
		status.Why = err.Error()
		return status
	}
	status.Up, status.PID, status.Why = state.Up, state.Master.PID, state.Why
	for _, port := range state.Ports {
		if !state.Up && port.Held {
			status.Why += "; " + port.String()
		}
	}
	if state.Up {
		since := state.Master.StartedAt(s.Now()).UTC().Truncate(time.Second)
		status.Since, status.Processes = &since, 1+len(state.Workers)
	}
	if running, err := s.processes(one, state, v, took); err != nil {
		status.Why = err.Error()
	} else {
		status.Running = running
	}
	return status
}
