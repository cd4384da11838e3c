package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/release"
)

// spec is what every command has: words, an example, and what its exit codes mean.
type spec struct {
	use, short, long, example, group string
	exits                            []int
	args                             cobra.PositionalArgs
	run                              func(cmd *cobra.Command, args []string) error
}

// command makes a command whose help ends with its exit codes.
func (a *app) command(s spec) *cobra.Command {
	long := s.long
	if long == "" {
		long = upperFirst(s.short) + "."
	}
	return &cobra.Command{
		Use: s.use, Short: s.short, Long: long + "\n\n" + exitStatus(s.exits), Example: s.example, GroupID: s.group,
		Args: usageArgs(s.args), RunE: s.run, DisableFlagsInUseLine: true,
	}
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// usageArgs makes a wrong number of arguments a usage error with a hint, and one that is empty too: it is the variable of a script
// that was not set, and must not mean "the newest".
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if slices.Contains(args, "") {
			return release.Errorf(release.ExitUsage, "%s: an argument is empty", cmd.CommandPath()).
				Hint("leave it out, if that is meant; %s --help", cmd.CommandPath())
		}
		if err := check(cmd, args); err != nil {
			return release.Errorf(release.ExitUsage, "%s: %w", cmd.CommandPath(), err).Hint("%s --help", cmd.CommandPath())
		}
		return nil
	}
}

// exitStatus is the EXIT STATUS section of a command's help.
func exitStatus(codes []int) string {
	words := map[int]string{
		release.ExitDone: "done", release.ExitError: "error, nothing changed", release.ExitUsage: "the command line is wrong",
		release.ExitRefused:   "refused by a gate, nothing changed",
		release.ExitReverted:  "reverted: what was live before is live and healthy",
		release.ExitFailed:    "failed: a person is needed",
		release.ExitNotFound:  "no such tag or release",
		release.ExitLocked:    "another run holds the lock",
		release.ExitCancelled: "cancelled",
	}
	var b strings.Builder
	b.WriteString("EXIT STATUS\n")
	for _, code := range append([]int{release.ExitDone, release.ExitError, release.ExitUsage}, codes...) {
		fmt.Fprintf(&b, "  %-4d %s\n", code, words[code])
	}
	return strings.TrimRight(b.String(), "\n")
}
