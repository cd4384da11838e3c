package export

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// repo is a real repository with a work tree.
type repo struct {
	t   testing.TB
	dir string
}

func newRepo(t testing.TB, args ...string) repo {
	t.Helper()
	r := repo{t, t.TempDir()}
	r.git(append([]string{"init", "-q", "-b", "main"}, args...)...)
	return r
}

func testEnv() []string {
	return append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Änne Author", "GIT_AUTHOR_EMAIL=anne@example.org", "GIT_AUTHOR_DATE=2026-03-04T05:06:07+02:00",
		"GIT_COMMITTER_NAME=Carl", "GIT_COMMITTER_EMAIL=carl@example.org", "GIT_COMMITTER_DATE=2026-03-05T05:06:07-0330")
}

func (r repo) git(args ...string) string { r.t.Helper(); return r.gitIn(nil, args...) }

func (r repo) gitIn(stdin []byte, args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir}, args...)...)
	cmd.Env = testEnv()
	cmd.Stdin = bytes.NewReader(stdin)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("git %q: %v\n%s", args, err, said.Bytes())
	}
	return strings.TrimSpace(string(out))
}

// write puts a file into the work tree. Content that begins with "-> " makes a symlink, "#!" an executable.
func (r repo) write(path, content string) {
	r.t.Helper()
	full := filepath.Join(r.dir, path)
	must(r.t, os.MkdirAll(filepath.Dir(full), 0o755))
	if target, ok := strings.CutPrefix(content, "-> "); ok {
		must(r.t, os.Symlink(target, full))
		return
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	must(r.t, os.WriteFile(full, []byte(content), mode))
}

// commit commits the work tree byte for byte and tags it.
func (r repo) commit(tag string) {
	r.t.Helper()
	// The clean side of attributes must not touch what is added: only their way out is of interest.
	must(r.t, os.MkdirAll(filepath.Join(r.dir, ".git/info"), 0o755))
	info := filepath.Join(r.dir, ".git/info/attributes")
	must(r.t, os.WriteFile(info, []byte("* -text -ident !working-tree-encoding !eol !crlf !filter\n"), 0o644))
	r.git("add", "-A")
	must(r.t, os.Remove(info))
	r.git("commit", "-q", "--allow-empty", "-m", "The subject\n\nA body\nwith ünïcode.\n\nSigned-off-by: Me <me@example.org>")
	r.git("tag", tag)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r repo) gitDir() string { return r.git("rev-parse", "--absolute-git-dir") }

func (r repo) source(rev string) Source {
	r.t.Helper()
	store, err := objects.Open(r.gitDir())
	must(r.t, err)
	r.t.Cleanup(func() { must(r.t, store.Close()) })
	id, err := objects.ParseID(r.git("rev-parse", rev+"^{commit}"))
	must(r.t, err)
	return Source{Store: store, Commit: id, Tag: rev, GitDir: r.gitDir(), Attributes: true}
}

// export exports src into a new directory.
func export(t testing.TB, src Source) (dir string, entries []release.Entry, err error) {
	t.Helper()
	plan, err := Survey(context.Background(), src)
	if err != nil {
		return "", nil, err
	}
	dir = filepath.Join(t.TempDir(), "release")
	entries, err = plan.Write(context.Background(), dir, nil)
	return dir, entries, err
}

// archive is what git itself makes of it.
func (r repo) archive(rev string, paths ...string) string {
	r.t.Helper()
	dir := r.t.TempDir()
	pipe := exec.Command("sh", append([]string{"-c", `rev=$1 repo=$2 dir=$3; shift 3
		git -C "$repo" archive "$rev" "$@" >"$dir.tar" && tar -x -f "$dir.tar" -C "$dir"; s=$?; rm -f "$dir.tar"; exit $s`, "sh", rev, r.dir, dir}, paths...)...)
	pipe.Env = testEnv()
	if out, err := pipe.CombinedOutput(); err != nil {
		r.t.Fatalf("git archive %s: %v\n%s", rev, err, out)
	}
	return dir
}

// content is a tree on disk: by path its type, executable bit and content.
func content(t testing.TB, dir string) map[string]string {
	t.Helper()
	tree := make(map[string]string)
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		rel := strings.TrimPrefix(path, dir+"/")
		switch {
		case d.IsDir():
			tree[rel] = "directory"
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(path)
			tree[rel] = "-> " + target
			return err
		default:
			info, err := d.Info()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(path)
			tree[rel] = "file "
			if info.Mode()&0o100 != 0 {
				tree[rel] = "executable "
			}
			tree[rel] += string(data)
			return err
		}
		return nil
	}))
	return tree
}

// same compares what we made with what git made.
func same(t testing.TB, got, want string) {
	t.Helper()
	g, w := content(t, got), content(t, want)
	paths := maps.Clone(g)
	maps.Copy(paths, w)
	bad := 0
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if g[p] == w[p] {
			continue
		}
		if bad++; bad > 20 {
			t.Fatal("and more")
		}
		t.Errorf("%s:\n got %.300q\nwant %.300q", p, g[p], w[p])
	}
}

// reopened is a writer on a release that is there already.
func reopened(t testing.TB, plan *Plan, dir string) *writer {
	t.Helper()
	root, err := disk.OpenDir(dir)
	must(t, err)
	t.Cleanup(func() { must(t, root.Close()) })
	return newWriter(plan, root, nil)
}
