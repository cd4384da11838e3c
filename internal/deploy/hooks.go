package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/hooks"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

// HooksChanged is what installing or removing hooks has changed.
type HooksChanged struct {
	Repo    string   `json:"repo"`    // the git directory
	Hooks   string   `json:"hooks"`   // where its hooks are
	Changed []string `json:"changed"` // files and settings, in words
}

func (h *HooksChanged) say(format string, args ...any) {
	h.Changed = append(h.Changed, fmt.Sprintf(format, args...))
}

// hook is one hook of a repository as it is found.
type hook struct {
	name, path string
	text       string // empty where it is absent
	root       string // that it calls rel for, where it is ours
	ours       bool
	absent     bool
	executable bool
}

// lookAtHooks reads the hooks in dir.
func lookAtHooks(dir string) ([]hook, error) {
	var all []hook
	for _, name := range hooks.Names() {
		h := hook{name: name, path: filepath.Join(dir, name)}
		info, err := os.Stat(h.path)
		if errors.Is(err, fs.ErrNotExist) {
			if _, err := os.Lstat(h.path); err == nil {
				return nil, release.Errorf(release.ExitRefused, "%s: a link that leads nowhere", h.path)
			}
			h.absent = true
			all = append(all, h)
			continue
		}
		if err == nil && !info.Mode().IsRegular() {
			err = release.Errorf(release.ExitRefused, "%s: not a file", h.path)
		}
		if err != nil {
			return nil, err
		}
		data, err := os.ReadFile(h.path)
		if err != nil {
			return nil, err
		}
		h.text, h.executable = string(data), info.Mode()&0o111 == 0o111
		h.root, h.ours = hooks.Root(h.text)
		all = append(all, h)
	}
	return all, nil
}

// DeploysFrom refuses a git directory that is not the root's repository: a copy of it has its hooks too.
func (s *Site) DeploysFrom(dir string) error {
	repo, err := s.Repo()
	if err != nil {
		return err
	}
	defer repo.Close()
	one, err := os.Stat(dir)
	if err != nil {
		return err
	}
	own := repo.Objects().CommonDir()
	if other, err := os.Stat(own); err != nil || os.SameFile(one, other) {
		return err
	}
	return release.Errorf(release.ExitRefused, "this is not the repository that %s deploys from, which is %s", s.Root.Dir, own).
		Hint("in a copy of a repository, remove the hooks that call rel")
}

// InstallHooks makes pushes to the root's repository call program, which is rel. Done again it repairs. Hooks that are there stay,
// and run before: one is renamed, and rel calls it.
func (s *Site) InstallHooks(ctx context.Context, program string) (HooksChanged, error) {
	if remote, ok := s.Config.Remote(); ok {
		return HooksChanged{}, release.Errorf(release.ExitRefused, "%s: is elsewhere, and has no hooks of ours", remote).
			Hint("a push to a repository on this machine deploys: repo in rel.toml names it")
	}
	if err := s.Root.Make(); err != nil {
		return HooksChanged{}, err
	}
	changed, err := s.installHooks(ctx, program)
	return changed, errors.Join(err, s.KnowTags()) // the tags that are there were not pushed
}

func (s *Site) installHooks(ctx context.Context, program string) (HooksChanged, error) {
	return s.changeHooks(func(repo *gitrepo.Repo, changed *HooksChanged) error {
		if s.ownRepo(repo) { // first of all, so that its hooks are its own
			if err := s.harden(ctx, repo, ownSettings, false, changed); err != nil {
				return err
			}
		}
		all, err := hooksOf(ctx, repo, changed)
		if err != nil {
			return err
		}
		for _, h := range all {
			if h.ours && h.root != s.Root.Dir && isRoot(h.root) {
				return release.Errorf(release.ExitRefused, "%s: deploys to %s: one repository deploys to one root", h.path, h.root).
					Hint("rel -C %s hook remove ends that; a clone of the repository can deploy to here", h.root)
			}
		}
		if err := s.harden(ctx, repo, s.settings(), !s.ownRepo(repo), changed); err != nil {
			return err
		}
		for _, h := range all {
			if err := s.installHook(h, program, changed); err != nil {
				return err
			}
		}
		return nil
	})
}

// changeHooks changes hooks of the root's repository, which is open meanwhile.
func (s *Site) changeHooks(change func(*gitrepo.Repo, *HooksChanged) error) (changed HooksChanged, err error) {
	repo, err := s.Repo()
	if err != nil {
		return changed, err
	}
	changed = HooksChanged{Repo: repo.Dir, Changed: []string{}}
	err = change(repo, &changed)
	return changed, errors.Join(err, repo.Close())
}

// hooksOf finds the repository's hooks, and says where they are.
func hooksOf(ctx context.Context, repo *gitrepo.Repo, changed *HooksChanged) (all []hook, err error) {
	if changed.Hooks, err = repo.HooksDir(ctx); err != nil {
		return nil, err
	}
	return lookAtHooks(changed.Hooks)
}

// isRoot says whether there is a root at dir still.
func isRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, ".rel"))
	return err == nil
}

// installHook puts rel's script in place of a hook, which keeps running under another name. There is no moment without a hook.
func (s *Site) installHook(h hook, program string, changed *HooksChanged) error {
	script := hooks.Script(h.name, program, s.Root.Dir)
	if h.text == script && h.executable {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o755); err != nil {
		return err
	}
	if !h.absent && !h.ours {
		before := h.path + hooks.Before
		if err := os.Link(h.path, before); err != nil {
			return release.Errorf(release.ExitRefused, "%s: cannot be kept as %s: %w", h.path, before, err).
				Hint("put what both do into one of them")
		}
		changed.say("%s is %s now, and runs first", h.path, filepath.Base(before))
	}
	changed.say("%s", h.path)
	return disk.WriteFile(h.path, []byte(script), 0o755)
}

// RemoveHooks undoes InstallHooks.
func (s *Site) RemoveHooks(ctx context.Context) (HooksChanged, error) {
	return s.changeHooks(func(repo *gitrepo.Repo, changed *HooksChanged) error {
		all, err := hooksOf(ctx, repo, changed)
		if err != nil {
			return err
		}
		for _, h := range all {
			if h.ours && h.root != s.Root.Dir {
				return nil // another root's, and so are the settings
			}
		}
		for _, h := range all {
			if !h.ours {
				continue
			}
			if err := removeHook(h, changed); err != nil {
				return err
			}
		}
		return soften(ctx, repo, changed)
	})
}

// removeHook takes rel's script away; what was there before has its name again.
func removeHook(h hook, changed *HooksChanged) error {
	dir, err := disk.OpenDir(filepath.Dir(h.path))
	if err != nil {
		return err
	}
	err = dir.Rename(h.name+hooks.Before, dir, h.name)
	if errors.Is(err, fs.ErrNotExist) {
		changed.say("%s removed", h.path)
		err = dir.Remove(h.name)
	} else if err == nil {
		changed.say("%s is what it was before", h.path)
	}
	return errors.Join(err, dir.Sync(), dir.Close())
}
