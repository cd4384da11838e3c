package cli

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/release"
)

// versionInfo is what rel version tells.
type versionInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func (a *app) version() *cobra.Command {
	return a.command(spec{
		use: "version", short: "rel's own version", group: groupSelf, args: cobra.NoArgs,
		example: "  rel version",
		run: func(*cobra.Command, []string) error {
			info := ownVersion()
			return a.result(info, func() {
				a.out.Line("%s", strings.Join(strings.Fields("rel "+info.Version+" "+short(info.Commit)+" "+info.Go+" "+info.System), " "))
			})
		},
	})
}

func ownVersion() versionInfo {
	info := versionInfo{Version: "unreleased", Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	if v := build.Main.Version; v != "" && v != "(devel)" {
		info.Version = v
	}
	for _, setting := range build.Settings {
		if setting.Key == "vcs.revision" {
			info.Commit = setting.Value
		}
	}
	return info
}

func (a *app) completion() *cobra.Command {
	shells := []string{"bash", "zsh", "fish"}
	cmd := a.command(spec{
		use: "completion bash|zsh|fish", short: "the completion script for a shell", group: groupSelf, args: cobra.ExactArgs(1),
		long: "Print the completion script for a shell. Tags are completed too.",
		example: `  rel completion bash > /etc/bash_completion.d/rel
  rel completion zsh > "${fpath[1]}/_rel"`,
		run: func(cmd *cobra.Command, args []string) error {
			var b bytes.Buffer
			var err error
			switch root := cmd.Root(); args[0] {
			case "bash":
				err = root.GenBashCompletionV2(&b, true)
			case "zsh":
				err = root.GenZshCompletion(&b)
			case "fish":
				err = root.GenFishCompletion(&b, true)
			default:
				return release.Errorf(release.ExitUsage, "%s: no such shell", args[0]).Hint("bash, zsh or fish")
			}
			a.out.Raw(b.Bytes())
			return err
		},
	})
	cmd.ValidArgs = shells
	return cmd
}

// completeTags completes the first argument with the tags that there are.
func (a *app) completeTags(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	site, err := a.site()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	rows, err := site.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, row := range rows {
		names = append(names, row.Tag+"\t"+string(row.State))
	}
	return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// man prints the manual page, made from the help texts.
func (a *app) man() *cobra.Command {
	return a.command(spec{
		use: "man", short: "the manual page, in roff", group: groupSelf, args: cobra.NoArgs,
		example: "  rel man | man -l -\n  rel man > /usr/local/share/man/man1/rel.1",
		run: func(cmd *cobra.Command, _ []string) error {
			a.out.Raw(manual(cmd.Root()))
			return nil
		},
	})
}
