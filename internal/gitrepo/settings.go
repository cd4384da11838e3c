package gitrepo

import (
	"context"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/release"
)

// Settings are the values that the repository's own configuration gives a key; none where it has no such key.
func (r *Repo) Settings(ctx context.Context, key string) ([]string, error) {
	out, err := r.git(ctx, call{}, "config", "--local", "--null", "--get-all", key)
	if exitOf(err) == 1 {
		return nil, nil
	}
	if err != nil || out == "" {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out, "\x00"), "\x00"), nil
}

// Set gives a key of the repository's own configuration one value.
func (r *Repo) Set(ctx context.Context, key, value string) error {
	_, err := r.git(ctx, call{}, "config", "--local", "--replace-all", key, value)
	return err
}

// AddSetting adds a value to a key of the repository's own configuration.
func (r *Repo) AddSetting(ctx context.Context, key, value string) error {
	_, err := r.git(ctx, call{}, "config", "--local", "--add", key, value)
	return err
}

// Unset takes a value of a key out of the repository's own configuration, if it is there.
func (r *Repo) Unset(ctx context.Context, key, value string) error {
	_, err := r.git(ctx, call{}, "config", "--local", "--fixed-value", "--unset-all", key, value)
	if exitOf(err) == 5 { // git's own word for: not there
		return nil
	}
	return err
}

// HooksDir is where git looks for the hooks of a push, which it runs in the git directory. One that lies outside of the repository,
// as core.hooksPath may have it, is an error: it is not the repository's alone.
func (r *Repo) HooksDir(ctx context.Context) (string, error) {
	out, err := r.git(ctx, call{}, "config", "--null", "--show-scope", "--path", "--get", "core.hooksPath")
	if exitOf(err) == 1 {
		return filepath.Join(r.store.CommonDir(), "hooks"), nil
	}
	if err != nil {
		return "", err
	}
	scope, dir, _ := strings.Cut(strings.TrimSuffix(out, "\x00"), "\x00")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(r.Dir, dir)
	}
	if inside, err := within(dir, r.store.CommonDir()); err != nil || inside {
		return filepath.Clean(dir), err
	}
	own := "hooks"
	if r.WorkTree != "" { // other hooks run in the work tree, where a relative path means something else
		own = filepath.Join(r.store.CommonDir(), "hooks")
	}
	return "", release.Errorf(release.ExitRefused, "%s: git looks for its hooks in %s, outside of it (core.hooksPath, %s)", r.Dir, dir, scope).
		Hint("git -C %s config core.hooksPath %s makes it use its own, instead of those", shellQuote(r.Dir), shellQuote(own))
}

// within says whether path is dir or lies in it, links followed as far as there is something.
func within(path, dir string) (bool, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	path = filepath.Clean(path)
	for tail := "."; ; path, tail = filepath.Dir(path), filepath.Join(filepath.Base(path), tail) {
		real, err := filepath.EvalSymlinks(path)
		if err != nil && path != filepath.Dir(path) {
			continue // not there yet
		}
		rel, err := filepath.Rel(dir, filepath.Join(real, tail))
		return err == nil && rel != ".." && !strings.HasPrefix(rel, "../"), err
	}
}
