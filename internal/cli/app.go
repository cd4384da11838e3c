// Package cli is the command line: a file for each command, or for a few that belong together, with its flags, one call and
// its output. It wires the other packages together and turns errors into exit codes.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/store"
	"github.com/git-rel/rel/internal/ui"
)

// app is what the commands share: the streams, the global flags and what is made of them.
type app struct {
	stdin  *os.File
	stdout *os.File
	stderr *os.File
	getenv func(string) string

	dir     string
	color   string
	json    bool
	quiet   bool
	verbose bool

	out *ui.Printer
}

// ended is the end of a command that has told everything already and only has an exit code left.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit %d", e.code) }

// Main runs one command line and returns its exit code.
func Main(args []string, stdin, stdout, stderr *os.File) int {
	if len(args) == 2 && args[0] == proc.EnterCommand { // before all else: it runs once for each file that is checked
		proc.Enter(args[1])
		return release.ExitError
	}
	if len(args) == 1 && args[0] == deploy.TrialCommand {
		return try(stdout)
	}
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, getenv: os.Getenv}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := root.ExecuteContext(ctx)
	a.json = a.json || slices.Contains(args, "--json") // a flag that is wrong ends the parsing before it
	if a.out == nil {                                  // a command line that was not understood
		if out, uiErr := a.printer(); uiErr == nil {
			a.out = out
		}
	}
	return a.exit(err)
}

// exit tells what is left to tell of an error, and its exit code.
func (a *app) exit(err error) int {
	code := release.ExitCode(err)
	if e, ok := errors.AsType[ended](err); ok {
		code, err = e.code, nil
	}
	if a.out == nil {
		fmt.Fprintln(a.stderr, err)
		return code
	}
	if err != nil && a.json {
		_ = a.out.JSON(failure{err.Error(), code, append([]string{}, release.Hints(err)...)}) // Close tells
	}
	a.out.Err(err)
	if closeErr := a.out.Close(); closeErr != nil && code == release.ExitDone {
		if errors.Is(closeErr, syscall.EPIPE) {
			return code // the reader has seen enough
		}
		fmt.Fprintln(a.stderr, closeErr)
		return release.ExitError
	}
	return code
}

// failure is the JSON document of a command that ended with an error and has no document of its own.
type failure struct {
	Error string   `json:"error"`
	Exit  int      `json:"exit"`
	Hints []string `json:"hints"`
}

func (a *app) printer() (*ui.Printer, error) {
	return ui.New(ui.Options{
		Out: ui.FileStream(a.stdout), Err: ui.FileStream(a.stderr), Color: a.color, Getenv: a.getenv,
		JSON: a.json, Quiet: a.quiet, Verbose: a.verbose,
	})
}

// root is the command line's root.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "rel",
		Short: "Release manager for services deployed from git",
		Long: `rel makes it one safe command to put a tag of a git repository live on this machine, and one to go back.

A release is a tagged commit, exported into a directory of its own. The live path is switched to it
atomically while the service restarts, and rel says how far it has seen the new code answer.`,
		Example: `  rel cut v1.4            tag what is to be released
  rel activate v1.4       put it live
  rel rollback            go back to what was live before
  rel list                releases and tags with their state`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) (err error) {
			a.out, err = a.printer()
			return err
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.dir, "directory", "C", "", "work in this root (else $REL_ROOT, else the one around here)")
	flags.BoolVar(&a.json, "json", false, "print one JSON document on stdout")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "print results and what went wrong, no progress")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "print the output of commands as it comes")
	flags.StringVar(&a.color, "color", "auto", "auto, always or never")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return release.Errorf(release.ExitUsage, "%w", err).Hint("%s --help", cmd.CommandPath())
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddGroup(&cobra.Group{ID: groupRelease, Title: "Releases:"}, &cobra.Group{ID: groupLook, Title: "What is there:"},
		&cobra.Group{ID: groupService, Title: "Services:"}, &cobra.Group{ID: groupRoot, Title: "The root:"},
		&cobra.Group{ID: groupSelf, Title: "rel itself:"})
	root.SetHelpCommand(a.help())
	root.SuggestionsMinimumDistance = 2
	root.AddCommand(a.commands()...)
	return root
}

// noSuchCommand refuses a first word that is no command, naming those that are like it.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	e := release.Errorf(release.ExitUsage, "%s: no such command", args[0])
	if near := cmd.Root().SuggestionsFor(args[0]); len(near) > 0 {
		return e.Hint("did you mean rel %s?", strings.Join(near, " or rel "))
	}
	return e.Hint("rel help lists the commands")
}

// help is the command "help", as cobra's own but for words and errors.
func (a *app) help() *cobra.Command {
	return a.command(spec{
		use: "help [COMMAND]", short: "help for rel or one of its commands", group: groupSelf, args: cobra.ArbitraryArgs,
		example: "  rel help activate",
		run: func(cmd *cobra.Command, args []string) error {
			found, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return noSuchCommand(cmd, args)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	})
}

// The groups that the help shows commands in.
const (
	groupRelease = "release"
	groupLook    = "look"
	groupService = "service"
	groupRoot    = "root"
	groupSelf    = "self"
)

func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{
		a.cut(), a.stage(), a.activate(), a.rollback(), a.confirm(), a.hold(),
		a.list(), a.history(), a.queue(), a.status(), a.diff(), a.verify(), a.log(), a.err(), a.attach(),
		a.control("start"), a.control("stop"), a.control("restart"), a.control("graceful"),
		a.initRoot(), a.check(), a.prune(), a.recover(),
		a.demo(), a.version(), a.completion(), a.man(), a.worker(), a.hook(), a.demoService(),
	}
}

// find finds the root that the command works in.
func (a *app) find() (store.Found, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return store.Found{}, err
	}
	start := a.dir
	if start == "" {
		start = a.getenv("REL_ROOT")
	}
	return store.Find(start, cwd)
}

// site opens the root for a command that only looks.
func (a *app) site() (*deploy.Site, error) {
	found, err := a.find()
	if err != nil {
		return nil, err
	}
	site, err := deploy.Open(found)
	if err != nil {
		return nil, err
	}
	site.Warn = func(err error) { a.out.Warn("%v", err) }
	return site, nil
}

// state opens the root for a command that looks at its state alone.
func (a *app) state() (*deploy.Site, error) {
	found, err := a.find()
	if err != nil {
		return nil, err
	}
	site, err := deploy.OpenState(found)
	if site == nil {
		return nil, err
	}
	site.Warn = func(err error) { a.out.Warn("%v", err) }
	if err != nil {
		site.Warn(err)
	}
	return site, nil
}

// own opens the root for a command that changes something, as the root's owner.
func (a *app) own(cmd *cobra.Command, args []string) (*deploy.Site, error) {
	site, err := a.site()
	if err != nil {
		return nil, err
	}
	return site, site.BecomeOwner(strings.Join(append([]string{cmd.Name()}, args...), " "))
}

// result prints one result: the JSON document where that is wanted, else what text does.
func (a *app) result(v any, text func()) error {
	if a.json {
		return a.out.JSON(v)
	}
	text()
	return nil
}
