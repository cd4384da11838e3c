package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// TrialCommand is the argument that makes this program the one that Try is for.
const TrialCommand = "rehearse-start"

// Verdict begins the line that the trial's process ends with.
const Verdict = "rehearsal: "

// trialVariable has the trial as JSON.
const trialVariable = "REL_TRIAL"

// trial is a start of services where they can touch nothing that is live.
type trial struct {
	Starts      []trialStart
	Env         []string
	Dir, Live   string // the root, the live path
	Owner       *proc.User
	Health      gate.Health
	Tag, Commit string
	Timeout     time.Duration // for commands to end, where no health is configured
}

type trialStart struct {
	Name, Shell string
	As          *proc.User
}

// trials are the services that have a start of their own for this.
func (r *run) trials() []config.Service {
	var all []config.Service
	for _, c := range r.Config.Service {
		if c.Rehearse != "" {
			all = append(all, c)
		}
	}
	return all
}

// tryStart starts the services' rehearse commands in order, in one private view of the new release, sees that they are healthy there
// and ends them.
func (r *run) tryStart(ctx context.Context, seen rehearsal) ([]string, error) {
	services := r.trials()
	if len(services) == 0 {
		return nil, nil
	}
	if seen.view == nil {
		r.note("%s: not started before the switch, since there is no rehearsal", services[0].Name)
		return nil, nil
	}
	view := *seen.view
	view.Private, view.Keep = true, r.Root.Dir
	t := trial{
		Env: r.environ(), Dir: r.Root.Dir, Live: r.Root.LivePath(), Health: r.healthOf(r.to), Tag: r.to.Tag, Commit: r.to.Commit,
	}
	c := proc.Command{
		Name: "rehearsal", Path: proc.Self, Args: []string{TrialCommand}, View: &view, Hold: r.hold.File,
		Started: r.started, Timeout: t.Health.Timeout,
	}
	var names []string
	for _, s := range services {
		start := trialStart{Name: s.Name, Shell: s.Rehearse}
		if as := controller(s); as != nil {
			c.As = as
		} else if proc.CanBecome() {
			start.As = &r.Owner
		}
		t.Starts = append(t.Starts, start)
		t.Timeout = max(t.Timeout, s.Timeout.Duration)
		names = append(names, s.Name+" start")
	}
	if c.As == nil && proc.CanBecome() { // the process itself is the owner then, as its commands
		for i := range t.Starts {
			t.Starts[i].As = nil
		}
	} else if proc.CanBecome() {
		t.Owner = &r.Owner
	}
	c.Timeout += t.Timeout
	text, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	c.Env = []string{trialVariable + "=" + string(text)}
	verdict := ""
	c.Output = func(line string) {
		if said, ok := strings.CutPrefix(line, Verdict); ok {
			verdict = said
		} else {
			r.output(line)
		}
	}
	_, err = c.Run(ctx)
	r.rec.Groups = nil
	if err != nil {
		return nil, r.judgeTrial(ctx, verdict, err)
	}
	names[len(names)-1] += verdict
	return names, nil
}

// judgeTrial tells a start that went wrong from one that could not be tried.
func (r *run) judgeTrial(ctx context.Context, verdict string, err error) error {
	_, ran := errors.AsType[*proc.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return err
	case !ran:
		return r.blind("%w", err)
	case verdict != "":
		return release.Errorf(release.ExitRefused, "rehearsal: %s", verdict)
	}
	return release.Errorf(release.ExitRefused, "%w", err)
}

// Try is the process that the services are started from, process 1 of their namespace: with its end they end. It gives what health
// saw.
func Try(ctx context.Context, output func(line string)) (string, error) {
	var t trial
	if err := json.Unmarshal([]byte(os.Getenv(trialVariable)), &t); err != nil {
		return "", fmt.Errorf("%s: %w", trialVariable, err)
	}
	ended := make(chan error, len(t.Starts))
	for _, s := range t.Starts {
		c := proc.Command{Name: s.Name, Shell: s.Shell, Dir: t.Dir, Env: t.Env, As: s.As, Output: output}
		begun := make(chan struct{})
		c.Started = func(int, uint64) error { close(begun); return nil }
		failed := make(chan error, 1)
		go func() {
			_, err := c.Run(ctx)
			failed <- err
			ended <- err
		}()
		select {
		case <-begun:
		case err := <-failed:
			if err != nil {
				return "", err
			}
		}
	}
	if !t.Health.Configured() {
		return "", t.awaitEnds(ctx, ended)
	}
	report, err := t.Health.Wait(ctx, gate.HealthRequest{
		Tag: t.Tag, Commit: t.Commit, Env: t.Env, Dir: t.Live, As: t.Owner, Output: output,
		Alive: func() error {
			select {
			case err := <-ended: // a start that ended well has left a daemon
				return err
			default:
				return nil
			}
		},
	})
	return " (" + report.Last + ")", err
}

// awaitEnds is for commands that ask what they have started themselves: they are to end well.
func (t trial) awaitEnds(ctx context.Context, ended <-chan error) error {
	late := time.After(t.Timeout)
	for range t.Starts {
		select {
		case err := <-ended:
			if err != nil {
				return err
			}
		case <-late:
			return fmt.Errorf("still running after %s, and there is no [health] to see how it does", t.Timeout)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
