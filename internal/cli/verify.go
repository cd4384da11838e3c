package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

func (a *app) verify() *cobra.Command {
	var all, content bool
	cmd := a.command(spec{
		use: "verify [TAG]", short: "compare releases on disk with their tags, file by file", group: groupLook,
		args: cobra.MaximumNArgs(1),
		long: `Compare a release on disk, the live one or TAG's, with what was tagged, by the files' size, times and inode;
a file is read where these differ from what was noted when it was exported. With --content every file is
read. What the build made and what is shared is not judged.`,
		example: "  rel verify\n  rel verify v1.4 --content\n  rel verify --all",
		exits:   []int{release.ExitRefused, release.ExitNotFound},
		run: func(_ *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return release.Errorf(release.ExitUsage, "--all looks at every release: it goes without a tag")
			}
			site, err := a.site()
			if err != nil {
				return err
			}
			if all {
				verified, err := site.VerifyAll(content)
				return a.verified(verified, verified, err)
			}
			verified, err := site.Verify(first(args), content)
			if err != nil {
				return err
			}
			return a.verified(verified, []deploy.Verified{verified}, nil)
		},
	})
	cmd.Flags().BoolVar(&all, "all", false, "look at every release on disk")
	cmd.Flags().BoolVar(&content, "content", false, "read every file")
	cmd.ValidArgsFunction = a.completeTags
	return cmd
}

// verified shows what was found; drift is an error, and so is err, which is of the releases that could not be looked at.
func (a *app) verified(document any, list []deploy.Verified, err error) error {
	if a.json && err != nil {
		return err
	}
	if err := a.result(document, func() { a.showVerified(list) }); err != nil {
		return err
	}
	bad := slices.DeleteFunc(slices.Clone(list), func(v deploy.Verified) bool { return len(v.Drift) == 0 })
	switch {
	case err != nil:
		return err
	case len(bad) == 0:
		return nil
	case a.json:
		return ended{release.ExitRefused}
	case len(list) == 1:
		return release.Errorf(release.ExitRefused, "%s: %s not as tagged", bad[0].Tag, ui.Count(len(bad[0].Drift), "file")).
			Hint("rel activate --force %s exports it anew", bad[0].Tag)
	}
	return release.Errorf(release.ExitRefused, "%d of %s not as tagged", len(bad), ui.Count(len(list), "release")).
		Hint("going live with one of them exports it anew")
}

func (a *app) showVerified(list []deploy.Verified) {
	for _, one := range list {
		a.out.Line("%s  %s", one.Release, extent(one))
		for _, d := range one.Drift {
			a.out.Line("%s: %s", ui.Escape(d.Path), d.What)
		}
		for _, path := range one.Extra {
			a.out.Info("beside what was tagged: %s", ui.Escape(path))
		}
		if len(one.Drift) == 0 {
			a.out.Info("%s is as it was tagged", one.Tag)
		}
	}
}

// extent says how much of a release was looked at, and how.
func extent(v deploy.Verified) string {
	files := ui.Count(v.Files, "file")
	switch v.Read {
	case 0:
		return files
	case v.Files:
		return fmt.Sprintf("%s, every byte read (%s)", files, ui.Size(v.Bytes))
	}
	return fmt.Sprintf("%s, %d of them read (%s)", files, v.Read, ui.Size(v.Bytes))
}
