package gitrepo

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// mirrorOf is a mirror of a repository, with nothing in it yet.
func mirrorOf(t *testing.T, dir string) Mirror {
	t.Helper()
	m := modules(t).Mirror
	remote, err := release.ParseRemote(dir)
	if err != nil {
		t.Fatal(err)
	}
	m.Dir, m.Remote = filepath.Join(t.TempDir(), "repo.git"), remote
	return m
}

// tags are the names of the tags in the mirror.
func (m Mirror) tags(t *testing.T) string {
	t.Helper()
	tags, err := openAt(t, m.Dir).Tags(bg)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tag := range tags {
		names = append(names, tag.Name)
	}
	return strings.Join(names, " ")
}

func (m Mirror) fetches(t *testing.T, tag, want string) {
	t.Helper()
	if err := m.FetchTags(bg, tag); err != nil {
		t.Fatal(err)
	}
	if got := m.tags(t); got != want {
		t.Errorf("after %q: %q, want %q", tag, got, want)
	}
}

func TestFetchTags(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		r := newRepo(t, "--object-format="+format)
		r.commit("a", "1", "first")
		r.git("tag", "-m", "v1", "v1")
		r.commit("a", "2", "second")
		r.git("tag", "-m", "v2", "v2")
		r.commit("a", "3", "third")
		r.git("tag", "v3")

		m := mirrorOf(t, r.dir)
		for _, tag := range []string{"", "v1"} {
			if held, err := m.HoldsTag(tag); held || err != nil {
				t.Errorf("%q: %v, %v", tag, held, err)
			}
		}
		m.fetches(t, "v1", "v1")
		m.fetches(t, "v2", "v1 v2")
		m.fetches(t, "", "v1 v2 v3")
		for _, tag := range []string{"", "v1"} {
			if held, err := m.HoldsTag(tag); !held || err != nil {
				t.Errorf("%q: %v, %v", tag, held, err)
			}
		}
		m.fetches(t, "v9", "v1 v2 v3") // not there, which is for Resolve to say
		for _, odd := range []string{"-u", "--upload-pack=id", "a..b", "a b", "refs:x", "*", "+v1", ":v1"} {
			m.fetches(t, odd, "v1 v2 v3")
		}

		moved := r.commit("a", "4", "fourth")
		r.git("tag", "--force", "v3")
		m.fetches(t, "v3", "v1 v2 v3")
		if tag, err := openAt(t, m.Dir).Resolve(bg, "v3"); err != nil || tag.Commit != moved {
			t.Errorf("%+v, %v", tag, err)
		}
		r.git("tag", "--delete", "v1", "v2")
		m.fetches(t, "v1", "v2 v3")
		m.fetches(t, "", "v3")
	}
}

// A tag that is fetched has all its objects, and nothing else of the remote becomes a ref here.
func TestFetchTagIsWhole(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "1", "first")
	r.git("tag", "-m", "v1", "v1")
	r.git("branch", "other")
	r.git("update-ref", "refs/rel/pins/ROOT", "HEAD")
	m := mirrorOf(t, r.dir)
	m.fetches(t, "v1", "v1")
	repo := openAt(t, m.Dir)
	if out, err := repo.line(bg, call{}, "fsck", "--full", "--strict"); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	if refs, err := repo.line(bg, call{}, "for-each-ref", "--format=%(refname)"); err != nil || refs != "refs/tags/v1" {
		t.Errorf("%q, %v", refs, err)
	}
}

func TestFetchTagFromNowhere(t *testing.T) {
	m := mirrorOf(t, filepath.Join(t.TempDir(), "none"))
	for _, tag := range []string{"v1", ""} {
		err := m.FetchTags(bg, tag)
		if release.ExitCode(err) != release.ExitRefused || !strings.HasPrefix(err.Error(), m.Remote.String()+": git fetch: ") {
			t.Errorf("%q: %v", tag, err)
		}
	}
	// It may be there later, and be of any format.
	r := newRepo(t, "--object-format=sha256")
	r.commit("a", "1", "first")
	r.git("tag", "v1")
	if err := os.Rename(r.dir, strings.TrimPrefix(m.Remote.String(), "file://")); err != nil {
		t.Fatal(err)
	}
	m.fetches(t, "v1", "v1")
	if entries, err := os.ReadDir(filepath.Dir(m.Dir)); err != nil || !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == "repo.git" }) || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}
