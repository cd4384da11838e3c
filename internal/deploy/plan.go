package deploy

import (
	"context"
	"slices"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/service"
)

// Plan is what a request would do: a dry run. Nothing is executed and nothing is written to find out.
type Plan struct {
	Command  string           `json:"command"`
	From     string           `json:"from"`
	To       string           `json:"to"`
	Commit   string           `json:"commit"`
	Release  release.ID       `json:"release"` // on disk already; empty where it must be exported
	Live     bool             `json:"live"`    // it is live already
	Files    int              `json:"files"`   // of an export
	Bytes    int64            `json:"bytes"`
	Free     int64            `json:"free"`    // bytes
	Fetches  []string         `json:"fetches"` // submodules that would be fetched first, whose files are not counted: "path: URL"
	Steps    []PlanStep       `json:"steps"`
	Comes    []gitrepo.Commit `json:"comes"` // commits of To that From has not
	Goes     []gitrepo.Commit `json:"goes"`  // commits of From that To has not
	Changes  []gitrepo.Change `json:"changes"`
	Refusals []string         `json:"refusals"` // what would refuse it now
	Hints    []string         `json:"hints"`    // what helps then
}

// PlanStep is a step that would be done.
type PlanStep struct {
	Step release.Step `json:"step"`
	What string       `json:"what"`
}

// planCommits is how many commits a plan names at most, each way.
const planCommits = 50

// Plan finds out what the request would do.
func (s *Site) Plan(ctx context.Context, req Request) (Plan, error) {
	plan := Plan{
		Command: req.Command, Comes: []gitrepo.Commit{}, Goes: []gitrepo.Commit{}, Changes: []gitrepo.Change{},
		Fetches: []string{}, Steps: []PlanStep{}, Refusals: []string{}, Hints: []string{},
	}
	v := view{}
	if s.Made() {
		var err error
		if v, err = s.look(); err != nil {
			return plan, err
		}
	}
	var repo *gitrepo.Repo
	open := func(string) (*gitrepo.Repo, error) {
		var err error
		repo, err = s.Repo()
		return repo, err
	}
	t, err := s.choose(ctx, req, v, open)
	if repo != nil {
		defer repo.Close()
	}
	if remote, ok := s.Config.Remote(); ok && release.ExitCode(err) == release.ExitNotFound {
		err = release.Errorf(release.ExitNotFound, "%w in what was fetched from %s before, and a dry run fetches nothing", err, remote).
			Hint("rel stage %s fetches it", req.Tag)
	}
	if err != nil {
		return plan, err
	}
	plan.From, plan.To, plan.Commit, plan.Release = v.Live.Tag, t.Tag.Name, t.Tag.Commit, t.Release.ID
	plan.Live = t.Release.ID != "" && t.Release.ID == v.Live.ID
	if req.Command == Activate {
		plan.refuse(s.Held())
	}
	if t.Release.ID == "" {
		if err := s.planExport(ctx, &plan, repo); err != nil {
			return plan, err
		}
	}
	if err := s.planSteps(&plan, req, t); err != nil {
		return plan, err
	}
	return plan, s.planChanges(ctx, &plan, v.Live.Commit)
}

func (p *Plan) refuse(err error) {
	if err != nil {
		p.Refusals = append(p.Refusals, err.Error())
		p.Hints = append(p.Hints, release.Hints(err)...)
	}
}

func (s *Site) planExport(ctx context.Context, plan *Plan, repo *gitrepo.Repo) error {
	commit, err := objects.ParseID(plan.Commit)
	if err != nil {
		return err
	}
	modules, err := s.modules(nil, func(path string, remote release.Remote) bool {
		plan.Fetches = append(plan.Fetches, path+": "+remote.String())
		return false
	})
	if err != nil {
		return err
	}
	defer modules.Close()
	surveyed, err := export.Survey(ctx, s.source(repo, modules, commit, plan.To))
	if release.ExitCode(err) == release.ExitRefused {
		plan.refuse(err)
		return nil
	}
	if err != nil {
		return err
	}
	free, err := disk.Free(s.Root.Dir)
	if err != nil {
		return err
	}
	if was, ok := s.Root.Aside(); ok { // it goes where room is short
		free.Bytes += was.Bytes
		if free.Inodes >= 0 {
			free.Inodes += int64(was.Files)
		}
	}
	plan.Files, plan.Bytes, plan.Free = surveyed.Files, surveyed.Bytes, free.Bytes
	plan.refuse(s.enough(surveyed, free, plan.To))
	return nil
}

// planSteps names the steps that would be done, in order.
func (s *Site) planSteps(plan *Plan, req Request, t target) error {
	services, err := s.Services(nil, nil)
	if err != nil {
		return err
	}
	add := func(step release.Step, what string) { plan.Steps = append(plan.Steps, PlanStep{step, what}) }
	if t.Release.ID == "" {
		add(release.StepExport, plan.To)
		if s.Config.Build.Run != "" {
			add(release.StepBuild, s.Config.Build.Run)
		}
	}
	if !req.Force && (req.Command != Rollback || !t.OnceLive) {
		for _, check := range s.Config.Check {
			add(release.StepCheck, check.Name)
		}
		for _, one := range services {
			if one.Spec().Test != "" {
				add(release.StepCheck, one.Spec().Test)
			}
		}
	}
	if req.Command == Stage {
		return nil
	}
	before := s.Config.Steps.Before
	if req.Command == Rollback {
		before = s.Config.Steps.OnRollback
	}
	if before != "" {
		add(release.StepBefore, before)
	}
	for _, one := range services {
		if one.Spec().Restart == service.StopStart {
			add(release.StepStop, one.Spec().Name)
		}
	}
	add(release.StepSwitch, s.Config.Live.Path)
	for _, one := range services {
		add(release.StepStart, one.Spec().Name+": "+one.Spec().Restart)
	}
	if s.healthOf(release.Release{}).Configured() {
		add(release.StepHealth, nonEmpty(s.Config.Health.URL, nonEmpty(s.Config.Health.TCP, s.Config.Health.Run)))
	}
	logged := slices.ContainsFunc(services, func(s *service.Service) bool { return s.Spec().ErrorLog != "" })
	if d := s.Config.SoakTime(logged && s.Config.Health.Log != config.LogOff); d > 0 && req.Command == Activate {
		add(release.StepSoak, config.Duration{Duration: d}.String())
	}
	return nil
}

// planChanges fills in the commits and files between what is live and what would be.
func (s *Site) planChanges(ctx context.Context, plan *Plan, from string) error {
	if from == "" || plan.Commit == "" || from == plan.Commit {
		return nil
	}
	repo, err := s.Repo()
	if err != nil {
		return nil // a rollback needs no repository; there is only less to show
	}
	defer repo.Close()
	if plan.Comes, plan.Goes, err = repo.Log(ctx, from, plan.Commit, planCommits); err != nil {
		return err
	}
	changes, err := repo.Changes(ctx, from, plan.Commit)
	plan.Changes = append(plan.Changes, changes...)
	return err
}
