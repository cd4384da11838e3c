package deploy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// straggler is a process that goes on with another release than the one that is live.
type straggler struct {
	service.Running
	release release.ID // that it uses; "" where only its age speaks against it
	use     proc.Use   // of that
	tag     string     // of it, once it is to be told
}

// settling is how long a process that will not end, since it is the main one or a new one, may take to leave an old release.
const settling = time.Second

// stragglers sees, once the new release answers, that no process of the services goes on with another: those that are on their way out
// have some time for that. What remains is a warning, or what sends the run back. What cannot be seen is a warning.
func (r *run) stragglers(ctx context.Context) error {
	for i, s := range r.services {
		left, err := r.firstLook(s)
		if err == nil && len(left) > 0 {
			err = r.awaitStragglers(ctx, s, r.Config.Service[i], left)
			if err != nil {
				return err
			}
		}
		r.warn(err)
	}
	return nil
}

// noteTook notes that a service has taken over what is live: rel status tells by that which of its processes are new.
func (r *run) noteTook(s *service.Service, state service.State) {
	name, run := s.Spec().Name, &r.rec.Run
	run.Services = append(slices.DeleteFunc(run.Services, func(t release.Took) bool { return t.Service == name }), release.Took{
		Service: name, PID: state.Master.PID, Start: state.Master.Start, Since: s.Since(), Boot: proc.BootID(),
	})
}

// firstLook finds a service's stragglers.
func (r *run) firstLook(s *service.Service) ([]straggler, error) {
	state, err := s.State()
	if err != nil || !state.Up || s.Spec().Restart == service.None { // health has said what there is to say
		return nil, err
	}
	if err := s.FindSharers(state); err != nil {
		return nil, err
	}
	left, unseen, err := r.stragglersOf(s, state)
	if len(unseen) > 0 {
		r.note("%s: this user may not look into pid %s: of %s by nothing but age", s.Spec().Name, listed(unseen), r.to.Tag)
	}
	return left, err
}

// awaitStragglers waits for the end of old processes, which are there, and judges those that remain.
func (r *run) awaitStragglers(ctx context.Context, s *service.Service, c config.Service, left []straggler) error {
	drain, begun := c.Drain.Duration, time.Now()
	if r.rec.Phase == journal.Reverting {
		drain = 0 // what is restored is not kept waiting
	}
	return r.step(release.StepHealth, fmt.Sprintf("%s: old processes, as pid %d", c.Name, left[0].PID), func() (string, error) {
		proc.Await(ctx, drain, func() bool {
			state, err := s.State()
			if err == nil {
				left, _, err = r.stragglersOf(s, state)
			}
			r.warn(err)
			return err != nil || len(left) == 0 || time.Since(begun) > settling && allStay(left)
		})
		if len(left) == 0 {
			return c.Name + ": no old process is left", nil
		}
		return fmt.Sprintf("%s: %s", c.Name, count(len(left), "old process", "old processes")), r.judgeStragglers(left, c)
	})
}

// allStay tells whether waiting is in vain.
func allStay(left []straggler) bool {
	for _, one := range left {
		if !one.Main && !one.Young {
			return false
		}
	}
	return true
}

// stragglersOf are those of a service now, and the pids of the processes that may not be looked into.
func (r *run) stragglersOf(s *service.Service, state service.State) (found []straggler, unseen []string, err error) {
	all, err := s.Running(state)
	if err != nil {
		return nil, nil, err
	}
	seen, err := r.lookInto(all, r.to.ID)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range all {
		if seen.unseen[p.PID] {
			unseen = append(unseen, strconv.Itoa(p.PID))
		}
		id, use := seen.of(p.PID)
		switch {
		case !p.Same():
		case id != "" && id != r.to.ID:
			found = append(found, straggler{Running: p, release: id, use: use})
		case p.Old && !(r.rec.Phase == journal.Reverting && p.StartedAt(r.Now()).Before(r.began)): // of what is restored
			found = append(found, straggler{Running: p})
		}
	}
	return found, unseen, nil
}

// judgeStragglers says what remains. Who only finishes what it has begun never sends a run back: it answers nothing new, and how long
// that takes is up to its clients.
func (r *run) judgeStragglers(left []straggler, c config.Service) error {
	var drain, stay []straggler
	releases := r.releases()
	for _, one := range left {
		if one.release != "" {
			one.tag = tagOf(releases, one.release)
		}
		if one.Drains {
			drain = append(drain, one)
		} else {
			stay = append(stay, one)
		}
	}
	if len(drain) > 0 {
		r.warn(r.remain(drain, c))
	}
	if len(stay) == 0 {
		return nil
	}
	err := r.remain(stay, c).Hint("%s", remedy(stay))
	if c.Stragglers == config.StragglersRevert && r.rec.Phase != journal.Reverting {
		return err
	}
	r.warn(err)
	return nil
}

// remain is the error that some processes remain, which goes into the history, too.
func (r *run) remain(some []straggler, c config.Service) *release.Error {
	err := release.Errorf(release.ExitError, "%s: %s", c.Name, sentence(some))
	r.rec.Run.Stragglers = append(r.rec.Run.Stragglers, err.Error())
	return err
}

// sentence names the first of some stragglers and what is seen of it, and the pids of the others.
func sentence(some []straggler) string {
	text := some[0].String()
	if len(some) == 1 {
		return text
	}
	var pids []string
	for _, one := range some[1:] {
		pids = append(pids, strconv.Itoa(one.PID))
	}
	return fmt.Sprintf("%s; and %d more: %s", text, len(some)-1, listed(pids))
}

func (s straggler) String() string {
	who := s.Process.String()
	switch {
	case s.Drains:
		return who + " still finishes what it began before the switch"
	case s.tag != "":
		return fmt.Sprintf("%s still runs in %s: %s", who, s.tag, useText(s.use))
	}
	return fmt.Sprintf("%s is from before the switch and still there: %s", who, proc.Cmdline(s.PID))
}

// remedy is what to do about stragglers.
func remedy(some []straggler) string {
	for _, one := range some {
		if one.Main || one.Young {
			return `what a reload leaves in the old release needs restart = "restart" or "stop-start" (docs/services.md)`
		}
	}
	return fmt.Sprintf("kill %d ends it", some[0].PID)
}

// maxListed is how many pids are listed.
const maxListed = 8

func listed(pids []string) string {
	if len(pids) > maxListed {
		return strings.Join(pids[:maxListed], ", ") + ", …"
	}
	return strings.Join(pids, ", ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
