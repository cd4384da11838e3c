package cli

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/gate"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// runNumber reads the number of a run from the command line; 0 is the last one.
func runNumber(args []string) (int, error) {
	if len(args) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, release.Errorf(release.ExitUsage, "%s: not the number of a run", args[0]).Hint("rel history shows the numbers")
	}
	return n, nil
}

func (a *app) log() *cobra.Command {
	var follow, plot bool
	cmd := a.command(spec{
		use: "log [RUN] [flags]", short: "a run's own log, with all that its commands printed", group: groupLook,
		args: cobra.MaximumNArgs(1),
		long: "Show a run's own log, by its number or the last one, with all that its commands printed.\nWith --json the events as they were written.\n" +
			"With --plot how long the service took to answer around the switch, as the run has measured it.",
		example: "  rel log\n  rel log 12\n  rel log -f\n  rel log 12 --plot",
		exits:   []int{release.ExitNotFound},
		run: func(cmd *cobra.Command, args []string) error {
			number, err := runNumber(args)
			if err != nil {
				return err
			}
			site, err := a.state()
			if err != nil {
				return err
			}
			if number, err = a.lastRun(site, number); err != nil {
				return err
			}
			if plot {
				return a.plotLog(site, number)
			}
			return a.showLog(cmd.Context(), site, number, follow)
		},
	})
	cmd.Flags().BoolVar(&plot, "plot", false, "draw how long the service took to answer")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "follow a run that goes on")
	return cmd
}

// lastRun is the number of the last run where none is given.
func (a *app) lastRun(site *deploy.Site, number int) (int, error) {
	noRun := release.Errorf(release.ExitNotFound, "%s: no run yet", site.Root.Dir).Hint("rel activate starts one")
	if !site.Made() {
		return 0, noRun
	}
	rec, found, err := journal.Read(site.Root.State())
	switch {
	case err != nil:
		return 0, err
	case !found:
		return 0, noRun
	case number > rec.Run.Run:
		return 0, release.Errorf(release.ExitNotFound, "run %d: no such run, the last one is %d", number, rec.Run.Run).
			Hint("rel history shows the numbers")
	case number == 0:
		number = rec.Run.Run
	}
	return number, nil
}

func (a *app) showLog(ctx context.Context, site *deploy.Site, number int, follow bool) error {
	all := []release.Event{}
	events := a.out.Events(true)
	tell := site.Headed(number, func(e release.Event) {
		all = append(all, e)
		if !a.json {
			events.Show(e)
		}
	})
	var err error
	if follow {
		held := func() bool { held, err := worker.Held(site.Root.State()); return err == nil && !held }
		err = worker.Follow(ctx, site.Root.State(), number, held, tell)
	} else {
		err = worker.ReadLog(site.Root.State(), number, tell)
	}
	events.Close()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notKept(number)
	case errors.Is(err, context.Canceled):
		return nil
	case err != nil && !errors.Is(err, worker.ErrGone):
		return err
	}
	if a.json {
		return a.out.JSON(all)
	}
	return nil
}

func notKept(number int) error {
	return release.Errorf(release.ExitNotFound, "run %d: its log is not kept any more", number).Hint("rel history shows how it ended")
}

// plotLog draws what a run has measured.
func (a *app) plotLog(site *deploy.Site, number int) error {
	var measured struct {
		Run   release.Run    `json:"run"`
		Trace *release.Trace `json:"trace"`
	}
	err := worker.ReadLog(site.Root.State(), number, func(e release.Event) {
		switch e.Kind {
		case release.EventProbe:
			measured.Trace = e.Trace
		case release.EventEnd:
			measured.Run = *e.Run
		}
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notKept(number)
	case err != nil:
		return err
	case measured.Trace == nil:
		return release.Errorf(release.ExitNotFound, "run %d: it has not measured how the service answers", number).
			Hint("activate and rollback do, where [health] has url or tcp")
	case a.json:
		return a.out.JSON(measured)
	}
	a.out.Plot(measured.Run, *measured.Trace)
	return nil
}

func (a *app) err() *cobra.Command {
	var follow bool
	cmd := a.command(spec{
		use: "err [NAME] [flags]", short: "the services' error log since the last switch", group: groupLook,
		args:    cobra.MaximumNArgs(1),
		example: "  rel err\n  rel err -f",
		exits:   []int{release.ExitNotFound},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.site()
			if err != nil {
				return err
			}
			logs, err := site.ErrorLogs(cmd.Context(), first(args))
			if err != nil {
				return err
			}
			if a.json {
				return a.out.JSON(logs)
			}
			for _, log := range logs {
				if len(logs) > 1 {
					a.out.Line("%s: %s", log.Service, log.Path)
				}
				a.showErrors(log.Lines)
			}
			if !follow {
				return nil
			}
			return a.followErrors(cmd.Context(), logs)
		},
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on showing what comes")
	return cmd
}

// showErrors shows lines of an error log, in the colour of how bad they are.
func (a *app) showErrors(lines []string) {
	for _, line := range lines {
		a.out.LogLine(line, string(gate.SeverityOf(line)))
	}
}

// followErrors shows what the logs gain until the person has seen enough.
func (a *app) followErrors(ctx context.Context, logs []*deploy.ErrorLog) error {
	for {
		began := time.Now()
		for _, log := range logs {
			lines, err := log.Next(ctx)
			if err != nil && ctx.Err() == nil {
				return err
			}
			a.showErrors(lines)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(max(200*time.Millisecond, 10*time.Since(began))): // journald takes its time
		}
	}
}
