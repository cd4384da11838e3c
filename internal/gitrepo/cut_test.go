package gitrepo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
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
