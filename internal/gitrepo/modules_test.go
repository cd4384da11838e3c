package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// modules are mirrors in a directory of their own that may ask what the patterns allow.
func modules(t *testing.T, allow ...string) *Modules {
	t.Helper()
	user, err := proc.UserOf(uint32(os.Geteuid()))
	if err != nil {
		t.Fatal(err)
	}
	m := &Modules{
		Dir: filepath.Join(t.TempDir(), "modules"), Mirror: Mirror{Env: proc.Environment(user, nil), Timeout: time.Minute},
		Fetch: func(string, release.Remote) bool { return true },
	}
	for _, text := range allow {
		p, err := release.ParseRemotePattern(text)
		if err != nil {
			t.Fatal(err)
		}
		m.Allow = append(m.Allow, p)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// wants is a good call of Open.
func (m *Modules) wants(t *testing.T, url, commit string) *Repo {
	t.Helper()
	repo, _, err := m.Open(bg, "", url, "lib", mustID(t, commit))
	if err != nil {
		t.Fatalf("%v\n%q", err, release.Hints(err))
	}
	if _, err := repo.Objects().Commit(mustID(t, commit)); err != nil {
		t.Fatal(err)
	}
	return repo
}

// refuses is a call of Open that is refused, with a hint.
func (m *Modules) refuses(t *testing.T, base, url, commit, text string) {
	t.Helper()
	repo, _, err := m.Open(bg, base, url, "lib", mustID(t, commit))
	if err == nil {
		t.Fatalf("%q was opened as %s", url, repo.Dir)
	}
	if release.ExitCode(err) != release.ExitRefused || len(release.Hints(err)) == 0 || !strings.Contains(err.Error(), text) {
		t.Errorf("%q: %v (exit %d, %q), want %q", url, err, release.ExitCode(err), release.Hints(err), text)
	}
}

func TestModuleIsFetchedOnce(t *testing.T) {
	lib := newRepo(t)
	first := lib.commit("a", "1", "first")
	lib.git("tag", "-m", "v1", "v1")
	second := lib.commit("a", "2", "second")
	lib.commit("a", "3", "third")
	url := "file://" + lib.dir
	m := modules(t, lib.dir)
	repo := m.wants(t, url, second)
	if got, err := repo.line(bg, call{}, "describe", second); err != nil || !strings.HasPrefix(got, "v1-1-g") {
		t.Errorf("the tags in its history are not there: %q, %v", got, err)
	}
	if again := m.wants(t, lib.dir, second); again != repo {
		t.Error("it was opened twice")
	}
	third := lib.commit("a", "4", "fourth")
	m.wants(t, url, third) // through the store that is open
	m.wants(t, url, first)

	if err := os.RemoveAll(lib.dir); err != nil {
		t.Fatal(err)
	}
	for _, commit := range []string{first, second, third} { // what was fetched needs nobody
		m.wants(t, url, commit)
	}
	m.refuses(t, "", url, strings.Repeat("1", 40), "a submodule, whose commit 111111111111 is not here yet: file://")
	if out, err := repo.line(bg, call{}, "fsck", "--connectivity-only"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
}

func TestModuleOfSHA256(t *testing.T) {
	lib := newRepo(t, "--object-format=sha256")
	commit := lib.commit("a", "1", "first")
	if repo := modules(t, lib.dir).wants(t, lib.dir, commit); repo.Objects().Format() != "sha256" {
		t.Error(repo.Objects().Format())
	}
}

// A server of plain files gives nothing by id: what it has is fetched, and the commit with it.
func TestModuleOverPlainHTTP(t *testing.T) {
	lib := newRepo(t)
	lib.commit("a", "1", "first")
	commit := lib.commit("a", "2", "second")
	lib.commit("a", "3", "third")
	lost := lib.commit("a", "4", "lost")
	lib.git("reset", "--hard", "--quiet", "HEAD~")
	lib.git("reflog", "expire", "--all", "--expire=now")
	lib.git("gc", "--quiet", "--prune=now")
	lib.git("update-server-info")
	server := httptest.NewServer(http.FileServer(http.Dir(lib.dir)))
	defer server.Close()
	m := modules(t, server.URL+"/*")
	m.wants(t, server.URL+"/.git", commit)
	m.refuses(t, "", server.URL+"/.git", lost, "; and in no branch or tag")
	m.refuses(t, "", server.URL+"/none", commit, "git fetch: ")

	away := httptest.NewServer(http.RedirectHandler(server.URL+"/.git/info/refs", http.StatusFound))
	defer away.Close()
	modules(t, away.URL+"/*").refuses(t, "", away.URL+"/.git", commit, "git fetch: ")
}

// An old server gives what it shows, and nothing by id.
func TestModuleOverOldHTTP(t *testing.T) {
	lib := newRepo(t)
	lib.commit("a", "1", "first")
	commit := lib.commit("a", "2", "second")
	lib.commit("a", "3", "third")
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + lib.dir, "GIT_HTTP_EXPORT_ALL=1"}}
	for _, version := range []string{"", "version=2"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Git-Protocol", version)
			backend.ServeHTTP(w, r)
		}))
		repo := modules(t, server.URL+"/*").wants(t, server.URL+"/.git", commit)
		if _, err := repo.line(bg, call{}, "rev-parse", "--verify", "--quiet", "refs/remotes/origin/main"); (err == nil) != (version == "") {
			t.Errorf("version %q: %v", version, err)
		}
		server.Close()
	}
}

