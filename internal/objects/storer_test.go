package objects

import (
	"errors"
	"io"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/git-rel/rel/internal/release"
)

func gogitOpen(t *testing.T, dir string) *gogit.Repository {
	t.Helper()
	st, err := open(t, dir).Storer()
	if err != nil {
		t.Fatal(err)
	}
	r, err := gogit.Open(st, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func log(t *testing.T, r *gogit.Repository, from plumbing.Hash) string {
	t.Helper()
	iter, err := r.Log(&gogit.LogOptions{From: from})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	err = iter.ForEach(func(c *object.Commit) error {
		lines = append(lines, c.Hash.String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func TestGoGitReadsThroughTheStore(t *testing.T) {
	dir := newRepo(t, 8)
	for _, packed := range []bool{false, true} {
		if packed {
			git(t, dir, "gc", "-q")
		}
		r := gogitOpen(t, dir)
		head, err := r.Head()
		if err != nil || head.Name() != "refs/heads/main" {
			t.Fatalf("%v, %v", head, err)
		}
		if got, want := log(t, r, head.Hash()), git(t, dir, "rev-list", "HEAD"); got != want {
			t.Errorf("log:\n%s\ngit:\n%s", got, want)
		}
		old, err := r.ResolveRevision("refs/tags/v1.2^{commit}")
		if err != nil {
			t.Fatal(err)
		}
		from, err := r.CommitObject(*old)
		if err != nil {
			t.Fatal(err)
		}
		to, err := r.CommitObject(head.Hash())
		if err != nil {
			t.Fatal(err)
		}
		patch, err := from.Patch(to)
		if err != nil {
			t.Fatal(err)
		}
		var changed []string
		for _, f := range patch.FilePatches() {
			_, after := f.Files()
			changed = append(changed, after.Path())
		}
		sort.Strings(changed)
		if got, want := strings.Join(changed, "\n"), git(t, dir, "diff", "--name-only", "v1.2", "HEAD"); got != want {
			t.Errorf("diff:\n%s\ngit:\n%s", got, want)
		}
		f, err := to.File("version")
		if err != nil {
			t.Fatal(err)
		}
		if text, err := f.Contents(); err != nil || text != "7\n" {
			t.Errorf("%q, %v", text, err)
		}
		tags, err := r.Tags()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := tags.ForEach(func(*plumbing.Reference) error { n++; return nil }); err != nil || n != 8 {
			t.Errorf("%d tags, %v", n, err)
		}
		if _, err := r.Reference("refs/tags/none", true); !errors.Is(err, plumbing.ErrReferenceNotFound) {
			t.Errorf("a tag that is not there: %v", err)
		}
		if _, err := r.CommitObject(plumbing.NewHash(strings.Repeat("a", 40))); !errors.Is(err, plumbing.ErrObjectNotFound) || len(release.Hints(err)) == 0 {
			t.Errorf("a commit that is not there: %v", err)
		}
		if _, err := r.TreeObject(head.Hash()); !errors.Is(err, plumbing.ErrObjectNotFound) {
			t.Errorf("a commit as a tree: %v", err)
		}
		if _, err := r.CreateTag("new", head.Hash(), nil); !errors.Is(err, errReadOnly) {
			t.Errorf("a new tag: %v", err)
		}
	}
}

func TestGoGitShallow(t *testing.T) {
	dir := newRepo(t, 5)
	clone := filepath.Join(t.TempDir(), "shallow.git")
	git(t, dir, "clone", "-q", "--bare", "--depth=2", "file://"+dir, clone)
	r := gogitOpen(t, clone)
	head, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := log(t, r, head.Hash()), git(t, clone, "rev-list", "HEAD"); got != want {
		t.Errorf("log:\n%s\ngit:\n%s", got, want)
	}
}

func TestGoGitAndSHA256(t *testing.T) {
	s := open(t, newRepo(t, 1, "--object-format=sha256"))
	if _, err := s.Storer(); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Errorf("%v", err)
	}
}

func TestGoGitBlobsAreStreamed(t *testing.T) {
	dir := newRepo(t, 2)
	r := gogitOpen(t, dir)
	blob, err := r.BlobObject(plumbing.NewHash(git(t, dir, "rev-parse", "HEAD:noise")))
	if err != nil {
		t.Fatal(err)
	}
	in, err := blob.Reader()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if data, err := io.ReadAll(in); err != nil || int64(len(data)) != blob.Size || blob.Size != 3000 {
		t.Errorf("%d bytes of %d, %v", len(data), blob.Size, err)
	}
}
