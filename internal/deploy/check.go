package deploy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/ui"
)

// CheckReport is whether everything here is fit to deploy.
type CheckReport struct {
	Findings []Finding `json:"findings"`
	Sudoers  []string  `json:"sudoers"` // lines that the configuration needs
}

// Finding is one thing that was looked at.
type Finding struct {
	Name  string   `json:"name"`
	State string   `json:"state"` // ok, warn or bad
	Text  string   `json:"text"`
	Hints []string `json:"hints,omitempty"`
}

// The states of a finding.
const (
	findingOK   = "ok"
	findingWarn = "warn"
	findingBad  = "bad"
)

// OK says whether nothing bad was found.
func (r CheckReport) OK() bool {
	return !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.State == findingBad })
}

// add adds a finding: bad with the error's words and hints, or ok with text.
func (r *CheckReport) add(name, text string, err error) {
	r.addAs(findingBad, name, text, err)
}

// addAs is add where an error is less, or more, than bad.
func (r *CheckReport) addAs(state, name, text string, err error) {
	if err == nil {
		r.Findings = append(r.Findings, Finding{Name: name, State: findingOK, Text: text})
		return
	}
	r.Findings = append(r.Findings, Finding{Name: name, State: state, Text: err.Error(), Hints: release.Hints(err)})
}

// Check looks at everything that a deploy needs, and changes nothing.
func (s *Site) Check(ctx context.Context) CheckReport {
	report := CheckReport{Sudoers: []string{}}
	report.add("root", fmt.Sprintf("%s, owned by %s", s.Root.Dir, s.Owner.Name), nil)
	s.checkConfig(ctx, &report)
	s.checkRepo(ctx, &report)
	s.checkSign(ctx, &report)
	s.checkLive(&report)
	s.checkDisk(&report)
	s.checkReuse(&report)
	s.checkState(&report)
	s.checkServices(ctx, &report)
	report.addAs(findingWarn, "health", "configured", s.checkHealth())
	return report
}

// checkConfig warns of a configuration that comes with the commits: what it says is run, and by root where root runs rel.
func (s *Site) checkConfig(ctx context.Context, report *CheckReport) {
	if !s.Found.Configured {
		report.add("config", "none: every setting is the default", nil)
		return
	}
	report.add("config", filepath.Join(s.Root.Dir, config.File), nil)
	if s.tracked(ctx, config.File) {
		report.addAs(findingWarn, "config", "", release.Errorf(release.ExitError, "%s: tracked by git: a commit can change what rel runs", config.File).
			Hint("git rm --cached %s keeps it, and takes it out of git", config.File))
	}
}

// tracked says whether git has a file, named from the root, in the index of the work tree that the root lies in.
func (s *Site) tracked(ctx context.Context, path string) bool {
	return s.Found.WorkTree && s.git(ctx, "-C", s.Root.Dir, "ls-files", "--error-unmatch", "--", path) == nil
}

func (s *Site) checkRepo(ctx context.Context, report *CheckReport) {
	git := proc.Command{Path: "git", Args: []string{"--version"}, Env: proc.Environment(s.Owner, nil)}
	version, err := git.Run(ctx)
	if err != nil {
		err = release.Errorf(release.ExitError, "%w", err).Hint("install git: rel cut and a push need it")
	}
	report.addAs(findingWarn, "git", strings.Join(version.Tail, " "), err)
	repo, err := s.Repo()
	if err != nil {
		report.add("repository", "", err)
		return
	}
	defer repo.Close()
	tags, err := repo.Tags(ctx)
	report.add("repository", repo.Dir+", "+ui.Count(len(tags), "tag"), err)
	if s.Made() {
		s.checkAudit(ctx, report, repo)
	}
	if _, elsewhere := s.Config.Remote(); !elsewhere {
		s.checkHooks(ctx, repo, report)
	}
	if err == nil && len(tags) == 0 {
		report.addAs(findingWarn, "tags", "", release.Errorf(release.ExitError, "none yet").Hint("rel cut v0.1.0 makes the first"))
	}
}

