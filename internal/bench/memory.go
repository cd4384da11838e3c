//go:build linux

package main

import (
	"context"
	"path/filepath"
)

// memory prints what an export takes of memory where neither the repository nor the target is on a tmpfs.
func (b *bench) memory(ctx context.Context, _ []place) error {
	if isTmpfs(b.cache) {
		b.tell("memory: %s is on a tmpfs, which counts otherwise: --dir names a directory on a disk", b.cache)
		return nil
	}
	var rows [][]string
	for _, c := range []struct {
		repo string
		most float64
	}{{"deep", 96}, {"wide", 96}, {"2 GiB", 160}} {
		more, err := b.memoryOf(ctx, c.repo, c.most)
		if err != nil {
			return err
		}
		rows = append(rows, more...)
	}
	b.table("Memory", "Peak anonymous memory (RssAnon, looked at a thousand times a second) of a whole export, the most of two; repository and target on a disk.",
		[]string{"export", "way", "peak anonymous MB", ""}, rows)
	return nil
}

func (b *bench) memoryOf(ctx context.Context, named string, most float64) (rows [][]string, err error) {
	var r repository
	if named == "2 GiB" {
		size := int64(2 << 30)
		if b.quick {
			size = 256 << 20
		}
		gitDir, err := b.generate(ctx, "large-"+mb(size), large(size))
		if err != nil {
			return nil, err
		}
		r = repository{name: "a file of " + mb(size) + " MB", gitDir: gitDir}
		if r.commit, err = r.peel(ctx, "v1"); err != nil {
			return nil, err
		}
	} else if r, err = b.repository(ctx, named); err != nil {
		return nil, err
	}
	b.tell("memory of exports of %s", r.name)
	s := stage{repo: r, dir: b.scratch, out: filepath.Join(b.scratch, "out")}
	ways := []*way{
		{name: full, argv: b.child("export", r.gitDir, r.commit, s.out)},
		{name: archive, argv: []string{"sh", "-c", untar, "sh", r.gitDir, r.commit, s.out}},
	}
	if r.old != "" {
		ways = append(ways, b.reuse(ctx, s))
	}
	for _, w := range ways {
		for range 2 {
			before := w.memory
			if err := b.once(ctx, w, true, s); err != nil {
				return nil, err
			}
			w.memory = max(w.memory, before)
		}
		verdict := ""
		if w.name != archive {
			verdict = b.must(target{what: "peak anonymous memory, " + r.name + ": " + w.name, figure: float64(w.memory) / 1e6, most: most, unit: "MB"})
		}
		rows = append(rows, []string{r.name, w.name, mb(w.memory), verdict})
	}
	return rows, nil
}
