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
// it, and nothing depends on it. Where the repository is away, or a rollback wants the lock, the next run does it.
func (s *Site) audit(ctx context.Context, repo *gitrepo.Repo) error {
	if ctx.Err() != nil {
		return nil // cancelled, perhaps for a rollback that waits: the next run copies it
	}
	limited, cancel := context.WithTimeout(ctx, auditWithin)
	defer cancel()
	root, err := s.Root.ID()
	var missing []release.Run
	if err == nil {
		missing, err = s.unaudited(repo)
	}
	if err == nil {
		err = repo.AppendAudit(limited, s.Config.App, root, missing[:min(len(missing), auditMost)])
	}
	if err != nil && ctx.Err() == nil { // a rollback that wants the lock is no fault; git that takes too long is one
		e := release.Errorf(release.ExitError, "the history in the repository: %w", err)
		e.Hints = append(release.Hints(err), "the next run adds what is missing; rel check tells whether something is")
		return e
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
func (s *Site) checkAudit(ctx context.Context, report *CheckReport, repo *gitrepo.Repo) {
	s.awaitEnd(ctx)
	root, err := s.Root.ID()
	if err == nil {
		err = repo.AuditedBy(s.Config.App, root)
	}
	var missing []release.Run
	if err == nil {
		missing, err = s.unaudited(repo)
	}
	if err == nil && len(missing) > 0 {
		err = release.Errorf(release.ExitError, "%s not in the repository yet", ui.Count(len(missing), "run")).Hint("the next run adds them")
	}
	if err != nil {
		report.addAs(findingWarn, "history", "", err)
		return
	}
	report.add("history", "as its copy in the repository", s.compareAudit(repo))
}

// compareAudit is an error where the newest runs of the copy and those here are not the same, one by one.
func (s *Site) compareAudit(repo *gitrepo.Repo) error {
	var copied []release.Run
	err := repo.Audit(s.Config.App, func(run release.Run) bool {
		copied = append(copied, run)
		return len(copied) < auditBack
	})
	if err != nil {
		return err
	}
	at := 0
	var differs error
	err = journal.NewestFirst(s.Root.State(), func(run release.Run) bool {
		if at == len(copied) && at < auditBack {
			differs = release.Errorf(release.ExitError, "run %d is not in the repository's copy", run.Run)
		} else if at < len(copied) && !sameRun(run, copied[at]) {
			differs = difference(run, copied[at])
		}
		at++
		return differs == nil && at < auditBack
	})
	if err == nil && differs == nil && at < len(copied) {
		differs = release.Errorf(release.ExitError, "run %d of the repository's copy is not in the history here", copied[at].Run)
	}
	if e, ok := errors.AsType[*release.Error](differs); ok {
		return e.Hint("one of the two was changed afterwards, or comes from a backup: git log -p 'refs/rel/history/*' shows the repository's, "+
			".rel/history is the other").
			Hint("git update-ref -d %s, in the repository, begins anew with what is here", gitrepo.AuditRef(s.Config.App))
	}
	return err
}

// difference says how a run here is not the one at its place in the copy.
func difference(here, there release.Run) error {
	if here.Key != there.Key {
		return release.Errorf(release.ExitError, "run %d here is run %d in the repository's copy", here.Run, there.Run)
	}
	return release.Errorf(release.ExitError, "run %d is not what the repository says of it: %s %s by %s here, %s %s by %s there",
		here.Run, here.To, here.Outcome, here.By, there.To, there.Outcome, there.By)
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
