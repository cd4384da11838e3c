package gitrepo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

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
