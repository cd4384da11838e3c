package export

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/objects"
)

// BenchmarkReuse times turning a spare seven tags old into the newest release against a full export and against what git does in
// a work tree over the same distance, taking turns. It works on a generated repository of 5,000 files of which some hundreds
// change, or on those that REL_BENCH_REPO names.
func BenchmarkReuse(b *testing.B) {
	repos := filepath.SplitList(os.Getenv("REL_BENCH_REPO"))
	if len(repos) == 0 {
		b.Run("generated", func(b *testing.B) {
			r := generated(b)
			r.git("tag", "v0", "v1~1")
			benchmarkReuse(b, r, "v0", "v1")
		})
	}
	for _, dir := range repos {
		b.Run(filepath.Base(dir), func(b *testing.B) {
			r := repo{b, dir}
			newest := r.git("for-each-ref", "--count=1", "--sort=-creatordate", "--format=%(refname:short)", "refs/tags")
			tags := strings.Fields(r.git("for-each-ref", "--merged="+newest, "--sort=-creatordate", "--format=%(refname:short)", "refs/tags"))
			benchmarkReuse(b, r, tags[min(7, len(tags)-1)], tags[0])
		})
	}
}

func benchmarkReuse(b *testing.B, r repo, from, to string) {
	gitDir, before, after := r.gitDir(), r.git("rev-parse", from+"^{commit}"), r.git("rev-parse", to+"^{commit}")
	top, err := os.MkdirTemp(fastest(), "rel-bench-")
	must(b, err)
	b.Cleanup(func() { must(b, os.RemoveAll(top)) })
	full, reused, work := filepath.Join(top, "full"), filepath.Join(top, "reused"), filepath.Join(top, "work")
	must(b, run("git", "clone", "--quiet", "--shared", "--no-checkout", gitDir, work))
	reset := func(to string) error { return run("git", "-C", work, "reset", "--quiet", "--hard", to) }
	took := map[string][]time.Duration{}
	timed := func(name string, do func() error) {
		began := time.Now()
		must(b, do())
		took[name] = append(took[name], time.Since(began))
	}
	kept := 0
	for b.Loop() {
		timed("full", func() error { return exportOnce(gitDir, after, full) })
		must(b, os.RemoveAll(full))

		was := former(b, r, from)
		must(b, os.Rename(was.Dir, reused))
		was.Dir = reused
		timed("reuse", func() (err error) { kept, err = rewriteOnce(gitDir, after, was); return err })
		must(b, os.RemoveAll(reused))

		must(b, errors.Join(reset(before), run("git", "-C", work, "status")))
		timed("reset", func() error { return reset(after) })
	}
	reuse := median(took["reuse"])
	b.ReportMetric(float64(kept), "kept")
	for name, times := range took {
		m := median(times)
		b.ReportMetric(float64(m.Microseconds())/1000, name+"-ms")
		if name != "reuse" {
			b.ReportMetric(float64(reuse)/float64(m), "÷"+name)
		}
	}
	b.ReportMetric(0, "ns/op") // it would be the sum of them all
}

func rewriteOnce(gitDir, commit string, was old) (kept int, err error) {
	store, err := objects.Open(gitDir)
	if err != nil {
		return 0, err
	}
	id, err := objects.ParseID(commit)
	if err != nil {
		return 0, err
	}
	plan, err := Survey(context.Background(), Source{Store: store, Commit: id, Tag: "bench", GitDir: gitDir, Attributes: true})
	if err != nil {
		return 0, err
	}
	if _, kept, err = plan.Rewrite(context.Background(), was.Dir, was.Dir+"-new", was.Manifest, nil); err != nil {
		return kept, err
	}
	return kept, store.Close()
}
