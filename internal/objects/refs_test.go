package objects

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

// compareRefs compares refs and what they peel to with git's own list.
func compareRefs(t *testing.T, s *Store, dir string) []Ref {
	t.Helper()
	refs, err := s.Refs("refs/")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range refs {
		peeled, err := s.Peel(r.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !r.Peeled.IsZero() && r.Peeled != peeled {
			t.Errorf("%s: packed-refs peels it to %s, its tag to %s", r.Name, r.Peeled, peeled)
		}
		if id, err := s.Ref(r.Name); err != nil || id != r.ID {
			t.Errorf("%s: %v, %v alone, %v in the list", r.Name, id, err, r.ID)
		}
		if peeled == r.ID {
			got = append(got, fmt.Sprintf("%s %s ", r.Name, r.ID))
			continue
		}
		got = append(got, fmt.Sprintf("%s %s %s", r.Name, r.ID, peeled))
	}
	want := git(t, dir, "for-each-ref", "--sort=refname", "--format=%(refname) %(objectname) %(*objectname)")
	if strings.TrimSpace(strings.Join(got, "\n")) != want {
		t.Errorf("refs:\n%s\ngit:\n%s", strings.Join(got, "\n"), want)
	}
	return refs
}

func TestRefs(t *testing.T) {
	for _, format := range []string{SHA1, SHA256} {
		t.Run(format, func(t *testing.T) {
			dir := newRepo(t, 4, "--object-format="+format)
			s := open(t, dir)
			compareRefs(t, s, dir)
			git(t, dir, "pack-refs", "--all")
			for _, r := range compareRefs(t, s, dir) {
				if r.Peeled.IsZero() {
					t.Errorf("%s: packed-refs did not peel it", r.Name)
				}
			}
			addCommit(t, dir, 4)
			git(t, dir, "tag", "-f", "v1.0") // loose now, over the packed one
			git(t, dir, "symbolic-ref", "refs/tags/newest", "refs/tags/v1.4")
			compareRefs(t, s, dir)
			head, err := s.Ref("HEAD")
			if err != nil || head.String() != git(t, dir, "rev-parse", "HEAD") {
				t.Errorf("HEAD: %s, %v", head, err)
			}
			if to, err := s.SymbolicTarget("HEAD"); err != nil || to != "refs/heads/main" {
				t.Errorf("HEAD points to %q, %v", to, err)
			}
			if to, err := s.SymbolicTarget("refs/heads/main"); err != nil || to != "" {
				t.Errorf("main points to %q, %v", to, err)
			}
			tags, err := s.Refs("refs/tags/v1.")
			if err != nil || len(tags) != 5 {
				t.Errorf("%d tags, %v", len(tags), err)
			}
		})
	}
}

func TestRefsThatAreNotThere(t *testing.T) {
	dir := newRepo(t, 1)
	s := open(t, dir)
	git(t, dir, "symbolic-ref", "refs/heads/nowhere", "refs/heads/gone")
	git(t, dir, "symbolic-ref", "refs/heads/a", "refs/heads/b")
	git(t, dir, "symbolic-ref", "refs/heads/b", "refs/heads/a")
	write(t, filepath.Join(dir, ".git/secret"), strings.Repeat("a", 40))
	for _, name := range []string{
		"refs/tags/v9", "refs/tags", "refs/tags/v1.0/x", "refs/heads/nowhere", "refs/../secret", "../x", "/etc/passwd", "", "refs/tags/", "secret",
		"refs/tags/a..b", "refs/tags/.a", "refs/tags/a.lock", "refs/tags/a b", "refs/tags/a\n", "v1.0", "refs/tags/v1.", "refs/tags/a\x00b",
	} {
		if id, err := s.Ref(name); !errors.Is(err, ErrNoRef) {
			t.Errorf("%q: %s, %v", name, id, err)
		}
	}
	if _, err := s.Ref("refs/heads/a"); err == nil || errors.Is(err, ErrNoRef) {
		t.Errorf("refs that point to each other: %v", err)
	}
	if _, err := s.Refs("../"); err == nil {
		t.Error("a list out of the repository")
	}
}

// A crash can leave a ref empty, and a ref.lock; the others are still listed.
func TestBrokenRefs(t *testing.T) {
	dir := newRepo(t, 3)
	git(t, dir, "pack-refs", "--all")
	s := open(t, dir)
	write(t, filepath.Join(dir, ".git/refs/tags/v1.0"), "")
	write(t, filepath.Join(dir, ".git/refs/tags/v1.1.lock"), "")
	write(t, filepath.Join(dir, ".git/refs/heads/odd"), "not an id\n")
	refs, err := s.Refs("refs/")
	if err == nil || !strings.Contains(err.Error(), "refs/tags/v1.0") || !strings.Contains(err.Error(), "refs/heads/odd") {
		t.Errorf("error of the list: %v", err)
	}
	if len(refs) != 3 { // main, v1.1, v1.2
		t.Errorf("%v", refs)
	}
	_, err = s.Ref("refs/tags/v1.0")
	if err == nil || len(release.Hints(err)) == 0 || errors.Is(err, ErrNoRef) {
		t.Errorf("an empty ref: %v", err)
	}
	write(t, filepath.Join(dir, ".git/packed-refs"), "# pack-refs with: peeled fully-peeled sorted \nabc refs/tags/v1.1\n")
	if _, err := s.Ref("refs/tags/v1.1"); err == nil || !strings.Contains(err.Error(), "packed-refs") {
		t.Errorf("a damaged packed-refs: %v", err)
	}
	write(t, filepath.Join(dir, ".git/packed-refs"), strings.Repeat("a", 40)+" refs/tags/v1.")
	if _, err := s.Ref("refs/tags/v1."); err == nil {
		t.Error("a packed-refs that was cut short is taken")
	}
	if _, err := s.Ref("refs/tags/v1.1"); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("a packed-refs that was cut short: %v", err)
	}
}

