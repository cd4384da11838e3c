package cli

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/demo"
)

func (a *app) demo() *cobra.Command {
	return a.command(spec{
		use: "demo", short: "the whole story on a throwaway service, in under 30 s", group: groupSelf, args: cobra.NoArgs,
		long: `Show the main job on a throwaway root with a small HTTP service: releases under constant requests, one that is
refused, one that is reverted, a rollback and the history. Nothing is installed, everything is removed at the end. It
needs git.`,
		example: "  rel demo",
		run: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			return demo.Run(cmd.Context(), demo.Options{Program: program, Out: a.stdout, Err: a.stdout, Color: a.color})
		},
	})
}

// demoService is the hidden command that the demo's service is.
func (a *app) demoService() *cobra.Command {
	return &cobra.Command{
		Use: "demo-service", Hidden: true, Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			program, err := os.Executable()
			if err != nil {
				return err
			}
			return demo.Service(program, args)
		},
	}
}
