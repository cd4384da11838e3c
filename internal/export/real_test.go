package export

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

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

// Repositories that the caller names, at up to five tags each: REL_TEST_REPOS=/a:/b.git
func TestEqualsGitOnRepositories(t *testing.T) {
	repos := os.Getenv("REL_TEST_REPOS")
	if repos == "" {
		t.Skip("REL_TEST_REPOS names no repositories to compare with")
	}
	for _, dir := range filepath.SplitList(repos) {
		r := repo{t, dir}
		tags := strings.Fields(r.git("for-each-ref", "--sort=-creatordate", "--format=%(refname:short)", "refs/tags"))
		for i := range 5 {
			if len(tags) == 0 {
				break
			}
			tag := tags[i*(len(tags)-1)/4]
			t.Run(filepath.Base(filepath.Dir(dir))+"/"+filepath.Base(dir)+"@"+tag, func(t *testing.T) {
				r := repo{t, dir}
				got, _, err := export(t, r.source(tag))
				if release.ExitCode(err) == release.ExitRefused {
					t.Skipf("refused: %v", err)
				}
				must(t, err)
				same(t, got, r.archive(tag))
			})
		}
	}
}
