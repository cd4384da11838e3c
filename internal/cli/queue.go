package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
)

func (a *app) queue() *cobra.Command {
	cmd := a.command(spec{
		use: "queue", short: "pushed requests that wait for their turn", group: groupLook, args: cobra.NoArgs,
		long: `List the requests that pushes have made and that wait: behind a run that goes on, or until rel hold --off. A newer
request takes the place of one that waits; history tells of both.`,
		example: "  rel queue\n  rel queue drop 7",
		run: func(cmd *cobra.Command, _ []string) error {
			site, err := a.state()
			if err != nil {
				return err
			}
			a.takeUp(cmd.Context(), site)
			waiting, bad, err := site.Queued()
			if err != nil {
				return err
			}
			for _, one := range bad {
				a.out.Warn("%s in the queue: %v", one.Name, one.Err)
			}
			if err := site.SetAside(); err != nil {
				a.out.Warn("%v", err)
			}
			if a.json {
				return a.out.JSON(append([]deploy.Waiting{}, waiting...))
			}
			if len(waiting) == 0 {
				a.out.Line("nothing waits")
				return nil
			}
			return a.out.Table([]string{"number", "since", "by", "command", "tag", "state"}, a.queueRows(waiting))
		},
	})
	cmd.AddCommand(a.queueDrop())
	return cmd
}

func (a *app) queueRows(waiting []deploy.Waiting) [][]string {
	var rows [][]string
	for _, w := range waiting {
		state := "waits"
		switch {
		case w.Run > 0:
			state = fmt.Sprintf("run %d", w.Run)
		case w.Dropped != "":
			state = "dropped"
		}
		rows = append(rows, []string{strconv.Itoa(w.Number), a.out.Time(w.When), w.By, w.Command, w.Tag, state})
	}
	return rows
}

func (a *app) queueDrop() *cobra.Command {
	cmd := a.command(spec{
		use: "drop NUMBER", short: "take a request out of the queue", args: cobra.ExactArgs(1),
		long:    "Take a request that waits out of the queue. The history has it as cancelled, with who did that.",
		example: "  rel queue drop 7",
		exits:   []int{release.ExitRefused, release.ExitNotFound},
		run: func(cmd *cobra.Command, args []string) error {
			number, err := strconv.Atoi(args[0])
			if err != nil || number < 1 {
				return release.Errorf(release.ExitUsage, "%s: not the number of a request", args[0]).Hint("rel queue shows the numbers")
			}
			site, err := a.own(cmd, append([]string{"drop"}, args...))
			if err != nil {
				return err
			}
			dropped, err := site.Drop(number, deploy.Who(a.getenv))
			if err != nil {
				return err
			}
			if err := a.serve(site); err != nil {
				return err
			}
			return a.result(dropped, func() { a.out.Line("dropped %d: %s %s, by %s", number, dropped.Command, dropped.Tag, dropped.By) })
		},
	})
	return cmd
}

// takeUp lets what git has taken in and nobody has asked for yet wait in the queue too; only the owner can.
func (a *app) takeUp(ctx context.Context, site *deploy.Site) {
	if uint32(os.Geteuid()) != site.Owner.UID {
		return
	}
	client, err := a.silent(site)
	if err == nil {
		_, err = client.TakeUp(ctx)
	}
	if err != nil {
		a.out.Warn("%v", err)
	}
}

// serve sees that what can go on in the queue does.
func (a *app) serve(site *deploy.Site) error {
	client, events, err := a.client(site, false)
	if err != nil {
		return err
	}
	events.Close()
	_, err = client.Serve()
	return err
}
