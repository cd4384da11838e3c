package gitrepo

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func TestCutPromotes(t *testing.T) {
	r := logged(t)
	base := r.git("rev-parse", "HEAD")
	// What else is staged, changed or new stays so.
	r.write("other", "staged")
	r.git("add", "other")
	r.write("other", "changed since")
	r.write("fresh", "x")
	r.git("add", "-N", "fresh")
	r.write("untracked", "x")
	before := r.git("status", "--porcelain") + r.git("diff") + r.git("diff", "--cached")
	repo := r.open()

	dry := mustCut(t, repo, CutOptions{Part: Minor, DryRun: true})
	want := Cut{Tag: "v1.3.0", Commit: base, Notes: "### Added\n\n- A door.", Message: "v1.3.0\n\n### Added\n\n- A door.\n", Branch: "main", Promotes: true}
	if dry != want {
		t.Errorf("%+v", dry)
	}
	if got := r.git("status", "--porcelain") + r.git("diff") + r.git("diff", "--cached"); got != before || r.git("tag") != "v1.2.0" {
		t.Errorf("a dry run changed: %s", got)
	}

	cut := mustCut(t, repo, CutOptions{Part: Minor})
	head := r.git("rev-parse", "HEAD")
	want.Commit, want.ChangelogCommit = head, head
	if cut != want {
		t.Errorf("%+v", cut)
	}
	for what, c := range map[string][2]string{
		"parent":       {r.git("rev-parse", "HEAD~1"), base},
		"files":        {r.git("diff", "--name-only", "HEAD~1", "HEAD"), changelogName},
		"changelog":    {r.read(changelogName), promoted},
		"tag":          {r.git("rev-parse", "v1.3.0^{commit}"), head},
		"kind":         {r.git("cat-file", "-t", "v1.3.0"), "tag"},
		"message":      {r.git("tag", "-l", "--format=%(contents)", "v1.3.0"), "v1.3.0\n\n### Added\n\n- A door."},
		"when":         {r.git("tag", "-l", "--format=%(taggerdate:iso)", "v1.3.0"), "2026-11-23 12:00:00 +0100"},
		"commit":       {r.git("log", "-1", "--format=%s|%an|%ci"), "Release v1.3.0|A Person|2026-11-23 12:00:00 +0100"},
		"what else is": {r.git("status", "--porcelain") + r.git("diff") + r.git("diff", "--cached"), before},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: got %q, not %q", what, c[0], c[1])
		}
	}
	hints := refuseCut(t, repo, CutOptions{Tag: "v1.3.0"}, release.ExitError, "v1.3.0: already names this commit, "+head[:10])
	if !strings.HasPrefix(hints[0], "rel activate v1.3.0") {
		t.Error(hints)
	}
	refuseCut(t, repo, CutOptions{Tag: "v1.2.0"}, release.ExitError, "v1.2.0: already names another commit, "+r.git("rev-parse", "--short=10", "v1.2.0"))
	// Nothing is unreleased now: the notes are the commits', and the changelog stays.
	r.git("commit", "--quiet", "--allow-empty", "-m", "a window")
	cut = mustCut(t, repo, CutOptions{Part: Patch})
	if cut.Tag != "v1.3.1" || cut.Notes != "- a window" || cut.Since != "v1.3.0" || cut.Promotes || r.read(changelogName) != promoted {
		t.Errorf("%+v", cut)
	}
}

func TestCutRefusesChangedChangelog(t *testing.T) {
	r := logged(t)
	repo := r.open()
	base := r.git("rev-parse", "HEAD")
	said := map[string]string{"changed": "has unc", "staged": "has unc", "removed": "has unc", "untracked": "is not committed yet"}
	for name, change := range map[string]func(){
		"changed":   func() { r.write(changelogName, someLog+"\nmore\n") },
		"staged":    func() { r.write(changelogName, someLog+"\nmore\n"); r.git("add", "-A") },
		"removed":   func() { r.git("rm", "--quiet", changelogName) },
		"untracked": func() { r.git("rm", "--quiet", "--cached", changelogName); r.git("commit", "--quiet", "-m", "gone") },
	} {
		r.git("reset", "--quiet", "--hard", base)
		change()
		before := r.state()
		refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "CHANGELOG.md: "+said[name])
		if got := r.state(); got != before {
			t.Errorf("%s: %s", name, got)
		}
	}
	r.git("reset", "--quiet", "--hard", base)
	r.write(changelogName, "changed")
	cut := mustCut(t, repo, CutOptions{Part: Minor, At: "HEAD"})
	if cut.Promotes || r.read(changelogName) != "changed" {
		t.Errorf("%+v", cut)
	}
}

func TestCutInWorktreeKeepsLineEndings(t *testing.T) {
	r := logged(t)
	r.git("config", "core.autocrlf", "true")
	linked := &testRepo{t: t, dir: filepath.Join(t.TempDir(), "linked"), now: r.now}
	r.git("worktree", "add", "--quiet", "-b", "side", linked.dir)
	if !strings.Contains(linked.read(changelogName), "\r\n") {
		t.Fatal("git made no CRLF")
	}
	cut := mustCut(t, openAt(t, linked.dir), CutOptions{Part: Minor})
	if cut.Branch != "side" || linked.git("show", "side:"+changelogName)+"\n" != promoted || linked.git("status", "--porcelain") != "" {
		t.Errorf("%+v\n%s", cut, linked.git("show", "side:"+changelogName))
	}
	if got := linked.read(changelogName); got != strings.ReplaceAll(promoted, "\n", "\r\n") {
		t.Errorf("%q", got)
	}
	if r.git("rev-parse", "main") != r.git("rev-parse", "v1.3.0~1") {
		t.Error("main has moved")
	}
}
