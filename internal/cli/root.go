package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

func (a *app) initRoot() *cobra.Command {
	var o deploy.InitOptions
	cmd := a.command(spec{
		use: "init [DIR] [flags]", short: "make a root: configuration, repository, state", group: groupRoot, args: cobra.MaximumNArgs(1),
		long: `Make a root in DIR, or here: a commented rel.toml, a bare repo.git that people push to, releases/, shared/ and rel's
own state. On a root that is there already it makes what is missing, and changes nothing else.

--adopt takes over a live path that rel did not make: what is there becomes a release that is never pruned.`,
		example: `  rel init /srv/shop --service apache
  rel init /srv/shop --repo /srv/git/shop.git --mode directory
  rel init --adopt`,
		exits: []int{release.ExitLocked},
		run: func(cmd *cobra.Command, args []string) error {
			o.Dir = first(args)
			if o.Dir == "" {
				o.Dir = a.dir
			}
			var err error
			if o.Program, err = programPath(); err != nil {
				return err
			}
			made, err := deploy.Init(cmd.Context(), o)
			if err != nil {
				return err
			}
			return a.result(made, func() { a.showInit(made) })
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&o.Repo, "repo", "", "use this repository, a path or an address, instead of making repo.git")
	flags.StringVar(&o.Mode, "mode", "", "symlink (current is a link) or directory (rel is a real directory)")
	flags.StringVar(&o.Service, "service", "", "preset of the service: apache, nginx, systemd, pidfile or command")
	flags.BoolVar(&o.Adopt, "adopt", false, "take over a live path that is there already")
	return cmd
}

func (a *app) showInit(made deploy.Inited) {
	for _, one := range made.Made {
		a.out.Line("made %s", one)
	}
	if len(made.Made) == 0 {
		a.out.Line("%s: all is there", made.Root)
	}
	if made.Adopted != "" {
		a.out.Line("%s is the release %s now", made.Live, made.Adopted)
	}
	for _, warning := range made.Warnings {
		a.out.Warn("%s", warning)
	}
	for _, hint := range made.Hints {
		a.out.Hint(hint)
	}
}

func (a *app) check() *cobra.Command {
	return a.command(spec{
		use: "check", short: "is everything here fit to deploy?", group: groupRoot, args: cobra.NoArgs,
		long: `Look at everything that a deploy needs: the configuration, the repository and its tags, the live path, the file
system, the services and their user, the commands. Where a service is controlled through sudo it prints the lines for
sudoers. Nothing is changed.`,
		example: "  rel check",
		exits:   []int{release.ExitRefused},
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.site()
			if err != nil {
				return err
			}
			report := site.Check(cmd.Context())
			if err := a.result(report, func() { a.showCheck(report) }); err != nil {
				return err
			}
			if !report.OK() {
				return ended{release.ExitRefused}
			}
			return nil
		},
	})
}

func (a *app) showCheck(report deploy.CheckReport) {
	for _, one := range report.Findings {
		a.out.Line("%-5s %-12s %s", one.State, one.Name, one.Text)
		for _, hint := range one.Hints {
			a.out.Hint(hint)
		}
	}
	if len(report.Sudoers) > 0 {
		a.out.Line("\nfor /etc/sudoers.d/rel:\n%s", strings.Join(report.Sudoers, "\n"))
	}
}

func (a *app) prune() *cobra.Command {
	var dryRun bool
	cmd := a.command(spec{
		use: "prune [flags]", short: "remove old releases", group: groupRoot, args: cobra.NoArgs,
		long: `Remove old releases, as keep, keep_failed and keep_staged say. Never removed: the live one, the previous one, an
adopted one, and one that a running process still uses. What was kept aside for the next export goes, too, and so do
mirrors of repositories that no release on disk comes from.`,
		example: "  rel prune --dry-run\n  rel prune",
		exits:   []int{release.ExitLocked},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			pruned, err := site.Prune(cmd.Context(), dryRun)
			if err != nil {
				return err
			}
			err = a.result(pruned, func() {
				for _, id := range pruned.Removed {
					a.out.Line("%s", id)
				}
				for _, mirror := range pruned.Mirrors {
					a.out.Line("%s", mirror)
				}
				a.out.Info("%s", ui.Count(len(pruned.Removed), "release")+map[bool]string{true: " would go", false: " removed"}[dryRun])
			})
			for _, text := range append(pruned.InUse, pruned.Failed...) {
				a.out.Warn("%s", text)
			}
			if err == nil && len(pruned.Failed) > 0 {
				return ended{release.ExitError}
			}
			return err
		},
	})
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would go")
	return cmd
}
