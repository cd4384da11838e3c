package cli

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
	"github.com/git-rel/rel/internal/worker"
)

// pushed is what a hook of git is called with.
type pushed struct {
	hook    string            // its path, as git called it; empty where a person calls
	git     map[string]string // the environment's GIT_*, which is taken out of it: it would lead git, and all that we start, elsewhere
	options []string          // of git push -o
	reader  *patient          // whoever pushed
}

// hook is what makes pushes deploy, and the hidden commands that git's hooks call.
func (a *app) hook() *cobra.Command {
	cmd := a.command(spec{
		use: "hook COMMAND", short: "git's hooks, which make a push deploy", group: groupRoot, args: noSuchCommand,
		long:    `Git's hooks, which make a push to the root's repository deploy. rel init installs them in a repository that it makes.`,
		example: "  rel hook install\n  rel hook remove",
		run:     func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	cmd.AddCommand(a.hookInstall(), a.hookRemove(), a.hookCalled("pre-receive", a.preReceive), a.hookCalled("post-receive", a.postReceive),
		a.hookWatch())
	return cmd
}

// hookCalled is a hidden command that a hook calls, with the path of the hook.
func (a *app) hookCalled(name string, run func(*cobra.Command, *pushed) error) *cobra.Command {
	p := &pushed{}
	return &cobra.Command{
		Use: name + " [HOOK]", Hidden: true, Short: "what git's hook calls", Args: cobra.MaximumNArgs(1),
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			worker.Unhangable() // whoever pushed may go: what was accepted is deployed all the same
			p.takeEnvironment()
			p.hook = first(args)
			ctx, cancel := context.WithCancel(cmd.Context())
			cmd.SetContext(ctx)
			p.reader = &patient{file: a.stderr, patience: readerPatience, gone: cancel}
			a.color, a.json, a.quiet = "never", false, false // git hands lines on, and nothing else
			var err error
			a.out, err = ui.New(ui.Options{Out: ui.Stream{W: p.reader}, Err: ui.Stream{W: p.reader}, Color: a.color, Verbose: a.verbose})
			return err
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return run(cmd, p) },
	}
}

// takeEnvironment takes git's variables out of the environment, before anything else runs.
func (p *pushed) takeEnvironment() {
	p.git = map[string]string{}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GIT_") {
			p.git[name] = value
			os.Unsetenv(name)
		}
	}
	count, _ := strconv.Atoi(p.git["GIT_PUSH_OPTION_COUNT"]) // 0 where there are none
	for i := range min(count, 100) {
		p.options = append(p.options, p.git[fmt.Sprint("GIT_PUSH_OPTION_", i)])
	}
}

// postReceive queues what a push that git has accepted asks for, and follows that to its end. Everything is on the disk before
// the first line is printed.
func (a *app) postReceive(cmd *cobra.Command, p *pushed) error {
	in, err := a.receive(cmd, p)
	if err != nil {
		return err
	}
	client, events, err := a.client(in.site, true)
	if err != nil {
		return err
	}
	waiting, notes, err := client.Accept(cmd.Context(), in.updates, deploy.Pusher(a.getenv, p.options))
	beforeErr := a.runBefore(cmd.Context(), p, in.input)
	for _, note := range notes {
		a.out.Info("%s", note)
	}
	for _, w := range waiting {
		if followErr := a.followPushed(cmd.Context(), client, w); err == nil {
			err = followErr
		}
	}
	events.Close()
	if err == nil {
		err = beforeErr
	}
	return err
}

// followPushed follows a request to its end, and says in a last line how that was and where to see more.
func (a *app) followPushed(ctx context.Context, client *deploy.Client, w deploy.Waiting) error {
	result, err := client.Await(ctx, w)
	if err != nil {
		return err
	}
	run := result.Run
	rel := "rel -C " + ui.Shell(client.Root.Dir)
	switch run.Outcome {
	case release.Refused, release.Reverted, release.Failed, release.Interrupted, release.Cancelled:
		a.out.Hint(fmt.Sprintf("git push REMOTE %s tries again; or %s activate %s on the server",
			ui.Shell(w.Again()), rel, ui.Shell(run.To)))
	}
	a.out.Info("%s: %s, run %d: %s log %d shows it, on the server", cmp.Or(run.To, w.Tag), run.Outcome, run.Run, rel, run.Run)
	if result.Exit != release.ExitDone {
		return ended{result.Exit}
	}
	return nil
}

// readerPatience is how long whoever pushed may take to read a line.
const readerPatience = 30 * time.Second

// patient writes to a reader who may have gone, or may have stopped reading while the pipe to him stays open and is full: git
// does that when its client is killed. What is not taken in time is dropped, with all that comes after it.
type patient struct {
	file     *os.File
	patience time.Duration
	gone     func() // told once
	lost     bool
}

func (p *patient) Write(data []byte) (int, error) {
	if p.lost {
		return len(data), nil
	}
	written := make(chan error, 1)
	go func(data []byte) {
		_, err := p.file.Write(data)
		written <- err
	}(slices.Clone(data))
	select {
	case err := <-written:
		p.lost = err != nil
	case <-time.After(p.patience):
		p.lost = true
	}
	if p.lost {
		p.gone()
	}
	return len(data), nil
}
