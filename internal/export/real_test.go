package export

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Trees that every machine with Go has: hundreds of real files each, committed as they are.
func TestEqualsGitOnRealTrees(t *testing.T) {
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE").Output()
	must(t, err)
	root, cache, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	_, self, _, _ := runtime.Caller(0)
	trees := map[string]string{
		"go-internal":  filepath.Join(root, "src/cmd/internal"),
		"net":          filepath.Join(root, "src/net"),
		"crypto":       filepath.Join(root, "src/crypto"),
		"x-text":       filepath.Join(cache, "golang.org/x/text@v0.43.0"),
		"this-project": filepath.Join(filepath.Dir(self), ".."),
	}
	for name, dir := range trees {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			r.git("--work-tree="+dir, "-c", "core.bare=false", "add", "-A", "-f", ".")
			r.git("commit", "-q", "-m", "real")
			r.git("tag", "v1")
			got, entries, err := export(t, r.source("v1"))
			must(t, err)
			if len(entries) < 200 {
				t.Fatalf("%d entries only", len(entries))
			}
			same(t, got, r.archive("v1"))
		})
	}
}

// Repositories that the caller names, at five tags each, whole and one directory alone: REL_TEST_REPOS=/a:/b.git
func TestEqualsGitOnRepositories(t *testing.T) {
	repos := os.Getenv("REL_TEST_REPOS")
	if repos == "" {
		t.Skip("REL_TEST_REPOS names no repositories to compare with")
	}
	for _, dir := range filepath.SplitList(repos) {
		t.Run(filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir), func(t *testing.T) {
			for _, tag := range (repo{t, dir}).spread(5) {
				t.Run(tag, func(t *testing.T) { equalsGit(t, repo{t, dir}, tag) })
			}
		})
	}
}

// spread are n tags whose export is not refused and whose objects are there, spread over the history.
func (r repo) spread(n int) (chosen []string) {
	var tags []string
	for _, line := range strings.Split(r.git("for-each-ref", "--sort=-creatordate", "--format=%(refname:short) %(objecttype)%(*objecttype)", "refs/tags"), "\n") {
		if name, kind, _ := strings.Cut(line, " "); strings.HasSuffix(kind, "commit") {
			tags = append(tags, name)
		}
	}
	passed := map[string]bool{}
	for i := range min(n, len(tags)) {
		from := i * len(tags) / n
		for _, tag := range slices.Concat(tags[from:], tags[:from]) {
			if passed[tag] || slices.Contains(chosen, tag) {
				continue
			}
			_, err := Survey(context.Background(), r.asArchived(tag))
			if release.ExitCode(err) != release.ExitRefused && !errors.Is(err, objects.ErrMissing) {
				chosen = append(chosen, tag)
				break
			}
			r.t.Logf("passed over: %v", err)
			passed[tag] = true
		}
	}
	r.t.Logf("%d tags chosen of %d, %d passed over", len(chosen), len(tags), len(passed))
	return chosen
}

// asArchived is the source of a tag whose submodules are what git archive makes of them.
func (r repo) asArchived(tag string) Source {
	r.t.Helper()
	src := r.source(tag)
	src.Submodules = SubmodulesEmpty
	return src
}

// equalsGit compares a tag's export, and that of its largest directory, with what git makes of them.
func equalsGit(t *testing.T, r repo, tag string) {
	t.Helper()
	got, _, err := export(t, r.asArchived(tag))
	must(t, err)
	want := r.archive(tag)
	same(t, got, want)
	must(t, errors.Join(os.RemoveAll(got), os.RemoveAll(want)))

	src := r.asArchived(tag)
	if src.Path = r.largest(tag); src.Path == "" {
		return
	}
	got, _, err = export(t, src)
	must(t, err)
	same(t, got, filepath.Join(r.archive(tag, src.Path), src.Path))
}

// largest is the directory of the first or second level with most files that are exported, "" if there is none.
func (r repo) largest(tag string) string {
	r.t.Helper()
	plan, err := Survey(context.Background(), r.asArchived(tag))
	must(r.t, err)
	files := map[string]int{}
	best := ""
	for _, f := range plan.files {
		parts := strings.Split(f.path, "/")
		if len(parts) == 1 {
			continue
		}
		dir := strings.Join(parts[:min(2, len(parts)-1)], "/")
		if files[dir]++; best == "" || files[dir] > files[best] {
			best = dir
		}
	}
	return best
}
