package cli

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

func (a *app) hookInstall() *cobra.Command {
	var repo string
	cmd := a.command(spec{
		use: "install [--repo R]", short: "make pushes to the root's repository deploy", args: cobra.NoArgs,
		long: `Install git's hooks in the root's repository, bare or not, so that a push to it deploys, and the settings that this
needs. Again, it repairs. A hook that is there already stays: it is renamed, and runs before rel.`,
		example: "  rel hook install\n  rel -C /srv/shop hook install --repo /srv/git/shop.git",
		exits:   []int{release.ExitRefused},
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.own(cmd, nil)
			if err != nil {
				return err
			}
			if err := sameRepo(site, repo); err != nil {
				return err
			}
			program, err := programPath()
			if err != nil {
				return err
			}
			changed, err := site.InstallHooks(cmd.Context(), program)
			if err != nil {
				return err
			}
			return a.result(changed, func() { a.showHooks(changed, "all is there") })
		},
	})
	cmd.Flags().StringVar(&repo, "repo", "", "the repository that is meant; it must be the root's")
	return cmd
}

func (a *app) hookRemove() *cobra.Command {
	return a.command(spec{
		use: "remove", short: "undo hook install", args: cobra.NoArgs,
		long: `Take rel's hooks out of the root's repository: a push deploys no longer. Hooks that were there before are what they
were, and so are the settings of a repository that rel has not made.`,
		example: "  rel hook remove",
		exits:   []int{release.ExitRefused},
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.own(cmd, nil)
			if err != nil {
				return err
			}
			changed, err := site.RemoveHooks(cmd.Context())
			if err != nil {
				return err
			}
			return a.result(changed, func() { a.showHooks(changed, "no hook of rel is there") })
		},
	})
}

func (a *app) showHooks(changed deploy.HooksChanged, nothing string) {
	for _, one := range changed.Changed {
		a.out.Line("%s", one)
	}
	if len(changed.Changed) == 0 {
		a.out.Line("%s: %s", changed.Repo, nothing)
	}
}

// sameRepo refuses a repository that is named and is not the root's: tags pushed there would not be found.
func sameRepo(site *deploy.Site, path string) error {
	if path == "" {
		return nil
	}
	named, err := gitrepo.Open(path)
	if err != nil {
		return err
	}
	defer named.Close()
	own, err := site.Repo()
	if err != nil {
		return err
	}
	defer own.Close()
	if one, err := os.Stat(named.Dir); err != nil {
		return err
	} else if other, err := os.Stat(own.Dir); err != nil || os.SameFile(one, other) {
		return err
	}
	return release.Errorf(release.ExitRefused, "%s: %s deploys from %s", named.Dir, site.Root.Dir, own.Dir).
		Hint("repo = %q in %s/rel.toml names another", named.Dir, site.Root.Dir)
}

// programPath is where hooks find rel. A link that rel was called by is kept: it may lead to another version tomorrow.
func programPath() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	called, err := exec.LookPath(os.Args[0])
	if err != nil {
		return program, nil
	}
	if called, err = filepath.Abs(called); err != nil {
		return "", err
	}
	one, err := os.Stat(called)
	if err != nil {
		return program, nil
	}
	if other, err := os.Stat(program); err == nil && os.SameFile(one, other) {
		return called, nil
	}
	return program, nil
}
