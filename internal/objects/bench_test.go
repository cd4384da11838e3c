package objects

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// benchRepo is the git directory that REL_BENCH_REPO names, else a small repository made here.
func benchRepo(b *testing.B) string {
	b.Helper()
	if dir := os.Getenv("REL_BENCH_REPO"); dir != "" {
		return dir
	}
	dir := newRepo(b, 30)
	git(b, dir, "gc", "-q")
	return filepath.Join(dir, ".git")
}

// BenchmarkReadTree reads all blobs of the newest tag's tree in the order of the packs.
func BenchmarkReadTree(b *testing.B) {
	dir := benchRepo(b)
	names := strings.Fields(git(b, dir, "for-each-ref", "--format=%(refname)", "refs/tags"))
	var ids []ID
	for line := range strings.Lines(git(b, dir, "ls-tree", "-r", names[len(names)-1])) {
		if f := strings.Fields(line); f[1] == "blob" {
			ids = append(ids, parse(b, f[2]))
		}
	}
	for b.Loop() {
		s, err := Open(dir)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := s.Header(ids[0]); err != nil {
			b.Fatal(err)
		}
		at := make(map[ID]int64, len(ids))
		for _, id := range ids {
			_, at[id], _ = s.Position(id)
		}
		slices.SortFunc(ids, func(x, y ID) int { return int(at[x] - at[y]) })
		total := 0
		for _, id := range ids {
			o, err := s.Read(id)
			if err != nil {
				b.Fatal(err)
			}
			total += len(o.Data)
		}
		b.SetBytes(int64(total))
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkInflateTree inflates what the blobs of the newest tag's tree and their bases are packed as, each once.
func BenchmarkInflateTree(b *testing.B) {
	dir := benchRepo(b)
	names := strings.Fields(git(b, dir, "for-each-ref", "--format=%(refname)", "refs/tags"))
	s, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var streams [][]byte
	var sizes []int64
	var total int64
	seen := map[place]bool{}
	for line := range strings.Lines(git(b, dir, "ls-tree", "-r", names[len(names)-1])) {
		f := strings.Fields(line)
		if f[1] != "blob" {
			continue
		}
		num, at, _ := s.Position(parse(b, f[2]))
		p := (*s.packs.Load())[num]
		for !seen[place{num, at}] {
			seen[place{num, at}] = true
			e, err := p.entry(at)
			if err != nil {
				b.Fatal(err)
			}
			streams, sizes, total = append(streams, p.body[e.data:]), append(sizes, e.size), total+e.size
			if e.kind >= offsetDelta {
				at = e.base
			}
		}
	}
	dst := make([]byte, slices.Max(sizes))
	z := new(inflater)
	b.SetBytes(total)
	for b.Loop() {
		for i, src := range streams {
			if err := z.exactly(dst[:sizes[i]], src); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(streams)), "streams")
}
