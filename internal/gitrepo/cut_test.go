package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

const someLog = `# Changelog

## [Unreleased]

### Added

- A door.

## [1.2.0] - 2026-01-01

- Older.

[Unreleased]: https://e.org/compare/v1.2.0...HEAD
`

var promoted = strings.NewReplacer(
	"## [Unreleased]\n", "## [Unreleased]\n\n## [1.3.0] - 2026-11-23\n",
	"v1.2.0...HEAD\n", "v1.3.0...HEAD\n[1.3.0]: https://e.org/compare/v1.2.0...v1.3.0\n",
).Replace(someLog)

var cutTime = time.Date(2026, 11, 23, 12, 0, 0, 0, time.FixedZone("", 3600))

// logged is a repository with v1.2.0 and a changelog that has something unreleased.
func logged(t *testing.T) *testRepo {
	r := newRepo(t)
	r.commit("a", "1", "first")
	r.git("tag", "v1.2.0")
	r.write("other", "1")
	r.commit("CHANGELOG.md", someLog, "a door")
	return r
}

func mustCut(t *testing.T, repo *Repo, o CutOptions) Cut {
	t.Helper()
	o.Now = cutTime
	cut, err := repo.Cut(bg, o)
	if err != nil {
		t.Fatalf("%v %v", err, release.Hints(err))
	}
	return cut
}

func refuseCut(t *testing.T, repo *Repo, o CutOptions, exit int, said string) []string {
	t.Helper()
	o.Now = cutTime
	cut, err := repo.Cut(bg, o)
	if release.ExitCode(err) != exit || err == nil || !strings.HasPrefix(err.Error(), said) || len(release.Hints(err)) == 0 && exit != release.ExitUsage {
		t.Errorf("%+v: exit %d, %v, %v", cut, release.ExitCode(err), err, release.Hints(err))
	}
	return release.Hints(err)
}

// state is all that a refused cut must not change.
func (r *testRepo) state() string {
	return r.git("for-each-ref") + "\n" + r.git("status", "--porcelain") + "\n" + r.git("diff") + r.git("diff", "--cached")
}

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

func TestCutAsks(t *testing.T) {
	r := logged(t)
	repo := r.open()
	if h := refuseCut(t, repo, CutOptions{}, release.ExitUsage, "which version? the newest is v1.2.0"); len(h) != 3 || h[0] != "rel cut --patch makes v1.2.1" {
		t.Error(h)
	}
	refuseCut(t, repo, CutOptions{Tag: "v2", Part: Major}, release.ExitUsage, "v2 and --major")
	refuseCut(t, repo, CutOptions{Tag: "v2", At: "nowhere"}, release.ExitNotFound, "nowhere: no such commit")
	refuseCut(t, repo, CutOptions{Tag: "v2", At: "--all"}, release.ExitNotFound, "--all: no such commit")
	refuseCut(t, repo, CutOptions{Tag: "v2", Push: "--exec=x"}, release.ExitUsage, "--exec=x: no remote")
	for _, bad := range []string{"a b", "-x", "v\u202e1", "a..b", "v1.lock", "HEAD"} {
		refuseCut(t, repo, CutOptions{Tag: bad}, release.ExitUsage, `"`)
	}
	before := r.state()
	r.git("tag", "2026.11.22-3", "v1.2.0")
	refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitUsage, "v1.2.0, 2026.11.22-3: versions and dates")
	r.git("tag", "-d", "2026.11.22-3")
	if r.state() != before {
		t.Error("something has changed")
	}
	// Any name that git takes is data, never a command.
	cut := mustCut(t, repo, CutOptions{Tag: "v$(touch${IFS}x);`id`"})
	if _, err := os.Stat(filepath.Join(r.dir, "x")); err == nil || r.git("tag", "-l", "--points-at", "HEAD") != cut.Tag {
		t.Error(cut.Tag)
	}
}