func TestLinkedWorktree(t *testing.T) {
	dir := newRepo(t, 3)
	git(t, dir, "gc", "-q")
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, dir, "worktree", "add", "-q", "--detach", linked, "v1.1")
	s := open(t, filepath.Join(dir, ".git/worktrees/linked"))
	if want, err := filepath.EvalSymlinks(filepath.Join(dir, ".git")); err != nil || s.CommonDir() != want {
		t.Errorf("common directory %s, want %s, %v", s.CommonDir(), want, err)
	}
	for ref, rev := range map[string]string{"HEAD": "v1.1", "refs/heads/main": "main", "refs/tags/v1.1": "v1.1"} {
		id, err := s.Ref(ref)
		if err != nil || id.String() != git(t, dir, "rev-parse", rev) {
			t.Errorf("%s: %s, %v", ref, id, err)
		}
	}
	git(t, linked, "update-ref", "refs/worktree/mine", "HEAD")
	refs, err := s.Refs("refs/worktree/")
	if err != nil || len(refs) != 1 {
		t.Errorf("the worktree's own refs: %v, %v", refs, err)
	}
	if refs, err = open(t, dir).Refs("refs/worktree/"); err != nil || len(refs) != 0 {
		t.Errorf("the worktree's refs seen from the main one: %v, %v", refs, err)
	}
	compare(t, s, allObjects(t, dir))
}

