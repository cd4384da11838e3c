package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/worker"
)

// InitOptions say what root to make.
type InitOptions struct {
	Dir     string // "" is the current directory
	Repo    string // a repository that is there already; "" makes repo.git
	Mode    string
	Service string
	Adopt   bool
	Program string // rel, as the repository's hooks are to call it
}

// Inited is what init made.
type Inited struct {
	Root     string     `json:"root"`
	Live     string     `json:"live"`
	Made     []string   `json:"made"` // paths
	Adopted  release.ID `json:"adopted,omitempty"`
	Warnings []string   `json:"warnings"`
	Hints    []string   `json:"hints"`
}

// Init makes a root, or what is missing of one.
func Init(ctx context.Context, o InitOptions) (Inited, error) {
	made := Inited{Made: []string{}, Warnings: []string{}, Hints: []string{}}
	var err error
	if o.Repo != "" && !config.RepoElsewhere(o.Repo) { // a path from where the person is, who may have named another directory for the root
		if o.Repo, err = filepath.Abs(o.Repo); err != nil {
			return made, err
		}
	}
	dir, err := initDir(o, &made)
	if err != nil {
		return made, err
	}
	made.Root = dir
	if err := initConfig(dir, o, &made); err != nil {
		return made, err
	}
	found, err := store.Find(dir, dir)
	if err != nil {
		return made, err
	}
	site, err := Open(found)
	if err != nil {
		return made, err
	}
	if err := site.BecomeOwner("init"); err != nil {
		return made, err
	}
	made.Live = site.Root.LivePath()
	pushes, err := site.initRepo(ctx, o, &made)
	if err == nil {
		err = site.initState(ctx, o, &made)
	}
	if err == nil && pushes {
		err = site.KnowTags()
	}
	return made, err
}

// initDir makes the root's directory. Options that contradict each other are refused before anything is made.
func initDir(o InitOptions, made *Inited) (string, error) {
	if o.Repo != "" && !config.RepoElsewhere(o.Repo) {
		if _, err := gitrepo.Open(o.Repo); err != nil {
			return "", release.Errorf(release.ExitError, "%s: %w", o.Repo, err).Hint("without --repo, rel init makes repo.git")
		}
	}
	if _, err := config.TemplateFor(config.Initial{Repo: o.Repo, Mode: o.Mode, Service: o.Service}); err != nil {
		return "", err
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		made.Made = append(made.Made, dir)
	}
	return filepath.EvalSymlinks(dir)
}

// initConfig writes the commented rel.toml, unless there is one.
func initConfig(dir string, o InitOptions, made *Inited) error {
	path := filepath.Join(dir, config.File)
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		if o.Repo != "" || o.Mode != "" || o.Service != "" {
			return release.Errorf(release.ExitUsage, "%s: is there already, and --repo, --mode and --service only go into a new one", path).
				Hint("edit %s; rel check looks at it", path)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	text, err := config.TemplateFor(config.Initial{Repo: o.Repo, Mode: o.Mode, Service: o.Service})
	if err != nil {
		return err
	}
	if err := initLive(dir, text, o); err != nil {
		return err
	}
	made.Made = append(made.Made, path)
	return disk.WriteFile(path, text, 0o644)
}

// initLive refuses, before anything is made, a live path that would have to be adopted.
func initLive(dir string, text []byte, o InitOptions) error {
	cfg, err := config.Parse(text, filepath.Base(dir))
	if err != nil || o.Adopt {
		return err
	}
	root, err := store.Open(dir, layout(cfg))
	if err != nil {
		return err
	}
	live, err := root.Live()
	if err == nil {
		err = root.Refuse(live)
	}
	return errors.Join(err, root.Close())
}

// initRepo makes the bare repository, unless another is used, and what is missing of one that it has made, and says whether pushes
// to it deploy.
func (s *Site) initRepo(ctx context.Context, o InitOptions, made *Inited) (pushes bool, err error) {
	if o.Repo != "" || s.Config.Has("repo") && s.Config.Repo != "repo.git" || (s.Found.GitDir != "" && !s.Config.Has("repo")) {
		if _, elsewhere := s.Config.Remote(); o.Repo != "" && !elsewhere {
			made.Hints = append(made.Hints, fmt.Sprintf("rel -C %s hook install makes a push to %s deploy", s.Root.Dir, o.Repo))
		}
		return false, nil
	}
	dir := filepath.Join(s.Root.Dir, s.Config.Repo)
	_, err = os.Stat(dir)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		if err := s.git(ctx, "init", "--quiet", "--bare", "--initial-branch=main", dir); err != nil {
			return false, err
		}
		made.Made = append(made.Made, dir)
		made.Hints = append(made.Hints, fmt.Sprintf("git push %s v1.0 deploys v1.0", dir))
	}
	changed, err := s.installHooks(ctx, o.Program)
	if !fresh {
		made.Made = append(made.Made, changed.Changed...)
	}
	return true, err
}

func (s *Site) git(ctx context.Context, args ...string) error {
	_, err := proc.Command{Name: "git " + args[0], Path: "git", Args: args, Env: proc.Environment(s.Owner, nil)}.Run(ctx)
	if errors.Is(err, exec.ErrNotFound) {
		return release.Errorf(release.ExitError, "git: not found").Hint("install git; or rel init --repo R uses a repository that is there")
	}
	return err
}

// initState makes rel's own state, sees that the mode can work here, and adopts what is live.
func (s *Site) initState(ctx context.Context, o InitOptions, made *Inited) error {
	fresh := !s.Made()
	if err := s.Root.Make(); err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Release()
	j, err := journal.Open(s.Root.State())
	if err != nil {
		return err
	}
	if err := errors.Join(worker.PrepareLog(s.Root.State(), j.NextRun()-1), j.Close(), s.nothingPending()); err != nil {
		return err
	}
	if !s.Found.WorkTree {
		if err := s.Root.MakeShared(); err != nil {
			return err
		}
	}
	if fresh {
		made.Made = append(made.Made, s.Root.State())
	}
	if s.Config.Live.Mode == store.ModeDirectory {
		if err := disk.ProbeExchange(s.Root.State()); err != nil {
			made.Warnings = append(made.Warnings, err.Error())
			made.Hints = append(made.Hints, "live.gap = true in rel.toml allows two renames, with a moment between them when the live path is absent")
		}
	}
	live, err := s.Root.Live()
	if err != nil {
		return err
	}
	switch {
	case live.Foreign == "":
		return nil
	case !o.Adopt:
		return s.Root.Refuse(live)
	}
	made.Adopted, err = s.Root.Adopt(s.Now())
	return err
}