func TestCutFirst(t *testing.T) {
	r := newRepo(t)
	repo := r.open()
	refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "main: no commit yet")
	r.commit("a", "1", "first")
	r.commit("a", "2", "second")
	if h := refuseCut(t, repo, CutOptions{}, release.ExitUsage, "which version? there is none yet"); len(h) != 2 {
		t.Error(h)
	}
	cut := mustCut(t, repo, CutOptions{Part: Minor})
	if cut.Tag != "v0.1.0" || cut.Notes != "- second\n- first" || cut.Since != "" {
		t.Errorf("%+v", cut)
	}
	cut = mustCut(t, repo, CutOptions{Tag: "v0.0.1", At: "HEAD~1", Message: "The first\n\n# kept"})
	if cut.Commit != r.git("rev-parse", "HEAD~1") || r.git("tag", "-l", "--format=%(contents)", "v0.0.1") != "The first\n\n# kept" || cut.Branch != "" {
		t.Errorf("%+v", cut)
	}
}

func TestCutNotesFromCommits(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1", "first")
	r.git("tag", "1.0.0") // lightweight, and without v
	r.git("tag", "web/v7")
	fork := r.commit("a", "2", "second")
	r.git("tag", "1.1.0-rc.1")
	r.git("checkout", "--quiet", "-b", "side", fork)
	r.commit("b", "1", "on the side")
	r.git("checkout", "--quiet", "main")
	r.commit("a", "3", "third")
	r.git("merge", "--quiet", "--no-edit", "side")
	r.git("checkout", "--quiet", "--detach")
	repo := r.open()
	cut := mustCut(t, repo, CutOptions{Tag: "1.1.0", DryRun: true})
	if cut.Notes != "- third\n- on the side\n- second" || cut.Since != "1.0.0" || cut.Branch != "" {
		t.Errorf("%+v", cut)
	}
	if cut = mustCut(t, repo, CutOptions{Tag: "1.1.0-rc.2", DryRun: true}); cut.Notes != "- third\n- on the side" || cut.Since != "1.1.0-rc.1" {
		t.Errorf("%+v", cut)
	}
	if cut = mustCut(t, repo, CutOptions{Tag: "web/v8"}); cut.Since != "web/v7" {
		t.Errorf("%+v", cut)
	}
	for range 101 {
		r.git("commit", "--quiet", "--allow-empty", "-m", "more")
	}
	if cut = mustCut(t, repo, CutOptions{Tag: "1.2.0"}); strings.Count(cut.Notes, "\n") != 100 || !strings.HasSuffix(cut.Notes, "\n- …") {
		t.Errorf("%d: %s", strings.Count(cut.Notes, "\n"), cut.Notes)
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

func TestCutAtAndBareDoNotCommit(t *testing.T) {
	r := logged(t)
	head := r.git("rev-parse", "HEAD")
	bare := r.clone("--bare")
	bare.git("config", "user.name", "x")
	bare.git("config", "user.email", "x@y")
	for _, c := range []struct {
		r *testRepo
		o CutOptions
	}{{r, CutOptions{Part: Minor, At: "main"}}, {bare, CutOptions{Part: Minor}}} {
		cut := mustCut(t, openAt(t, c.r.dir), c.o)
		if cut.Commit != head || cut.Promotes || cut.ChangelogCommit != "" || cut.Notes != "### Added\n\n- A door." || c.r.git("rev-parse", "main") != head {
			t.Errorf("%+v", cut)
		}
	}
	if r.git("status", "--porcelain") != "" {
		t.Error("the work tree has changed")
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

func TestCutResumes(t *testing.T) {
	t.Run("after the commit", func(t *testing.T) {
		r := logged(t)
		repo := r.open()
		mustCut(t, repo, CutOptions{Part: Minor})
		head := r.git("rev-parse", "HEAD")
		r.git("tag", "-d", "v1.3.0")
		cut := mustCut(t, repo, CutOptions{Part: Minor})
		if !cut.Resumed || cut.Promotes || cut.Commit != head || cut.Notes != "### Added\n\n- A door." || r.git("rev-parse", "HEAD") != head {
			t.Errorf("%+v", cut)
		}
	})
	t.Run("after the file", func(t *testing.T) {
		r := logged(t)
		r.write(changelogName, strings.ReplaceAll(promoted, "2026-11-23", "2026-11-22")) // yesterday's cut
		cut := mustCut(t, r.open(), CutOptions{Part: Minor})
		if !cut.Resumed || !cut.Promotes || cut.Notes != "### Added\n\n- A door." || r.git("status", "--porcelain") != "" || r.git("diff", "--name-only", "v1.3.0~1", "v1.3.0") != changelogName {
			t.Errorf("%+v", cut)
		}
	})
}

func TestCutFailuresLeaveWhatWas(t *testing.T) {
	r := logged(t)
	repo := r.open()
	t.Run("no identity", func(t *testing.T) {
		r.git("config", "--unset", "user.email")
		before := r.state()
		if h := refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "git: it does not know who"); len(h) != 2 {
			t.Error(h)
		}
		if r.state() != before {
			t.Error("something has changed")
		}
		r.git("config", "user.email", "a@example.org")
	})
	t.Run("commit refused", func(t *testing.T) {
		before := r.state()
		r.write(".git/index.lock", "")
		_, err := repo.Cut(bg, CutOptions{Part: Minor, Now: cutTime})
		if err == nil || !strings.HasPrefix(err.Error(), "CHANGELOG.md: git commit: ") {
			t.Error(err)
		}
		if err := os.Remove(filepath.Join(r.dir, ".git/index.lock")); err != nil {
			t.Fatal(err)
		}
		if r.state() != before {
			t.Errorf("left: %s", r.state())
		}
	})
	t.Run("tag refused", func(t *testing.T) {
		r.write(".git/refs/tags/v1.3.0.lock", "")
		h := refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "v1.3.0: git tag: ")
		if len(h) != 2 || !strings.Contains(h[0], "goes on from there") {
			t.Error(h)
		}
		if err := os.Remove(filepath.Join(r.dir, ".git/refs/tags/v1.3.0.lock")); err != nil {
			t.Fatal(err)
		}
		if cut := mustCut(t, repo, CutOptions{Part: Minor}); !cut.Resumed {
			t.Errorf("%+v", cut)
		}
	})
	t.Run("two sections", func(t *testing.T) {
		r.commit(changelogName, "## Unreleased\n## Unreleased\n", "twice")
		_, err := repo.Cut(bg, CutOptions{Part: Minor, Now: cutTime})
		if err == nil || err.Error() != "CHANGELOG.md: line 2: a second Unreleased section; the first is in line 1" {
			t.Error(err)
		}
		r.commit(changelogName, "#\x00 \x00U\x00", "no text")
		if cut := mustCut(t, repo, CutOptions{Part: Minor}); cut.Notes != "- no text\n- twice" || cut.Promotes {
			t.Errorf("%+v", cut)
		}
	})
}

func TestCutIgnoresHooksAndEnvironment(t *testing.T) {
	r := logged(t)
	r.write(".git/hooks/pre-commit", "#!/bin/sh\necho changed > other\ngit add other\nexit 1\n")
	if err := os.Chmod(filepath.Join(r.dir, ".git/hooks/pre-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	repo := r.open()
	t.Setenv("GIT_DIR", "/nowhere")
	t.Setenv("GIT_INDEX_FILE", "/nowhere")
	t.Setenv("GIT_AUTHOR_NAME", "Somebody Else")
	cut, err := repo.Cut(bg, CutOptions{Part: Minor, Now: cutTime})
	if err != nil || cut.ChangelogCommit == "" {
		t.Fatalf("%+v, %v", cut, err)
	}
	if c, err := repo.Objects().Commit(mustID(t, cut.Commit)); err != nil || c.Author.Name != "A Person" {
		t.Errorf("%+v, %v", c.Author, err)
	}
}

func TestCutPush(t *testing.T) {
	r := logged(t)
	remote := r.clone("--bare")
	r.git("remote", "add", "origin", remote.dir)
	repo := r.open()
	refuseCut(t, repo, CutOptions{Part: Minor, Push: "nowhere"}, release.ExitError, "nowhere: git ls-remote: ")
	var said bytes.Buffer
	r.git("tag", "-am", "not to be pushed", "extra")
	r.git("config", "push.followTags", "true")
	cut := mustCut(t, repo, CutOptions{Part: Minor, Push: "origin", Progress: &said})
	if cut.Pushed != "origin" || remote.git("rev-parse", "main") != cut.Commit || remote.git("tag", "-l") != "v1.2.0\nv1.3.0" {
		t.Errorf("%+v, %s", cut, remote.git("for-each-ref"))
	}
	// The remote has what is not here: refused before anything is made.
	r.git("commit", "--quiet", "--allow-empty", "-m", "mine")
	other := remote.clone()
	other.git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "--quiet", "--allow-empty", "-m", "theirs")
	other.git("tag", "v1.3.2")
	other.git("push", "--quiet", "origin", "main", "v1.3.2")
	before := r.state()
	refuseCut(t, repo, CutOptions{Part: Patch, Push: "origin"}, release.ExitError, "origin: main has commits that are not here")
	refuseCut(t, repo, CutOptions{Tag: "v1.3.2", Push: "origin"}, release.ExitError, "origin: has a tag v1.3.2 already")
	if r.state() != before {
		t.Error("something has changed")
	}
	// With At the tag alone goes.
	if cut = mustCut(t, repo, CutOptions{Part: Patch, At: "HEAD", Push: "origin"}); remote.git("rev-parse", "v1.3.1^{}") != cut.Commit {
		t.Errorf("%+v", cut)
	}
}

func TestCutPushRejected(t *testing.T) {
	r := logged(t)
	remote := r.clone("--bare")
	r.git("remote", "add", "origin", remote.dir)
	base := r.git("rev-parse", "HEAD")
	remote.write("hooks/update", "#!/bin/sh\ncase $1 in refs/tags/*) echo 'no tags today' >&2; exit 1;; esac\n")
	if err := os.Chmod(filepath.Join(remote.dir, "hooks/update"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.write("other", "work in progress")
	var said bytes.Buffer
	cut, err := r.open().Cut(bg, CutOptions{Part: Minor, Push: "origin", Now: cutTime, Progress: &said})
	if release.ExitCode(err) != release.ExitFailed || !strings.HasPrefix(err.Error(), "origin: rejected ") || !strings.Contains(err.Error(), "v1.3.0 [remote rejected] (hook declined)") {
		t.Fatal(err)
	}
	if remote.git("rev-parse", "main") != base || remote.git("tag", "-l") != "v1.2.0" {
		t.Error("the push was not atomic")
	}
	if cut.ChangelogCommit == "" || cut.Pushed != "" || !strings.Contains(said.String(), "no tags today") {
		t.Errorf("%+v, %s", cut, said.String())
	}
	// The hints are true: the second tries again, the third undoes.
	hints := release.Hints(err)
	sh := func(hint, end string) error {
		cmd := exec.Command("sh", "-c", strings.TrimSuffix(hint, end))
		cmd.Dir = r.dir
		return cmd.Run()
	}
	if len(hints) != 3 || sh(hints[1], " tries again") == nil {
		t.Error(hints)
	}
	if err := os.Remove(filepath.Join(remote.dir, "hooks/update")); err != nil {
		t.Fatal(err)
	}
	if err := sh(hints[1], " tries again"); err != nil || remote.git("rev-parse", "main") != cut.Commit {
		t.Error(err)
	}
	if err := sh(hints[2], " undoes it"); err != nil || r.git("rev-parse", "HEAD") != base || r.git("tag", "-l") != "v1.2.0" || r.git("status", "--porcelain") != " M other" {
		t.Errorf("%v: %s", err, r.state())
	}
}

func TestCutSigns(t *testing.T) {
	needs(t, "ssh-keygen", "openssh-client")
	r := logged(t)
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r.git("config", "gpg.format", "ssh")
	r.git("config", "user.signingKey", key)
	repo := r.open()
	mustCut(t, repo, CutOptions{Part: Minor, Sign: true})
	if out := r.git("cat-file", "tag", "v1.3.0"); !strings.Contains(out, "BEGIN SSH SIGNATURE") {
		t.Error(out)
	}
	r.git("config", "tag.gpgSign", "true")
	if cut := mustCut(t, repo, CutOptions{Part: Minor}); !cut.Signed || !strings.Contains(r.git("cat-file", "tag", "v1.4.0"), "BEGIN SSH SIGNATURE") {
		t.Errorf("%+v", cut)
	}
	// A key that is there and cannot be used shows when git signs; before that nothing can tell.
	if err := os.WriteFile(key, []byte("no key\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := repo.Cut(bg, CutOptions{Part: Minor, Sign: true, Now: cutTime})
	if err == nil || !strings.HasPrefix(err.Error(), "v1.5.0: git tag") || slices.Contains(strings.Fields(r.git("tag")), "v1.5.0") {
		t.Error(err)
	}
	before := r.state()
	r.git("config", "user.signingKey", key+"-gone")
	refuseCut(t, repo, CutOptions{Part: Minor, Sign: true}, release.ExitError, "git: user.signingKey: stat ")
	r.git("config", "--unset", "user.signingKey")
	refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "git: user.signingKey names no SSH key")
	if r.state() != before {
		t.Error("something has changed")
	}
}

func TestCutSignsWithAgent(t *testing.T) {
	needs(t, "ssh-agent", "openssh-client")
	s := newSigning(t)
	socket := filepath.Join(t.TempDir(), "agent")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := agent.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = agent.Wait()
	})
	for range 500 {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	s.run("ssh-add", "-q", s.private("dana"))
	s.git("config", "user.signingKey", "key::"+s.pub("dana"))
	if err := os.Remove(s.private("dana")); err != nil {
		t.Fatal(err)
	}
	if cut := mustCut(t, s.open(), CutOptions{Tag: "v1.0", Sign: true}); !cut.Signed {
		t.Errorf("%+v", cut)
	}
	if signed, err := s.verdict("v1.0", s.signers("dana@example.org "+s.pub("dana")), ""); err != nil || signed.Signer != "dana@example.org" {
		t.Error(signed, err)
	}
}

func TestCutOnDetachedHead(t *testing.T) {
	r := logged(t)
	r.git("checkout", "--quiet", "--detach")
	cut := mustCut(t, r.open(), CutOptions{Part: Major})
	if cut.Tag != "v2.0.0" || cut.Branch != "" || r.git("rev-parse", "HEAD") != cut.ChangelogCommit || r.git("rev-parse", "main") != r.git("rev-parse", "HEAD~1") {
		t.Errorf("%+v", cut)
	}
}

func TestCutNotesOtherCommits(t *testing.T) {
	r := logged(t)
	repo := r.open()
	// A pre-commit hook is passed over, but one after the commit may add another: that is told, and no tag is made.
	r.write(".git/hooks/post-commit", "#!/bin/sh\n[ -e .git/once ] && exit\n: >.git/once\ngit commit --quiet --allow-empty -m more\n")
	if err := os.Chmod(filepath.Join(r.dir, ".git/hooks/post-commit"), 0o755); err != nil {
		t.Fatal(err)
	}
	refuseCut(t, repo, CutOptions{Part: Minor}, release.ExitError, "HEAD: ")
	if r.git("tag") != "v1.2.0" {
		t.Error(r.git("tag"))
	}
	if cut := mustCut(t, repo, CutOptions{Part: Minor}); !cut.Resumed || cut.Commit != r.git("rev-parse", "HEAD") {
		t.Errorf("%+v", cut)
	}
}

func TestCutCancelled(t *testing.T) {
	r := logged(t)
	before := r.state()
	ctx, cancel := context.WithCancel(bg)
	cancel()
	if _, err := r.open().Cut(ctx, CutOptions{Part: Minor, Now: cutTime}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if r.state() != before {
		t.Error("something has changed")
	}
}

func TestCutSHA256(t *testing.T) {
	r := newRepo(t, "--object-format=sha256")
	r.commit(changelogName, someLog, "first")
	cut := mustCut(t, r.open(), CutOptions{Tag: "v1.3.0"})
	if len(cut.Commit) != 64 || r.git("rev-parse", "v1.3.0^{}") != cut.Commit || r.read(changelogName) != promoted {
		t.Errorf("%+v", cut)
	}
}
