package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// Services are the configured services. The hooks, which may be nil, are told what a service's commands print and which
// processes they are.
func (s *Site) Services(output func(string), started func(pid int, start uint64) error) ([]*service.Service, error) {
	var all []*service.Service
	for _, c := range s.Config.Service {
		one, err := service.New(serviceSpec(c), service.Env{
			Dir: s.Root.Dir, Environ: proc.Environment(s.Owner, s.Config.Env), LogDir: s.Root.State("services"),
			Started: started, Output: output, Warn: func(text string) { s.Warn(errors.New(text)) }, As: controller(c),
		})
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// controller is who controls a service: root where rel was run by root and the service is one of the system's, which root alone
// can control; else the root's owner, who this process is, with sudo where the configuration says so.
func controller(c config.Service) *proc.User {
	system := c.Preset == "apache" || c.Preset == "nginx" || c.Preset == "systemd"
	if system && !c.Sudo && proc.CanBecome() {
		return &proc.User{Name: "root", Home: "/root"}
	}
	return nil
}

func serviceSpec(c config.Service) service.Spec {
	return service.Spec{
		Name: c.Name, Preset: c.Preset, Restart: c.Restart, User: c.User, Sudo: c.Sudo, Unit: c.Unit, Start: c.Start, Stop: c.Stop,
		RestartCmd: c.RestartCmd, Graceful: c.Graceful, Test: c.Test, PIDFile: c.PIDFile, Listen: c.Listen,
		ErrorLog: c.ErrorLog, Timeout: c.Timeout.Duration,
	}
}

// mayControl refuses to touch services that this user cannot control, while nothing is touched yet: the commonest mistake is a
// sudo that was forgotten. Commands of the configuration may have ways of their own and are left to it.
func (s *Site) mayControl(services []*service.Service, command string) error {
	for i, one := range services {
		c := s.Config.Service[i]
		if err := portIsFree(one, command); err != nil {
			return err
		}
		if c.Start+c.Stop+c.RestartCmd+c.Graceful != "" || c.Sudo || one.Spec().Restart == service.None {
			continue
		}
		state, err := one.State()
		if err != nil || !state.Up || state.Unit != "" || state.Master.PID == 0 || state.Master.MaySignal() {
			continue
		}
		return release.Errorf(release.ExitRefused, "%s: its master, %s, is not %s's to signal", c.Name, state.Master, s.Owner.Name).
			Hint("sudo rel -C %s %s", s.Root.Dir, command).Hint("or sudo = true of [[service]]: rel check prints the sudoers lines")
	}
	return nil
}

// portIsFree refuses to begin with a service that is down while somebody else holds its port, be it an orphan of its own: it could
// not come up.
func portIsFree(one *service.Service, command string) error {
	state, err := one.State()
	if err != nil || state.Up || one.Spec().Restart == service.None || command == Stop {
		return nil
	}
	for _, port := range state.Ports {
		if port.Held && !port.Ours {
			return release.Errorf(release.ExitRefused, "%s: it is down, and %s", one.Spec().Name, port).
				Hint("end that process, as with kill %d; then again", port.PID)
		}
	}
	return nil
}

// started puts the process group of a service command into the journal: it holds no lock that would show it after a crash.
func (r *run) started(pid int, start uint64) error {
	r.rec.Groups = append(r.rec.Groups, journal.Group{PID: pid, Start: start})
	return r.record()
}

// lockServices takes the services' own locks: two roots that share a service take turns.
func (r *run) lockServices(ctx context.Context) error {
	for _, s := range r.services {
		unlock, err := s.Lock(ctx)
		if err != nil {
			return err
		}
		r.unlock = append(r.unlock, unlock)
	}
	return nil
}

// servicesNow is how each service is before it is touched.
func (r *run) servicesNow() ([]journal.ServiceWas, error) {
	var all []journal.ServiceWas
	for _, s := range r.services {
		state, err := s.State()
		if err != nil {
			return nil, err
		}
		all = append(all, journal.ServiceWas{
			Name: s.Spec().Name, Up: state.Up, PID: state.Master.PID, Start: state.Master.Start,
		})
	}
	return all, nil
}

// wasUp says how a service was before the run touched it.
func (r *run) wasUp(name string) bool {
	return slices.ContainsFunc(r.rec.Services, func(s journal.ServiceWas) bool { return s.Name == name && s.Up })
}

// stopServices stops, in reverse order, the services that are stopped for a switch.
func (r *run) stopServices(ctx context.Context) error {
	for _, s := range slices.Backward(r.services) {
		if s.Spec().Restart != service.StopStart {
			continue
		}
		if r.rec.StoppedAt.IsZero() {
			r.rec.StoppedAt = r.Now().UTC()
			if err := r.record(); err != nil { // so that recovery knows that what runs may be on its way down
				return err
			}
		}
		if err := r.serviceStep(release.StepStop, s, "stopped", func() error { return s.Stop(ctx) }); err != nil {
			return err
		}
	}
	return r.mark(journal.Stopped)
}

// startServices brings the services, in order, to serve what is live now.
func (r *run) startServices(ctx context.Context) error {
	if err := r.mark(journal.Starting); err != nil {
		return err
	}
	for _, s := range r.services {
		if err := r.apply(ctx, s); err != nil {
			return err
		}
	}
	r.upAgain()
	return r.mark(journal.Started)
}

// upAgain ends the time in which services were known to be down.
func (r *run) upAgain() {
	if !r.rec.StoppedAt.IsZero() {
		r.down += r.Now().Sub(r.rec.StoppedAt)
		r.rec.StoppedAt = time.Time{}
	}
}

// apply makes one service serve what is live now, by its restart kind; Apply itself starts a service that is down.
func (r *run) apply(ctx context.Context, s *service.Service) error {
	kind := s.Spec().Restart
	if kind == service.None {
		return nil
	}
	word := "started"
	if kind != service.StopStart { // what was stopped is down, and every moment counts
		state, err := s.State()
		if err != nil {
			return err
		}
		if state.Up {
			word = map[string]string{service.Graceful: "reloaded", service.Restart: "restarted"}[kind]
		}
	}
	start := r.Now()
	err := r.serviceStep(release.StepStart, s, word, func() error {
		if kind == service.StopStart {
			return s.Start(ctx)
		}
		return s.Apply(ctx, kind)
	})
	if r.rec.Phase != journal.Reverting && err == nil {
		r.took[s.Spec().Name] = true
	}
	if r.rec.StoppedAt.IsZero() && (err != nil && !r.undisturbed(s) || kind == service.Restart) {
		r.rec.StoppedAt = start.UTC() // it is down since about then; startServices ends it
	}
	return err
}

func (r *run) serviceStep(step release.Step, s *service.Service, word string, do func() error) error {
	return r.step(step, s.Spec().Name, func() (string, error) {
		err := do()
		r.rec.Groups = nil // they were of commands in flight
		if err != nil {
			return "", err
		}
		if step == release.StepStop { // every moment counts, and there is no pid to tell
			return s.Spec().Name + " " + word, nil
		}
		state, err := s.State()
		if err != nil || !state.Up {
			return s.Spec().Name + " " + word, err
		}
		if step == release.StepStart {
			r.noteTook(s, state)
		}
		return fmt.Sprintf("%s %s, pid %d", s.Spec().Name, word, state.Master.PID), nil
	})
}

// stillUp sees that each service that the run wants up is up.
func (r *run) stillUp() error {
	for _, s := range r.services {
		if s.Spec().Restart == service.None && !r.wasUp(s.Spec().Name) {
			continue
		}
		state, err := s.State()
		if err != nil {
			return err
		}
		if !state.Up {
			return fmt.Errorf("%s: it is down: %s", s.Spec().Name, state.Why)
		}
	}
	return nil
}

// healthOf is how to tell that a release works. One that was adopted has no tag or commit that an answer could name.
func (s *Site) healthOf(one release.Release) gate.Health {
	h := s.Config.Health
	if one.Adopted {
		h.Release = ""
	}
	return gate.Health{
		URL: h.URL, Status: h.Status, Body: h.Body, Release: h.Release, TCP: h.TCP, Run: h.Run,
		Passes: h.Passes, Interval: h.Interval.Duration, Timeout: h.Timeout.Duration,
	}
}

func (r *run) healthRequest() gate.HealthRequest {
	return gate.HealthRequest{
		Tag: r.to.Tag, Commit: r.to.Commit, Env: r.environ(), Dir: r.Root.LivePath(), Hold: r.hold.File, Alive: r.stillUp,
	}
}

// healthOnce asks once, of a release that has been live.
func (r *run) healthOnce(ctx context.Context) (release.Verified, error) {
	if !r.healthOf(r.from).Configured() {
		if len(r.services) > 0 {
			return release.VerifiedProcess, nil
		}
		return release.VerifiedNone, nil
	}
	request := r.healthRequest()
	request.Tag, request.Commit = r.from.Tag, r.from.Commit
	report, err := r.healthOf(r.from).Once(ctx, request)
	return report.Verified, err
}
