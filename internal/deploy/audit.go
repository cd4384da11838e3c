package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

const (
	auditWithin = 30 * time.Second // for git to write it
	auditMost   = 1000             // runs that are copied at once: a longer gap is closed by the runs that follow
	auditBack   = 1000             // runs of the copy that are compared
)

// audit copies the finished runs that the repository does not have yet into it. It comes after the outcome is told: nobody waits for
// it, and nothing depends on it. Where the repository is away, the next run does it.
func (s *Site) audit(ctx context.Context, repo *gitrepo.Repo) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditWithin)
	defer cancel()
	missing, err := s.unaudited(repo)
	if err == nil {
		err = repo.AppendAudit(ctx, s.Config.App, missing[:min(len(missing), auditMost)])
	}
	if err != nil {
		return release.Errorf(release.ExitError, "the history in the repository: %w", err).
			Hint("the next run adds what is missing; rel check tells whether something is")
	}
	return nil
}

// unaudited are the finished runs that the repository's copy has not, oldest first. Runs are told apart by their keys: after the loss
// of a journal their numbers begin anew.
func (s *Site) unaudited(repo *gitrepo.Repo) ([]release.Run, error) {
	known := map[string]bool{}
	err := repo.Audit(s.Config.App, func(run release.Run) bool {
		known[run.Key] = true
		return false
	})
	if err != nil {
		return nil, err
	}
	runs, met, err := s.since(known)
	if err != nil || met || len(known) == 0 {
		return runs, err
	}
	// What was copied last is not in the history here: look further back for what is.
	err = repo.Audit(s.Config.App, func(run release.Run) bool {
		known[run.Key] = true
		return len(known) < auditBack
	})
	if err != nil {
		return nil, err
	}
	runs, _, err = s.since(known)
	return runs, err
}

// since are the finished runs after the newest one that is known, oldest first, and whether there is one.
func (s *Site) since(known map[string]bool) (runs []release.Run, met bool, err error) {
	err = journal.NewestFirst(s.Root.State(), func(run release.Run) bool {
		if met = known[run.Key]; !met {
			runs = append(runs, run)
		}
		return !met
	})
	slices.Reverse(runs)
	return runs, met, err
}

// checkAudit compares the newest runs of the repository's copy with the history here.
func (s *Site) checkAudit(report *CheckReport, repo *gitrepo.Repo) {
	copied := map[string]release.Run{}
	err := repo.Audit(s.Config.App, func(run release.Run) bool {
		copied[run.Key] = run
		return len(copied) < auditBack
	})
	if err != nil {
		report.addAs(findingWarn, "history", "", err)
		return
	}
	missing, err := s.unaudited(repo)
	if err == nil && len(missing) > 0 {
		err = release.Errorf(release.ExitError, "%s not in the repository yet", ui.Count(len(missing), "run")).Hint("the next run adds them")
	}
	if err != nil {
		report.addAs(findingWarn, "history", "", err)
		return
	}
	report.add("history", "as its copy in the repository", s.compareAudit(copied))
}

// compareAudit is an error where a run is told otherwise in the copy than here.
func (s *Site) compareAudit(copied map[string]release.Run) error {
	var differs error
	err := journal.NewestFirst(s.Root.State(), func(run release.Run) bool {
		other, found := copied[run.Key]
		delete(copied, run.Key)
		if found && !sameRun(run, other) {
			differs = release.Errorf(release.ExitError, "run %d is not what the repository says of it: %s %s by %s here, %s %s by %s there",
				run.Run, run.To, run.Outcome, run.By, other.To, other.Outcome, other.By).
				Hint("one of the two was changed afterwards: git log -p 'refs/rel/history/*' shows the repository's, .rel/history is the other")
		}
		return differs == nil && found && len(copied) > 0
	})
	return errors.Join(err, differs)
}

func sameRun(a, b release.Run) bool {
	one, err1 := json.Marshal(a)
	other, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(one) == string(other)
}

// AuditedHistory is the history that the repository has a copy of: the last n runs of app, newest first; all where n is 0. Without an
// app it is the only one that there is.
func (s *Site) AuditedHistory(app string, n int) ([]release.Run, error) {
	repo, err := s.Repo()
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	apps, err := repo.Audited()
	switch {
	case err != nil:
		return nil, err
	case app == "" && len(apps) == 0:
		return nil, nil
	case app == "" && len(apps) > 1:
		return nil, release.Errorf(release.ExitUsage, "%s: it has the history of %d apps: %v", repo.Dir, len(apps), apps).
			Hint("rel history --app %s", apps[0])
	case app == "":
		app = apps[0]
	case !slices.Contains(apps, app):
		return nil, release.Errorf(release.ExitNotFound, "%s: it has no history of %s", repo.Dir, app).
			Hint("git fetch REMOTE 'refs/rel/*:refs/rel/*' brings what the server has; it has now: %s", fmt.Sprint(apps))
	}
	var runs []release.Run
	err = repo.Audit(app, func(run release.Run) bool {
		runs = append(runs, run)
		return n == 0 || len(runs) < n
	})
	return runs, err
}
