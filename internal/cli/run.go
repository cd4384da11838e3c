package cli

import (
	"errors"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

// outcome is the JSON document of a command that was a run.
type outcome struct {
	Run        int              `json:"run"`
	Outcome    release.Outcome  `json:"outcome"`
	Verified   release.Verified `json:"verified"`
	From       string           `json:"from"`
	To         string           `json:"to"`
	Commit     string           `json:"commit"`
	Tree       string           `json:"tree"`
	Signer     string           `json:"signer"`
	Release    release.ID       `json:"release"`
	DowntimeMS int64            `json:"downtime_ms"`
	SwitchMS   float64          `json:"switch_ms"`
	Probe      *release.Probe   `json:"probe"`
	Error      string           `json:"error"`
	Log        []string         `json:"log"`
	Exit       int              `json:"exit"`
	Hints      []string         `json:"hints"`
}

// client is what starts runs and follows them on the screen.
func (a *app) client(site *deploy.Site, header bool) (*deploy.Client, *ui.Events, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	events := a.out.Events(header)
	notice := func(text string) { a.out.Info("%s", text) }
	return &deploy.Client{Site: site, Program: program, Tell: events.Show, Notice: notice}, events, nil
}

// silent is a client that tells nobody what its runs do.
func (a *app) silent(site *deploy.Site) (*deploy.Client, error) {
	program, err := os.Executable()
	return &deploy.Client{Site: site, Program: program, Tell: func(release.Event) {}, Notice: func(string) {}}, err
}

// do starts a run, follows it to its end and exits as it did.
func (a *app) do(cmd *cobra.Command, site *deploy.Site, req deploy.Request) error {
	client, events, err := a.client(site, false)
	if err != nil {
		return err
	}
	result, err := client.Do(cmd.Context(), req)
	events.Close()
	if err != nil {
		return err
	}
	return a.ended(result)
}

// ended prints a run's outcome where JSON is wanted (the screen has it already), and gives its exit code.
func (a *app) ended(result deploy.Result) error {
	if a.json {
		run := result.Run
		err := a.out.JSON(outcome{
			run.Run, run.Outcome, run.Verified, run.From, run.To, run.Commit, run.Tree, run.Signer, run.Release, run.DowntimeMS,
			run.SwitchMS, run.Probe, run.Error, append([]string{}, run.Log...), result.Exit, append([]string{}, result.Hints...),
		})
		if err != nil {
			return err
		}
	}
	if result.Exit != release.ExitDone {
		return ended{result.Exit}
	}
	return nil
}

// detach starts a run and returns at once with its number.
func (a *app) detach(cmd *cobra.Command, site *deploy.Site, req deploy.Request) error {
	client, events, err := a.client(site, false)
	if err != nil {
		return err
	}
	defer events.Close()
	number, err := client.Launch(cmd.Context(), req)
	if err != nil {
		return err
	}
	return a.result(map[string]int{"run": number}, func() {
		a.out.Line("run %d", number)
		a.out.Hint("rel attach follows it")
	})
}

// runFlags are the flags of the commands that put a release live.
type runFlags struct {
	dryRun, detach, force bool
	wait, confirmWithin   time.Duration
}

func (f *runFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.dryRun, "dry-run", false, "show what would be done, and do nothing")
	cmd.Flags().BoolVar(&f.detach, "detach", false, "return at once with the run's number")
	cmd.Flags().BoolVar(&f.force, "force", false, "export anew, skip all gates before the switch but signatures, accept a moved tag")
	cmd.Flags().DurationVar(&f.wait, "wait", 0, "wait up to this long for another run to end, as 90s or 5m")
}