func TestReftable(t *testing.T) {
	dir := newRepo(t, 3)
	if gitKnowsReftable(t) {
		dir = newRepo(t, 3, "--ref-format=reftable")
		s := open(t, dir)
		compareRefs(t, s, dir)
		if id, err := s.Ref("HEAD"); err != nil || id.String() != git(t, dir, "rev-parse", "HEAD") {
			t.Errorf("HEAD: %s, %v", id, err)
		}
		if to, err := s.SymbolicTarget("HEAD"); err != nil || to != "refs/heads/main" {
			t.Errorf("HEAD points to %q, %v", to, err)
		}
		if _, err := s.Ref("refs/tags/none"); !errors.Is(err, ErrNoRef) {
			t.Errorf("a tag that is not there: %v", err)
		}
		return
	}
	git(t, dir, "config", "core.repositoryformatversion", "1")
	git(t, dir, "config", "extensions.refstorage", "reftable")
	s := open(t, dir)
	for _, err := range []error{second(s.Ref("refs/tags/v1.0")), second(s.Refs("refs/tags/")), second(s.SymbolicTarget("HEAD"))} {
		if err == nil || !strings.Contains(err.Error(), "reftable") || len(release.Hints(err)) == 0 {
			t.Errorf("with a git that is too old: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func gitKnowsReftable(t *testing.T) bool {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(git(t, t.TempDir(), "version"), "git version %d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return major > 2 || minor >= 45
}

func TestShallow(t *testing.T) {
	dir := newRepo(t, 4)
	clone := filepath.Join(t.TempDir(), "shallow.git")
	git(t, dir, "clone", "-q", "--bare", "--depth=1", "file://"+dir, clone)
	s := open(t, clone)
	ids, err := s.Shallow()
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v", ids, err)
	}
	c, err := s.Commit(ids[0])
	if err != nil || len(c.Parents) != 1 {
		t.Fatalf("%v, %v", c, err)
	}
	_, err = s.Commit(c.Parents[0])
	if !errors.Is(err, ErrMissing) || !strings.Contains(strings.Join(release.Hints(err), "\n"), "--unshallow") {
		t.Errorf("%v, %v", err, release.Hints(err))
	}
}

func TestPartialClone(t *testing.T) {
	dir := newRepo(t, 4)
	git(t, dir, "config", "uploadpack.allowFilter", "true")
	clone := filepath.Join(t.TempDir(), "partial.git")
	git(t, dir, "clone", "-q", "--bare", "--filter=blob:none", "file://"+dir, clone)
	s := open(t, clone)
	blob := parse(t, git(t, dir, "rev-parse", "HEAD:version"))
	_, err := s.Read(blob)
	if !errors.Is(err, ErrMissing) || !strings.Contains(strings.Join(release.Hints(err), "\n"), "partial clone") {
		t.Errorf("%v, %v", err, release.Hints(err))
	}
	// What the hint says works, and the open store sees it.
	git(t, clone, "fetch", "-q", "--refetch", "--no-filter", "origin")
	if o, err := s.Read(blob); err != nil || string(o.Data) != "3\n" {
		t.Errorf("after the fetch: %q, %v", o.Data, err)
	}
}

func TestUnknownFormats(t *testing.T) {
	for _, c := range []struct{ key, value, want string }{
		{"core.repositoryformatversion", "2", "version 2"},
		{"extensions.surprise", "true", "surprise"},
		{"extensions.objectformat", "md5", "md5"},
		{"extensions.refstorage", "stone", "stone"},
	} {
		dir := newRepo(t, 1)
		git(t, dir, "config", "core.repositoryformatversion", "1")
		git(t, dir, "config", c.key, c.value)
		if _, err := Open(filepath.Join(dir, ".git")); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %s: %v", c.key, c.value, err)
		}
	}
	for _, c := range []string{"preciousObjects", "worktreeConfig", "noop"} {
		dir := newRepo(t, 1)
		git(t, dir, "config", "core.repositoryformatversion", "1")
		git(t, dir, "config", "extensions."+c, "true")
		compareRefs(t, open(t, dir), dir)
	}
	empty := t.TempDir()
	if _, err := Open(empty); !errors.Is(err, ErrNotRepo) {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Open(filepath.Join(empty, "none")); !errors.Is(err, ErrNotRepo) {
		t.Errorf("a directory that is not there: %v", err)
	}
	file := filepath.Join(empty, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file); !errors.Is(err, ErrNotRepo) {
		t.Errorf("a file: %v", err)
	}
}
