package export

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/objects"
)

// BenchmarkExport is the full export alone, to be profiled: of the newest tag of the repository that REL_BENCH_REPO names. What it
// takes beside git and others, make bench tells.
func BenchmarkExport(b *testing.B) {
	r := repo{b, os.Getenv("REL_BENCH_REPO")}
	if r.dir == "" {
		b.Skip("REL_BENCH_REPO names no repository")
	}
	tag, _, _ := strings.Cut(r.git("for-each-ref", "--sort=-creatordate", "--format=%(refname:short)", "refs/tags"), "\n")
	gitDir, commit := r.gitDir(), r.git("rev-parse", tag+"^{commit}")
	top, err := os.MkdirTemp(fastest(), "rel-bench-")
	must(b, err)
	b.Cleanup(func() { must(b, os.RemoveAll(top)) })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		must(b, exportOnce(gitDir, commit, filepath.Join(top, strconv.Itoa(i))))
	}
}

func exportOnce(gitDir, commit, dir string) error {
	store, err := objects.Open(gitDir)
	if err != nil {
		return err
	}
	id, err := objects.ParseID(commit)
	if err != nil {
		return err
	}
	plan, err := Survey(context.Background(), Source{Store: store, Commit: id, Tag: "bench", GitDir: gitDir, Attributes: true})
	if err != nil {
		return err
	}
	if _, err := plan.Write(context.Background(), dir, nil); err != nil {
		return err
	}
	return store.Close()
}

// fastest is a directory in memory where there is one.
func fastest() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return ""
}
