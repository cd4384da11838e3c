package deploy

import (
	"context"
	"os"
	"slices"
	"strings"

	"github.com/git-rel/rel/hooks"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

// checkHooks sees whether a push comes to be known.
func (s *Site) checkHooks(ctx context.Context, repo *gitrepo.Repo, report *CheckReport) {
	dir, err := repo.HooksDir(ctx)
	var all []hook
	if err == nil {
		all, err = lookAtHooks(dir)
	}
	ours := slices.ContainsFunc(all, func(h hook) bool { return h.ours })
	other := slices.IndexFunc(all, func(h hook) bool { return h.ours && h.root != s.Root.Dir })
	switch {
	case err == nil && !ours && !s.ownRepo(repo): // nobody has asked for them
	case err == nil && !ours:
		report.addAs(findingWarn, "hooks", "", release.Errorf(release.ExitRefused, "%s: none of rel: a push deploys nothing", dir).
			Hint("rel hook install makes it deploy"))
	case err == nil && other >= 0 && !s.ownRepo(repo):
		report.addAs(findingWarn, "hooks", "", release.Errorf(release.ExitRefused, "%s: a push deploys %s, which is another root", dir, all[other].root))
	case err != nil && !s.ownRepo(repo):
		report.addAs(findingWarn, "hooks", "", err)
	case err != nil:
		report.add("hooks", "", err)
	default:
		report.add("hooks", dir+": a push calls rel", s.checkEach(all))
	}
}

func (s *Site) checkEach(all []hook) error {
	for _, h := range all {
		why := ""
		program := programOf(h.text)
		switch {
		case h.absent:
			why = "absent: a push deploys nothing"
		case !h.ours:
			why = "does not call rel: a push deploys nothing"
		case !h.executable:
			why = "not executable: git does not run it"
		case h.root != s.Root.Dir:
			why = "calls rel for another root, " + h.root
		case h.text != hooks.Script(h.name, program, s.Root.Dir):
			why = "has been changed"
		case !isProgram(program):
			why = program + " is not there: every push is rejected"
		default:
			continue
		}
		return release.Errorf(release.ExitRefused, "%s: %s", h.path, why).Hint("rel hook install repairs it")
	}
	return nil
}

// programOf is what a script of ours calls.
func programOf(text string) string {
	_, rest, _ := strings.Cut(text, "rel='")
	word, _, _ := strings.Cut(rest, "'; [")
	return strings.ReplaceAll(word, `'\''`, "'")
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