func TestModuleIsNotAllowed(t *testing.T) {
	lib := newRepo(t)
	commit := lib.commit("a", "1", "first")
	marker := filepath.Join(t.TempDir(), "ran")
	m := modules(t, "https://git.example.com/team/*", "git@host.example.com:team/*")
	m.Fetch = func(path string, remote release.Remote) bool {
		t.Errorf("%s is fetched", remote)
		return false
	}
	for _, url := range []string{
		lib.dir, "file://" + lib.dir, "https://git.example.com/other/x", "https://git.example.com.evil.org/team/x", "http://git.example.com/team/x",
		"git@host.example.com:other/x", "host.example.com:team/x", "ssh://git@host.example.com/team/x",
	} {
		m.refuses(t, "", url, commit, "which export.submodule_urls does not allow")
	}
	for _, url := range []string{
		"", "ext::touch " + marker, "ext::sh -c touch% " + marker, "-u" + marker, "--upload-pack=touch " + marker, "ssh://-oProxyCommand=touch " + marker + "/x",
		"https://git.example.com/team/../other/x", "https://git.example.com/team/%2e%2e/other/x", "https://git.example.com@evil.org/team/x",
		"https://git.example.com/team/x\nhost=evil.org", "lib", "https://user:hunter2@git.example.com/team/x",
	} {
		m.refuses(t, "", url, commit, "a submodule of ")
		if _, _, err := m.Open(bg, "", url, "lib", mustID(t, commit)); strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v", err)
		}
	}
	for _, c := range []struct{ base, url, text string }{
		{"https://git.example.com/team/shop.git", "../../other/x", "https://git.example.com/other/x, which export"},
		{"https://git.example.com/team/shop.git", "../../../evil.org/x", "leads above the top"},
		{"https://git.example.com/team/shop.git", "../%2e%2e/x", "its path"},
		{"https://me:hunter2@git.example.com/team/shop.git", "../x", `relative to "https://…@git.example.com/team/shop.git": it holds a user`},
	} {
		m.refuses(t, c.base, c.url, commit, c.text)
	}
	if _, err := os.Stat(m.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a command was run")
	}
}

func TestRelativeModule(t *testing.T) {
	lib := newRepo(t)
	commit := lib.commit("a", "1", "first")
	m := modules(t, filepath.Dir(lib.dir)+"/*")
	repo, remote, err := m.Open(bg, filepath.Join(filepath.Dir(lib.dir), "shop.git"), "../"+filepath.Base(lib.dir), "lib", mustID(t, commit))
	if err != nil || repo == nil || remote.String() != "file://"+lib.dir {
		t.Errorf("%v, %v", remote, err)
	}
}

