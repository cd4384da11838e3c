package cli

import (
	"errors"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

func (a *app) cut() *cobra.Command {
	o := gitrepo.CutOptions{}
	cmd := a.command(spec{
		use: "cut [TAG | --major | --minor | --patch] [flags]", short: "make the annotated tag that names a version",
		group: groupRelease, args: cobra.MaximumNArgs(1),
		long: `Make an annotated tag. Its notes are the changelog's Unreleased section, else the commits since the last tag. In a
work tree the Unreleased section becomes that of the version, in a commit of its own that touches CHANGELOG.md only
(not with --at). --push sends branch and tag together: both arrive or neither.

--sign signs it as git itself would: gpg.format says with what (openpgp or ssh), user.signingKey with which key, and
ssh-agent or gpg-agent may hold that. tag.gpgSign in git's configuration stands for --sign.`,
		example: `  rel cut v1.4
  rel cut --minor --push origin
  rel cut v1.4 --sign
  rel cut v1.3.1 --at 3f2a91c -m "Fix the till"`,
		exits: []int{release.ExitFailed, release.ExitNotFound},
		run: func(cmd *cobra.Command, args []string) error {
			o.Tag, o.Now, o.Progress = first(args), time.Now(), a.stderr
			for _, part := range []string{gitrepo.Major, gitrepo.Minor, gitrepo.Patch} {
				if !cmd.Flags().Changed(part) {
					continue
				}
				if o.Part != "" {
					return release.Errorf(release.ExitUsage, "--%s and --%s: one or the other", o.Part, part).Hint("rel cut --help")
				}
				o.Part = part
			}
			return a.runCut(cmd, o)
		},
	})
	flags := cmd.Flags()
	flags.Bool(gitrepo.Major, false, "the next major version")
	flags.Bool(gitrepo.Minor, false, "the next minor version")
	flags.Bool(gitrepo.Patch, false, "the next patch version")
	flags.StringVar(&o.At, "at", "", "tag this revision instead of HEAD")
	flags.StringVarP(&o.Message, "message", "m", "", "the tag's message, instead of the notes")
	flags.BoolVar(&o.Sign, "sign", false, "sign the tag, as git is configured to")
	flags.StringVar(&o.Push, "push", "", "push branch and tag to this remote")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show what would be done, and do nothing")
	return cmd
}

func (a *app) runCut(cmd *cobra.Command, o gitrepo.CutOptions) error {
	if o.Tag != "" && o.Part != "" {
		return release.Errorf(release.ExitUsage, "%s and --%s: one or the other", o.Tag, o.Part)
	}
	repo, err := a.cutRepo(cmd)
	if err != nil {
		return err
	}
	defer repo.Close()
	done, err := repo.Cut(cmd.Context(), o)
	if err != nil {
		return err
	}
	return a.result(done, func() { a.showCut(done, o) })
}

// cutRepo is the repository around the current directory, where people work; a root's own where there is none.
func (a *app) cutRepo(cmd *cobra.Command) (*gitrepo.Repo, error) {
	if a.dir == "" {
		cwd, err := os.Getwd()
		if err != nil {
			return nil, err
		}
		if around, err := gitrepo.Find(cwd); err == nil {
			return gitrepo.Open(around)
		}
	}
	site, err := a.own(cmd, nil)
	if err != nil {
		return nil, err
	}
	if remote, ok := site.Config.Remote(); ok {
		return nil, release.Errorf(release.ExitError, "%s: tags come from there, and are not cut here", remote).
			Hint("rel cut --push origin in a clone of it makes one there")
	}
	return site.Repo()
}

func (a *app) showCut(done gitrepo.Cut, o gitrepo.CutOptions) {
	verb := "cut"
	if o.DryRun {
		verb = "would cut"
	}
	signed := ""
	if done.Signed {
		signed = ", signed"
	}
	a.out.Line("%s %s at %s%s", verb, done.Tag, short(done.Commit), signed)
	for line := range strings.Lines(done.Notes) {
		a.out.Line("  %s", strings.TrimRight(line, "\n"))
	}
	if o.DryRun {
		return
	}
	if done.Pushed != "" {
		a.out.Line("pushed to %s", done.Pushed)
		return
	}
	a.out.Hint("rel activate " + done.Tag + " puts it live here; git push REMOTE " + done.Tag + " sends it")
}

func (a *app) confirm() *cobra.Command {
	return a.command(spec{
		use: "confirm", short: "keep a release that was activated with --confirm-within", group: groupRelease, args: cobra.NoArgs,
		example: "  rel activate v1.4 --confirm-within 60s --detach\n  rel confirm",
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			run, err := site.Confirm()
			if err != nil {
				return err
			}
			if _, crashed, err := site.Pending(); err != nil || crashed { // nobody waits for it any more
				return errors.Join(err, a.recoverRun(cmd, site))
			}
			return a.result(map[string]any{"run": run.Run, "to": run.To}, func() { a.out.Line("run %d: %s is kept", run.Run, run.To) })
		},
	})
}

func (a *app) hold() *cobra.Command {
	var off bool
	cmd := a.command(spec{
		use: "hold [MESSAGE] [flags]", short: "freeze: activations are refused, rollback works", group: groupRelease,
		args:    cobra.MaximumNArgs(1),
		example: "  rel hold \"until the sale is over\"\n  rel hold --off",
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			if !off {
				hold, err := site.SetHold(deploy.Who(a.getenv), first(args))
				if err != nil {
					return err
				}
				return a.result(hold, func() {
					a.out.Line("held: activations are refused")
					a.out.Hint("rel hold --off ends it")
				})
			}
			if len(args) > 0 {
				return release.Errorf(release.ExitUsage, "%s: --off takes no message", args[0])
			}
			was, err := site.Unhold()
			if err != nil {
				return err
			}
			if err := a.serve(site); err != nil {
				return err
			}
			return a.result(map[string]bool{"was_held": was}, func() {
				if was {
					a.out.Line("not held any more")
				} else {
					a.out.Line("it was not held")
				}
			})
		},
	})
	cmd.Flags().BoolVar(&off, "off", false, "end it")
	return cmd
}
