package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/git-rel/rel/hooks"
	"github.com/git-rel/rel/internal/deploy"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/worker"
)

// push is a push that a hook is called for, and the root that it is to.
type push struct {
	site    *deploy.Site
	input   []byte // what git gives the hook
	updates []deploy.Update
}

// receive reads what git gives a hook, and opens the root.
func (a *app) receive(cmd *cobra.Command, p *pushed) (push, error) {
	input, err := io.ReadAll(a.stdin)
	if err != nil {
		return push{}, err
	}
	updates, err := deploy.ReadUpdates(bytes.NewReader(input))
	if err != nil {
		return push{}, err
	}
	site, err := a.own(cmd, nil)
	if err != nil {
		return push{}, err
	}
	if dir := p.git["GIT_DIR"]; dir != "" {
		err = site.DeploysFrom(dir)
	}
	return push{site, input, updates}, err
}

// preReceive says whether git is to accept a push. The hook that was there before is asked first.
func (a *app) preReceive(cmd *cobra.Command, p *pushed) error {
	in, err := a.receive(cmd, p)
	if err != nil {
		return err
	}
	if err := a.runBefore(cmd.Context(), p, in.input); err != nil {
		return err
	}
	quarantine := deploy.Quarantine(p.git)
	d, err := in.site.Judge(cmd.Context(), in.updates, quarantine)
	if err != nil {
		return err
	}
	for _, reject := range d.Rejects {
		a.out.Err(reject)
	}
	if len(d.Rejects) > 0 {
		return ended{release.ExitRefused}
	}
	client, err := a.silent(in.site)
	if err != nil {
		return err
	}
	return client.WriteTentative(cmd.Context(), in.updates, d.Requests, deploy.Pusher(a.getenv, p.options), func() error {
		events := a.out.Events(false)
		defer events.Close()
		if err := in.site.Gate(cmd.Context(), d, quarantine, events.Show); err != nil {
			return ended{max(release.ExitCode(err), release.ExitError)}
		}
		return nil
	})
}

// hookWatch is the hidden command that pre-receive leaves behind: it sees to what git has taken in and post-receive was not called
// for.
func (a *app) hookWatch() *cobra.Command {
	return &cobra.Command{
		Use: "watch PID START", Hidden: true, Short: "what pre-receive leaves behind", Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			worker.Unhangable()
			if err := deploy.AwaitReceivePack(cmd.Context(), args[0], args[1]); err != nil { // before all else: until then it is to cost nothing
				return err
			}
			site, err := a.own(cmd, args)
			if err != nil {
				return err
			}
			client, err := a.silent(site)
			if err != nil {
				return err
			}
			return client.Watch(cmd.Context())
		},
	}
}

// runBefore runs the hook that was there before rel's as git would have: in its environment, with its input. Its exit code is
// kept.
func (a *app) runBefore(ctx context.Context, p *pushed, input []byte) error {
	if p.hook == "" {
		return nil
	}
	path, err := filepath.Abs(p.hook + hooks.Before)
	if err != nil {
		return err
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		return nil // there was none, or git would not have run it
	}
	cmd := exec.CommandContext(ctx, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), a.stdout, a.stderr
	cmd.Env = os.Environ()
	for _, name := range slices.Sorted(maps.Keys(p.git)) {
		cmd.Env = append(cmd.Env, name+"="+p.git[name])
	}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return ended{max(exit.ExitCode(), 1)} // -1 where a signal ended it
	}
	return err
}