func TestOrigin(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1", "first")
	if got, err := r.open().Origin(bg); err != nil || got != r.dir {
		t.Errorf("%q, %v", got, err)
	}
	r.git("remote", "add", "origin", "https://host/shop.git")
	if got, err := r.open().Origin(bg); err != nil || got != "https://host/shop.git" {
		t.Errorf("%q, %v", got, err)
	}
}

// What a fetch that was killed left behind is in nobody's way.
func TestMirrorAfterACrash(t *testing.T) {
	lib := newRepo(t)
	first := lib.commit("a", "1", "first")
	m := modules(t, lib.dir)
	remote, err := release.ParseRemote(lib.dir)
	if err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(m.Dir, MirrorName(remote))
	if err := os.MkdirAll(filepath.Join(mirror+".new", "objects"), 0o755); err != nil {
		t.Fatal(err)
	}
	repo := m.wants(t, lib.dir, first)
	for _, left := range []string{"config.lock", "packed-refs.lock", "shallow.lock", "refs/rel/commits/x.lock", "objects/pack/tmp_pack_abc", "objects/pack/.tmp-7-pack-abc.pack"} {
		if err := os.WriteFile(filepath.Join(mirror, left), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	second := lib.commit("a", "2", "second")
	if err := os.WriteFile(filepath.Join(mirror, "refs/rel/commits", second+".lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.wants(t, lib.dir, second)
	left, err := filepath.Glob(filepath.Join(mirror, "objects/pack/*tmp*"))
	if err != nil || len(left) > 0 {
		t.Errorf("%q, %v", left, err)
	}

	// Objects without the word that all are there are no reason not to ask.
	repo.git(bg, call{}, "update-ref", "-d", commitRef(first))
	lib.git("update-ref", "refs/hidden", first)
	if held, err := (Mirror{Dir: mirror}).Holds(first); held || err != nil {
		t.Errorf("%v, %v", held, err)
	}
	m.wants(t, lib.dir, first)
}

// The configuration of whoever runs rel has no say in a fetch, and no hook runs.
func TestMirrorIsHardened(t *testing.T) {
	lib := newRepo(t)
	commit := lib.commit("a", "1", "first")
	home, marker := os.Getenv("HOME"), filepath.Join(t.TempDir(), "ran")
	config := fmt.Sprintf("[url \"file:///nowhere/\"]\n\tinsteadOf = file:///\n[core]\n\thooksPath = %s\n\tfsmonitor = touch %s\n[init]\n\ttemplateDir = %s\n",
		home, marker, home)
	for name, text := range map[string]string{
		".gitconfig": config, "reference-transaction": "#!/bin/sh\ntouch " + marker, "hooks/reference-transaction": "#!/bin/sh\ntouch " + marker,
	} {
		at := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m := modules(t, lib.dir)
	m.Mirror.Env = append(slices.DeleteFunc(m.Mirror.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") }), "HOME="+home)
	repo := m.wants(t, lib.dir, commit)
	if _, err := os.Stat(marker); err == nil {
		t.Error("a hook ran")
	}
	hooks, err := os.ReadDir(filepath.Join(repo.Dir, "hooks"))
	if len(hooks) > 0 || err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Errorf("hooks: %v, %v", hooks, err)
	}

	// Objects that git's own checks refuse stay out.
	lib.write("tree", "100644 .git\x00"+string(mustID(t, lib.git("hash-object", "-w", "a")).Bytes()))
	evil := lib.git("commit-tree", "-m", "x", lib.git("hash-object", "-t", "tree", "-w", "--literally", "tree"))
	m.refuses(t, "", lib.dir, evil, "git fetch: ")
}

func TestMirrorIsLate(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "")
		<-stuck
	}))
	defer server.Close()
	defer close(stuck)
	m := modules(t, server.URL+"/*")
	m.Mirror.Timeout = 300 * time.Millisecond
	m.refuses(t, "", server.URL+"/x", strings.Repeat("1", 40), "not fetched within 300ms")

	ctx, cancel := context.WithCancel(bg)
	m.Mirror.Timeout = time.Minute
	m.Fetch = func(string, release.Remote) bool { time.AfterFunc(200*time.Millisecond, cancel); return true }
	if _, _, err := m.Open(ctx, "", server.URL+"/x", "lib", mustID(t, strings.Repeat("1", 40))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
