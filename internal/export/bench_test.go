package export

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/objects"
)

// BenchmarkFull times a full export against what else puts the same tree on a disk, taking turns so that what else the machine
// does falls on all alike, and reports medians in milliseconds and ratios. It works on a generated repository of 5,000 files, or
// on the newest tags of the repositories that REL_BENCH_REPO names: REL_BENCH_REPO=/a:/b.git. Run it with -benchtime=9x or so.
func BenchmarkFull(b *testing.B) {
	repos := filepath.SplitList(os.Getenv("REL_BENCH_REPO"))
	if len(repos) == 0 {
		b.Run("generated", func(b *testing.B) { benchmarkFull(b, generated(b)) })
	}
	for _, dir := range repos {
		b.Run(filepath.Base(dir), func(b *testing.B) { benchmarkFull(b, repo{b, dir}) })
	}
}

// BenchmarkExport is the export alone, to be profiled.
func BenchmarkExport(b *testing.B) {
	r := repo{b, os.Getenv("REL_BENCH_REPO")}
	if r.dir == "" {
		r = generated(b)
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

func benchmarkFull(b *testing.B, r repo) {
	tag, _, _ := strings.Cut(r.git("for-each-ref", "--sort=-creatordate", "--format=%(refname:short)", "refs/tags"), "\n")
	gitDir, commit := r.gitDir(), r.git("rev-parse", tag+"^{commit}")
	top, err := os.MkdirTemp(fastest(), "rel-bench-")
	must(b, err)
	b.Cleanup(func() { must(b, os.RemoveAll(top)) })
	tree := filepath.Join(top, "tree")
	must(b, exportOnce(gitDir, commit, tree))
	held := hold(b, tree)

	ways := []struct {
		name string
		to   func(dir string) error
	}{
		{"rel", func(dir string) error { return exportOnce(gitDir, commit, dir) }},
		{"archive", func(dir string) error {
			return run("sh", "-c", `mkdir "$3" && git --git-dir="$1" archive "$2" | tar -x -C "$3"`, "sh", gitDir, commit, dir)
		}},
		{"cp", func(dir string) error { return run("cp", "-a", tree, dir) }},
		{"floor", func(dir string) error { return held.write(dir) }},
	}
	took := make([][]time.Duration, len(ways))
	for b.Loop() {
		for i, way := range ways {
			dir := filepath.Join(top, way.name)
			began := time.Now()
			must(b, way.to(dir))
			took[i] = append(took[i], time.Since(began))
			must(b, os.RemoveAll(dir))
		}
	}
	rel := median(took[0])
	for i, way := range ways {
		m := median(took[i])
		b.ReportMetric(float64(m.Microseconds())/1000, way.name+"-ms")
		if i > 0 {
			b.ReportMetric(float64(rel)/float64(m), "÷"+way.name)
		}
	}
	b.ReportMetric(0, "ns/op") // it would be the sum of them all
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

func run(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = testEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func median(d []time.Duration) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

// fastest is a directory in memory where there is one.
func fastest() string {
	if fi, err := os.Stat("/dev/shm"); err == nil && fi.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// memory is a tree held in memory, by directory: the fastest that a tree can be written.
type memory struct {
	dirs  []string // a directory before what is in it
	files [][]memoryFile
}

type memoryFile struct {
	name string
	data []byte
}

func hold(b *testing.B, tree string) *memory {
	m := &memory{}
	at := map[string]int{}
	for p, c := range content(b, tree) {
		if c == "directory" {
			m.dirs = append(m.dirs, p)
		}
	}
	m.dirs = append(m.dirs, "")
	slices.Sort(m.dirs)
	for i, p := range m.dirs {
		at[p] = i
	}
	m.files = make([][]memoryFile, len(m.dirs))
	for p, c := range content(b, tree) {
		_, data, _ := strings.Cut(c, " ")
		dir, name := filepath.Split(p)
		if i := at[strings.TrimSuffix(dir, "/")]; c != "directory" {
			m.files[i] = append(m.files[i], memoryFile{name, []byte(data)})
		}
	}
	return m
}

func (m *memory) write(dir string) error {
	for _, p := range m.dirs {
		if err := os.Mkdir(filepath.Join(dir, p), 0o755); err != nil {
			return err
		}
	}
	return parallel(context.Background(), cores(), len(m.dirs), func(_, i int) error {
		d, err := unix.Open(filepath.Join(dir, m.dirs[i]), unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		for _, f := range m.files[i] {
			fd, err := unix.Openat(d, f.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
			if err != nil {
				return err
			}
			if _, err := unix.Write(fd, f.data); err != nil {
				return err
			}
			if err := unix.Close(fd); err != nil {
				return err
			}
		}
		return unix.Close(d)
	})
}

// generated is a repository of 5,000 files and about 50 MB in 150 directories, at the end of a history of 60 commits that each
// change a tenth of the files, so that most blobs are deltas.
func generated(b *testing.B) repo {
	r := newRepo(b)
	rnd := rand.New(rand.NewPCG(1, 2))
	words := make([]string, 4000)
	for i := range words {
		words[i] = fmt.Sprintf("%x", rnd.Uint64()>>(8+rnd.IntN(48)))
	}
	line := func() string {
		var s strings.Builder
		for range 3 + rnd.IntN(9) {
			s.WriteString(words[min(rnd.IntN(len(words)), rnd.IntN(len(words)))] + " ")
		}
		return s.String() + "\n"
	}
	files := make([][]string, 5000)
	var in strings.Builder
	for n := range 60 {
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter A <a@b> %d +0000\ndata 1\nx\n", 1700000000+n)
		for i := range files {
			switch {
			case n == 0:
				for range 20 + int(rnd.ExpFloat64()*130) {
					files[i] = append(files[i], line())
				}
			case rnd.IntN(10) > 0:
				continue
			}
			for range 4 {
				files[i][rnd.IntN(len(files[i]))] = line()
			}
			text := strings.Join(files[i], "")
			fmt.Fprintf(&in, "M 100644 inline d%d/sub%d/file%d.txt\ndata %d\n%s\n", i%10, i%150, i, len(text), text)
		}
	}
	in.WriteString("reset refs/tags/v1\nfrom refs/heads/main\n\n")
	r.gitIn([]byte(in.String()), "fast-import", "--quiet")
	r.git("repack", "-adfq", "--depth=50", "--window=10")
	return r
}