// checkSign sees that the files that say who may sign tags can be used, and that a commit cannot change them.
func (s *Site) checkSign(ctx context.Context, report *CheckReport) {
	trust, err := s.Trust()
	if trust == nil && err == nil {
		return
	}
	state, text := findingWarn, "not required, and shown where they are"
	if s.Config.Sign.Require {
		state, text = findingBad, "required of every tag"
	}
	report.addAs(state, "signatures", text, err)
	for _, path := range []string{s.Config.Sign.AllowedSigners, s.Config.Sign.Keyring} {
		if path != "" && s.tracked(ctx, path) {
			report.addAs(findingWarn, "signatures", "", release.Errorf(release.ExitError, "%s: tracked by git: a commit can change whom rel trusts", path).
				Hint("git rm --cached %s keeps it, and takes it out of git", path))
		}
	}
}

func (s *Site) checkLive(report *CheckReport) {
	live, err := s.Root.Live()
	if err == nil {
		err = s.Root.Refuse(live)
	}
	text := s.Root.LivePath() + ": nothing is live yet"
	if live.ID != "" {
		text = fmt.Sprintf("%s: %s", s.Root.LivePath(), live.ID)
	}
	report.add("live path", text, err)
	if s.Config.Live.Mode != store.ModeDirectory {
		return
	}
	err = disk.ProbeExchange(s.Root.Dir)
	state := findingBad
	if s.Config.Live.Gap {
		state = findingWarn
	} else if err != nil {
		err = release.Errorf(release.ExitError, "%w", err).Hint("live.gap = true in rel.toml allows two renames; or mode = \"symlink\"")
	}
	report.addAs(state, "exchange", "directories can be exchanged here", err)
}

func (s *Site) checkDisk(report *CheckReport) {
	free, err := disk.Free(s.Root.Dir)
	report.add("disk", ui.Size(free.Bytes)+" free", err)
}

func (s *Site) checkState(report *CheckReport) {
	rec, pending, err := s.Pending()
	if pending {
		err = pendingError(rec)
	}
	report.add("runs", "none has crashed", err)
	if err := s.SetAside(); err != nil {
		report.addAs(findingWarn, "queue", "", err)
	}
	if err := s.Held(); err != nil {
		report.addAs(findingWarn, "hold", "", err)
	}
}

func (s *Site) checkServices(ctx context.Context, report *CheckReport) {
	services, err := s.Services(nil, nil)
	if err != nil {
		report.add("services", "", err)
		return
	}
	if len(services) == 0 {
		report.addAs(findingWarn, "services", "", release.Errorf(release.ExitError, "none configured: nothing is restarted").
			Hint("add [[service]] to %s/rel.toml", s.Root.Dir))
	}
	for _, one := range services {
		state, err := one.State()
		text := "down"
		if state.Up {
			text = fmt.Sprintf("up, pid %d", state.Master.PID)
		}
		report.add("service "+one.Spec().Name, text, err)
		if log := s.errorLog(one); log.Path != "" {
			_, err := log.Mark(ctx)
			report.addAs(findingWarn, "error log "+one.Spec().Name, log.Path, err)
		}
		report.Sudoers = append(report.Sudoers, one.Sudoers(s.Owner.Name)...)
	}
	if len(services) > 0 {
		report.add("control", s.Owner.Name+" may control what runs", s.mayControl(services, "check"))
	}
	s.checkAccess(ctx, report)
}

// checkAccess sees that the services' user can come to where releases are.
func (s *Site) checkAccess(ctx context.Context, report *CheckReport) {
	user, err := s.serviceUser()
	if err != nil {
		report.add("user", "", err)
		return
	}
	if user == nil {
		return
	}
	dir := s.Root.Dir
	if releases := filepath.Join(dir, "releases"); isDir(releases) {
		dir = releases
	}
	access, err := gate.Access(ctx, gate.AccessRequest{Dir: dir, Final: s.Root.LivePath(), User: *user, Become: true})
	if err == nil {
		err = access.Err()
	}
	report.add("user", fmt.Sprintf("%s can reach %s (%s)", user.Name, s.Root.LivePath(), access.How), err)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (s *Site) checkHealth() error {
	health := s.healthOf(release.Release{})
	if !health.Configured() {
		return release.Errorf(release.ExitError, "no [health]: a release goes live unseen").
			Hint("[health] url = \"http://127.0.0.1/\" in %s/rel.toml", s.Root.Dir)
	}
	return health.Validate()
}
