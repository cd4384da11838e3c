package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Repo is an open repository. Reading is safe from several goroutines.
type Repo struct {
	Dir      string // the git directory, absolute; of a linked worktree its own, .git/worktrees/<name>
	WorkTree string // absolute; empty for a bare repository
	store    *objects.Store
}

// Open opens the repository at path itself: a bare repository, a .git directory, or the top of a work tree, linked ones and
// submodules included. It does not look at path's parents: Find does. The error for what is none is objects.ErrNotRepo.
func Open(path string) (*Repo, error) { return OpenWith(path, objects.Options{}) }

// OpenWith is Open with options, for a hook to which git has not given the objects of a push for good yet.
func OpenWith(path string, o objects.Options) (*Repo, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dir, tree, err := locate(abs)
	if err != nil {
		return nil, err
	}
	store, err := objects.OpenWith(dir, o)
	if errors.Is(err, objects.ErrNotRepo) {
		return nil, notRepo(path)
	}
	if err != nil {
		return nil, err
	}
	return &Repo{Dir: dir, WorkTree: tree, store: store}, nil
}

// Find is the repository that start is in: the nearest of start and its parents that Open takes. The path is the top of the work
// tree, or the bare repository.
func Find(start string) (string, error) {
	dir, err := filepath.Abs(start)
	if err != nil {
		return "", err
	}
	for {
		_, tree, err := locate(dir)
		if err == nil && tree != "" {
			return tree, nil
		}
		if err == nil {
			return dir, nil
		}
		if !errors.Is(err, objects.ErrNotRepo) { // a .git file that is broken: git does not look further up either
			return "", err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", notRepo(start)
		}
		dir = parent
	}
}

func notRepo(path string) error {
	return release.Errorf(release.ExitError, "%s: %w", path, objects.ErrNotRepo).
		Hint("rel -C DIR works in another directory; repo in rel.toml names the repository of a root")
}

// locate finds the git directory and the work tree that path stands for.
func locate(path string) (dir, tree string, err error) {
	dot := filepath.Join(path, ".git")
	info, err := os.Stat(dot)
	switch {
	case err == nil && info.IsDir() && isGitDir(dot):
		return dot, path, nil
	case err == nil && info.Mode().IsRegular():
		dir, err := followFile(dot)
		return dir, path, err
	case isGitDir(path):
		tree, err := treeOf(path)
		return path, tree, err
	}
	return "", "", notRepo(path)
}

// isGitDir is git's own test: HEAD, and objects and refs, which linked worktrees have elsewhere.
func isGitDir(dir string) bool {
	there := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, name))
		return err == nil
	}
	return there("HEAD") && (there("commondir") || there("objects") && there("refs"))
}

// followFile reads a .git file: "gitdir: PATH", relative to where the file is.
func followFile(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	dir, ok := strings.CutPrefix(strings.TrimRight(string(data), "\r\n"), "gitdir: ")
	if !ok || dir == "" {
		return "", release.Errorf(release.ExitError, "%s: names no git directory", file)
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(filepath.Dir(file), dir)
	}
	if !isGitDir(dir) {
		return "", release.Errorf(release.ExitError, "%s: %s is no git directory", file, dir).
			Hint("git worktree repair mends a worktree that was moved")
	}
	return filepath.Clean(dir), nil
}

// treeOf is the work tree of a git directory that was named itself: beside a directory called .git, or where a linked
// worktree's gitdir file says.
func treeOf(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "gitdir"))
	switch {
	case err == nil:
		return filepath.Dir(strings.TrimRight(string(data), "\r\n")), nil
	case !errors.Is(err, os.ErrNotExist):
		return "", err
	case filepath.Base(dir) == ".git":
		return filepath.Dir(dir), nil
	}
	return "", nil
}

// Objects is the repository's object store. It is closed with the Repo.
func (r *Repo) Objects() *objects.Store { return r.store }

// Close ends the use of the repository.
func (r *Repo) Close() error { return r.store.Close() }

// top is where git is run.
func (r *Repo) top() string {
	if r.WorkTree != "" {
		return r.WorkTree
	}
	return r.Dir
}