// goLive is activate and rollback, once their flags are known.
func (a *app) goLive(cmd *cobra.Command, args []string, command string, f runFlags) error {
	switch {
	case f.wait < 0 || f.confirmWithin < 0:
		return release.Errorf(release.ExitUsage, "--wait and --confirm-within take a time above zero")
	case f.dryRun && f.detach:
		return release.Errorf(release.ExitUsage, "--dry-run and --detach: one or the other")
	}
	site, err := a.own(cmd, args)
	if err != nil {
		return err
	}
	req := deploy.NewRequest(command, first(args))
	req.Force, req.Wait, req.ConfirmWithin = f.force, f.wait, f.confirmWithin
	switch {
	case f.dryRun:
		return a.plan(cmd, site, req)
	case f.detach:
		return a.detach(cmd, site, req)
	}
	return a.do(cmd, site, req)
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func (a *app) activate() *cobra.Command {
	var f runFlags
	cmd := a.command(spec{
		use: "activate [TAG] [flags]", short: "put a release live", group: groupRelease, args: cobra.MaximumNArgs(1),
		long: `Put a release live: export, build and check it if that is not done yet, then switch the live path to it while
the services restart, and see that it answers. If it does not, what was live before is put back.

Without TAG the newest version is taken: the highest semantic version that is not a prerelease, or the newest dated
tag. Tags that were left by a rollback or failed are taken by name only.

The run goes on if this command is killed or loses its terminal. Ctrl-C cancels it as long as nothing was touched.`,
		example: `  rel activate v1.4
  rel activate --dry-run
  rel activate v1.4 --confirm-within 60s`,
		exits: []int{
			release.ExitRefused, release.ExitReverted, release.ExitFailed, release.ExitNotFound, release.ExitLocked, release.ExitCancelled,
		},
		run: func(cmd *cobra.Command, args []string) error { return a.goLive(cmd, args, deploy.Activate, f) },
	})
	f.add(cmd)
	cmd.Flags().DurationVar(&f.confirmWithin, "confirm-within", 0, "go back unless rel confirm comes within this time")
	cmd.ValidArgsFunction = a.completeTags
	return cmd
}

func (a *app) rollback() *cobra.Command {
	var f runFlags
	cmd := a.command(spec{
		use: "rollback [TAG] [flags]", short: "go back to an earlier release", group: groupRelease, args: cobra.MaximumNArgs(1),
		long: `Go live with an earlier release: the one that was live before, or TAG. Doing it twice goes further back, never
forward to the release that was left. A release that was pruned is exported again; one that was live before skips the
build and the checks.

A run that is still building or checking is cancelled, so that it does not block the way back.`,
		example: `  rel rollback
  rel rollback v1.2
  rel rollback --dry-run`,
		exits: []int{
			release.ExitRefused, release.ExitReverted, release.ExitFailed, release.ExitNotFound, release.ExitLocked, release.ExitCancelled,
		},
		run: func(cmd *cobra.Command, args []string) error { return a.goLive(cmd, args, deploy.Rollback, f) },
	})
	f.add(cmd)
	cmd.ValidArgsFunction = a.completeTags
	return cmd
}

func (a *app) stage() *cobra.Command {
	var wait time.Duration
	var force bool
	cmd := a.command(spec{
		use: "stage [TAG] [flags]", short: "make a release ready without going live", group: groupRelease,
		args: cobra.MaximumNArgs(1),
		long: `Export, build and check a release, so that activating it later takes only the switch. Nothing that is live is
touched. Without TAG the newest version is taken, as by activate.`,
		example: `  rel stage v1.4
  rel activate v1.4`,
		exits: []int{release.ExitRefused, release.ExitNotFound, release.ExitLocked, release.ExitCancelled},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			req := deploy.NewRequest(deploy.Stage, first(args))
			req.Wait, req.Force = wait, force
			return a.do(cmd, site, req)
		},
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait up to this long for another run to end")
	cmd.Flags().BoolVar(&force, "force", false, "export anew, skip all gates but signatures, accept a moved tag")
	cmd.ValidArgsFunction = a.completeTags
	return cmd
}

func (a *app) control(name string) *cobra.Command {
	words := map[string]string{
		"start":    "start the services and wait until they are up",
		"stop":     "stop the services and wait until they are gone and their ports are free",
		"restart":  "restart the services and wait until new processes are up",
		"graceful": "reload the services without losing a request, and wait until new processes are up",
	}
	var wait time.Duration
	cmd := a.command(spec{
		use: name + " [NAME] [flags]", short: words[name], group: groupService, args: cobra.MaximumNArgs(1),
		long: upperFirst(words[name]) + `.
Without NAME all services, in their order (stop: in reverse). What the service's own control program says is
not believed: rel looks at the processes and the ports.`,
		example: "  rel " + name + "\n  rel " + name + " web",
		exits:   []int{release.ExitRefused, release.ExitFailed, release.ExitLocked},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			req := deploy.NewRequest(name, "")
			req.Service, req.Wait = first(args), wait
			return a.do(cmd, site, req)
		},
	})
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait up to this long for another run to end")
	return cmd
}

func (a *app) recover() *cobra.Command {
	return a.command(spec{
		use: "recover", short: "finish or undo a run that crashed", group: groupRoot, args: cobra.NoArgs,
		long: `Finish or undo a run that crashed: if the release that it wanted is live and healthy, it is kept; else what was
live before is put back. Where nothing crashed it says so. Doing it twice does nothing more.`,
		example: "  rel recover",
		exits:   []int{release.ExitReverted, release.ExitFailed, release.ExitLocked},
		run: func(cmd *cobra.Command, args []string) error {
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			return errors.Join(a.recoverRun(cmd, site), a.reconcile(cmd, site))
		},
	})
}

// reconcile tells of what git has accepted and no hook has seen, and lets it be deployed where the configuration says so.
func (a *app) reconcile(cmd *cobra.Command, site *deploy.Site) error {
	client, events, err := a.client(site, false)
	if err != nil {
		return err
	}
	events.Close()
	queued, notes, err := client.Reconcile(cmd.Context())
	for _, note := range notes {
		a.out.Warn("%s", note)
	}
	if err == nil && len(queued) > 0 {
		_, err = client.Serve()
	}
	return err
}

// recoverRun lets the run that crashed be finished or undone, and shows that.
func (a *app) recoverRun(cmd *cobra.Command, site *deploy.Site) error {
	client, events, err := a.client(site, true)
	if err != nil {
		return err
	}
	defer events.Close()
	result, found, err := client.Recover(cmd.Context())
	if err != nil {
		return err
	}
	if !found {
		serves, err := client.Serve()
		if err != nil {
			return err
		}
		return a.result(outcome{Hints: []string{}}, func() {
			a.out.Line("nothing to recover")
			if serves {
				a.out.Line("what waits in the queue goes on")
				a.out.Hint("rel queue shows it; rel history what becomes of it")
			}
		})
	}
	return a.ended(result)
}

func (a *app) attach() *cobra.Command {
	return a.command(spec{
		use: "attach [RUN]", short: "follow a run that goes on elsewhere", group: groupLook, args: cobra.MaximumNArgs(1),
		long: `Follow a run, by its number or the last one, to its end and exit as it does. A run that has ended is told whole.
Ctrl-C cancels the run as long as it has touched nothing.`,
		example: "  rel attach\n  rel attach 12",
		exits: []int{
			release.ExitRefused, release.ExitReverted, release.ExitFailed, release.ExitNotFound, release.ExitCancelled,
		},
		run: func(cmd *cobra.Command, args []string) error {
			number, err := runNumber(args)
			if err != nil {
				return err
			}
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			client, events, err := a.client(site, true)
			if err != nil {
				return err
			}
			defer events.Close()
			result, err := client.Attach(cmd.Context(), number)
			if err != nil {
				return err
			}
			return a.ended(result)
		},
	})
}

// worker is the hidden command that a run's process is: the guardian, and below it the worker.
func (a *app) worker() *cobra.Command {
	var text string
	var guarded bool
	cmd := &cobra.Command{
		Use: "worker", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			// A worker holds the entries of all files and throws little away: collecting more often costs little time and saves a
			// quarter of the memory.
			debug.SetGCPercent(40)
			req, err := deploy.ParseRequest(text)
			if err != nil {
				return err
			}
			site, err := a.site()
			if err == nil {
				err = site.BecomeOwner("worker")
			}
			if err != nil {
				return err
			}
			code := site.WorkerMain(cmd.Context(), req, guarded)
			return ended{code}
		},
	}
	cmd.Flags().StringVar(&text, "request", "", "")
	cmd.Flags().BoolVar(&guarded, "guarded", false, "")
	return cmd
}
