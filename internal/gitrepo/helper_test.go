package gitrepo

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/objects"
)

// testRepo is a repository made with git.
type testRepo struct {
	t   *testing.T
	dir string
	now time.Time // of the next commit
}

// isolate keeps the machine's git configuration out of the test.
func isolate(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	for name, value := range map[string]string{"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, "none"), "GIT_CONFIG_NOSYSTEM": "1", "EMAIL": ""} {
		t.Setenv(name, value)
	}
}

func newRepo(t *testing.T, args ...string) *testRepo {
	t.Helper()
	isolate(t)
	r := &testRepo{t: t, dir: t.TempDir(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	r.git(append([]string{"init", "--quiet", "-b", "main"}, args...)...)
	r.git("config", "user.name", "A Person")
	r.git("config", "user.email", "a@example.org")
	return r
}

// git runs git in the repository; a minute passes with every call.
func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	out, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (r *testRepo) try(args ...string) (string, error) {
	r.now = r.now.Add(time.Minute)
	date := fmt.Sprintf("%d +0000", r.now.Unix())
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_COMMITTER_DATE="+date, "GIT_AUTHOR_DATE="+date)
	out, err := cmd.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

func (r *testRepo) write(name, text string) {
	r.t.Helper()
	file := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *testRepo) read(name string) string {
	r.t.Helper()
	data, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	return string(data)
}

// commit writes a file and commits all there is; the id is the result.
func (r *testRepo) commit(name, text, message string) string {
	r.t.Helper()
	r.write(name, text)
	r.git("add", "-A")
	r.git("commit", "--quiet", "-m", message)
	return r.git("rev-parse", "HEAD")
}

func (r *testRepo) open() *Repo { r.t.Helper(); return openAt(r.t, r.dir) }

func openAt(t *testing.T, dir string) *Repo {
	t.Helper()
	repo, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Error(err)
		}
	})
	return repo
}

func (r *testRepo) clone(args ...string) *testRepo {
	r.t.Helper()
	c := &testRepo{t: r.t, dir: filepath.Join(r.t.TempDir(), "clone"), now: r.now}
	r.git(append(append([]string{"clone", "--quiet"}, args...), "file://"+r.dir, c.dir)...)
	return c
}

var bg = context.Background()

func mustID(t *testing.T, s string) objects.ID {
	t.Helper()
	id, err := objects.ParseID(s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
