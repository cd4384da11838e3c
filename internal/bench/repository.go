//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// repository is a repository and the tag of it that is exported.
type repository struct {
	name   string
	gitDir string
	tag    string
	commit string
	old    string // the commit of an earlier tag, "" where none is named
	files  int64
	about  string // how large it all is
}

// repository finds, or generates, what --repo names: deep, wide or PATH:TAG[:OLD].
func (b *bench) repository(ctx context.Context, named string) (r repository, err error) {
	r.name = named
	old := ""
	switch named {
	case "deep": // the tag is near the end, not at it: what people deploy is rarely the newest commit
		commits := 200_000
		if b.quick {
			commits = 10_000
		}
		last := commits / 20
		r.tag, old = fmt.Sprintf("v%d", last-last/30), fmt.Sprintf("v%d", last-last/30-20)
		r.gitDir, err = b.generate(ctx, fmt.Sprintf("deep-%d", commits), deep(commits))
	case "wide":
		files := 100_000
		if b.quick {
			files = 10_000
		}
		r.tag, old = "v8", "v1"
		r.gitDir, err = b.generate(ctx, fmt.Sprintf("wide-%d", files), wide(files))
	default:
		path, rest, _ := strings.Cut(named, ":")
		r.tag, old, _ = strings.Cut(rest, ":")
		r.name = strings.TrimSuffix(filepath.Base(path), ".git")
		r.gitDir, err = output(ctx, "git", "-C", path, "rev-parse", "--absolute-git-dir")
	}
	if err != nil {
		return r, err
	}
	if r.commit, err = r.peel(ctx, r.tag); err != nil {
		return r, err
	}
	if old != "" {
		if r.old, err = r.peel(ctx, old); err != nil {
			return r, err
		}
	}
	return r, r.describe(ctx)
}

func (r repository) git(args ...string) []string {
	return append([]string{"git", "--git-dir=" + r.gitDir}, args...)
}

func (r repository) peel(ctx context.Context, tag string) (string, error) {
	return output(ctx, r.git("rev-parse", "--verify", "-q", tag+"^{commit}")...)
}

func (r *repository) describe(ctx context.Context) error {
	tree, err := output(ctx, r.git("ls-tree", "-r", "-l", r.commit)...)
	if err != nil {
		return err
	}
	var bytes, objects, kib int64
	for line := range strings.Lines(tree) {
		var mode, kind, id string
		var size int64
		if n, _ := fmt.Sscan(line, &mode, &kind, &id, &size); n == 4 {
			r.files, bytes = r.files+1, bytes+size
		}
	}
	counts, err := output(ctx, r.git("count-objects", "-v")...)
	if err != nil {
		return err
	}
	for line := range strings.Lines(counts) {
		_, _ = fmt.Sscanf(line, "in-pack: %d", &objects) // each line is one of these or neither
		_, _ = fmt.Sscanf(line, "size-pack: %d", &kib)
	}
	r.about = fmt.Sprintf("%s %s: %s files, %s MB, of a repository of %s objects in %s MB.",
		r.name, r.tag, thousands(r.files), mb(bytes), thousands(objects), mb(kib<<10))
	if r.old == "" {
		return nil
	}
	changed, err := output(ctx, r.git("diff-tree", "-r", "--no-renames", "--name-only", r.old, r.commit)...)
	r.about += fmt.Sprintf(" %s files were added, changed or removed since the earlier tag, which reuse, reset and --link-dest begin with.",
		thousands(int64(strings.Count(changed, "\n")+1)))
	return err
}

func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// borrowed is a bare repository of this run's own that has the objects of r, for the git commands that write to a repository.
func (b *bench) borrowed(ctx context.Context, r repository, dir string) (repository, error) {
	objects, err := output(ctx, r.git("rev-parse", "--git-path", "objects")...)
	if err != nil {
		return r, err
	}
	if !filepath.IsAbs(objects) {
		objects = filepath.Join("/", objects) // where the command ran
	}
	if err := run(ctx, "git", "init", "-q", "--bare", dir); err != nil {
		return r, err
	}
	r.gitDir = dir
	return r, os.WriteFile(filepath.Join(dir, "objects", "info", "alternates"), []byte(objects+"\n"), 0o644)
}
