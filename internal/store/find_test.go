package store

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(withoutGit(os.Environ()), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func TestFind(t *testing.T) {
	top, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	root := filepath.Join(top, "root")
	write(t, filepath.Join(root, "rel.toml"), "")
	write(t, filepath.Join(root, "shared/deep/file"), "")
	r := open(t, root, Layout{Mode: ModeDirectory, Live: "web/app"})
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	write(t, filepath.Join(r.LivePath(), "conf/rel.toml"), "") // a repository may have one of its own
	write(t, filepath.Join(r.LivePath(), "rel.toml"), "")
	write(t, filepath.Join(r.ReleaseDir(b), "rel.toml"), "")
	write(t, filepath.Join(root, "releases/v0/rel.toml"), "") // not a release of rel's
	must(t, os.Symlink("root", filepath.Join(top, "link")), os.Mkdir(filepath.Join(top, "plain"), 0o755))
	git(t, root, "init", "-q", "--bare", "repo.git")
	git(t, top, "init", "-q", "clone")
	must(t, os.MkdirAll(filepath.Join(top, "clone/sub/dir"), 0o755))
	git(t, top, "init", "-q", "--bare", "bare.git")
	git(t, filepath.Join(top, "clone"), "commit", "-q", "--allow-empty", "-m", "x")
	git(t, filepath.Join(top, "clone"), "worktree", "add", "-q", "../linked")

	tests := []struct {
		start, cwd string
		want       Found // Dir and GitDir relative to top
	}{
		{"", "root", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/shared/deep", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/repo.git/objects", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/.rel/runs", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/web/app", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/web/app/conf", Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/releases/" + string(b), Found{Dir: "root", Configured: true, Made: true}},
		{"", "root/releases/v0", Found{Dir: "root/releases/v0", Configured: true}},
		{"root", "plain", Found{Dir: "root", Configured: true, Made: true}},
		{"../link", "plain", Found{Dir: "root", Configured: true, Made: true}},
		{"plain", "root", Found{Dir: "plain"}},
		{"", "clone/sub/dir", Found{Dir: "clone", WorkTree: true, GitDir: "clone/.git"}},
		{"", "clone/.git/refs", Found{Dir: "clone", WorkTree: true, GitDir: "clone/.git"}},
		{"clone", "plain", Found{Dir: "clone", WorkTree: true, GitDir: "clone/.git"}},
		{"clone/sub", "plain", Found{Dir: "clone/sub", WorkTree: true, GitDir: "clone/.git"}},
		{"", "linked", Found{Dir: "linked", WorkTree: true, GitDir: "clone/.git/worktrees/linked"}},
		{"", "bare.git/refs/heads", Found{Dir: "bare.git", GitDir: "bare.git"}},
	}
	for _, test := range tests {
		start := test.start
		if start != "" && !strings.HasPrefix(start, ".") {
			start = filepath.Join(top, start)
		}
		got, err := Find(start, filepath.Join(top, test.cwd))
		if err != nil {
			t.Errorf("%q in %s: %v", test.start, test.cwd, err)
			continue
		}
		test.want.Dir = filepath.Join(top, test.want.Dir)
		if test.want.GitDir != "" {
			test.want.GitDir = filepath.Join(top, test.want.GitDir)
		}
		if got != test.want {
			t.Errorf("%q in %s: %+v, want %+v", test.start, test.cwd, got, test.want)
		}
	}
	_, err = Find("none", top)
	wantExit(t, err, release.ExitUsage, "no such directory")
	_, err = Find(filepath.Join(root, "web/app"), top)
	wantExit(t, err, release.ExitUsage, "inside a release")
	if _, _, err := repositoryAround(top); err == nil {
		_, err = Find("", filepath.Join(top, "plain"))
		wantExit(t, err, release.ExitError, "no root and no git repository")
	}
}

func TestHideFromGit(t *testing.T) {
	for name, sub := range map[string]string{"top": "", "beneath": "services/my [shop]*"} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			git(t, top, "init", "-q")
			write(t, filepath.Join(top, sub, "releases/own/file"), "tracked")
			write(t, filepath.Join(top, "current-notes"), "x")
			git(t, top, "add", ".")
			git(t, top, "commit", "-q", "-m", "x")
			exclude := filepath.Join(top, ".git/info/exclude")
			write(t, exclude, "*.swp") // no newline at its end
			r := open(t, filepath.Join(top, sub), Layout{SharedDirs: []string{"log"}})
			a := stage(t, r, 1)
			doSwitch(t, r, a, "")
			export(t, r, idOf(2), map[string]string{"x": "x"})
			if got := git(t, top, "status", "--porcelain", "--untracked-files=all"); got != "" {
				t.Errorf("git status:\n%s", got)
			}
			must(t, r.Make())
			if got := read(t, exclude); !strings.HasPrefix(got, "*.swp\n/") || strings.Count(got, "\n") != 6 {
				t.Errorf("exclude:\n%s", got)
			}
			// Only rel's: a person's own in releases is seen.
			write(t, filepath.Join(top, sub, "releases/mine/file"), "x")
			write(t, filepath.Join(top, "elsewhere/current/file"), "x")
			if got := git(t, top, "status", "--porcelain", "--untracked-files=all"); strings.Count(got, "\n") != 2 {
				t.Errorf("git status:\n%s", got)
			}
		})
	}
}

func TestHideFromGitInALinkedWorkTree(t *testing.T) {
	top := t.TempDir()
	git(t, top, "init", "-q", "main")
	git(t, filepath.Join(top, "main"), "commit", "-q", "--allow-empty", "-m", "x")
	git(t, filepath.Join(top, "main"), "worktree", "add", "-q", "../linked")
	r := open(t, filepath.Join(top, "linked"), Layout{})
	doSwitch(t, r, stage(t, r, 1), "")
	if got := git(t, r.Dir, "status", "--porcelain"); got != "" {
		t.Errorf("git status:\n%s", got)
	}
}

func TestMakeRefusesATrackedLivePath(t *testing.T) {
	top := t.TempDir()
	git(t, top, "init", "-q")
	write(t, filepath.Join(top, "current/file"), "x")
	git(t, top, "add", ".")
	r, err := Open(top, Layout{})
	must(t, err)
	defer r.Close()
	wantExit(t, r.Make(), release.ExitError, "current: git tracks it")
	if _, err := os.Lstat(r.State()); !missing(err) {
		t.Errorf("made all the same: %v", err)
	}
}
