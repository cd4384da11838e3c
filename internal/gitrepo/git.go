package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/git-rel/rel/internal/release"
)

// call is how git is run; its zero value is without input and with nothing added.
type call struct {
	stdin  string
	env    []string  // added to the environment
	config []string  // settings for this call: "user.useConfigOnly=true"
	stderr io.Writer // gets a copy of what git says while it runs; nil for none
}

// gitError is git saying no.
type gitError struct {
	command string // "push"
	code    int    // exit code; -1 when killed
	text    string // what it printed to stderr
}

// afterwards is what git says where ssh, the other side, or git itself has said why.
var afterwards = []string{"Could not read from remote repository.", "the remote end hung up unexpectedly"}

// Error is git's last complaint without its prefix; where that only follows from what stands above it, that.
func (e *gitError) Error() string {
	first, above, said, follows := "", "", "", ""
	for line := range strings.Lines(e.text) {
		line = strings.TrimSpace(strings.TrimPrefix(line, "remote:"))
		rest, fatal := strings.CutPrefix(line, "fatal: ")
		if !fatal {
			rest, fatal = strings.CutPrefix(line, "error: ")
		}
		switch {
		case fatal && slices.Contains(afterwards, rest):
			said, follows = cmp.Or(said, above), rest
		case fatal:
			said = rest
		case follows == "" && strings.ContainsFunc(line, unicode.IsLetter) && !strings.HasPrefix(line, "hint:"):
			first, above = cmp.Or(first, line), line
		}
	}
	return fmt.Sprintf("git %s: %s", e.command, cmp.Or(said, first, follows, fmt.Sprintf("exit code %d", e.code)))
}

// git runs git in the repository and returns what it printed. Arguments are a vector: no shell sees them. The environment is
// the caller's, for keys, agents and credentials, but without what would lead git elsewhere.
func (r *Repo) git(ctx context.Context, c call, args ...string) (string, error) {
	// safe.bareRepository: the repository was named, not stumbled upon. core.fsync: a tag that was announced stays.
	argv := append([]string{"-c", "safe.bareRepository=all", "-c", "core.fsync=all"}, configured(c.config)...)
	argv = append(argv, args...)
	cmd := exec.CommandContext(ctx, "git", argv...)
	cmd.Dir = r.top()
	cmd.Env = append(environment(os.Environ()), c.env...)
	cmd.Stdin = strings.NewReader(c.stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if c.stderr != nil {
		cmd.Stderr = io.MultiWriter(&stderr, c.stderr)
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // so that git removes its lock files
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return stdout.String(), &gitError{command: args[0], code: exit.ExitCode(), text: stderr.String()}
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", release.Errorf(release.ExitError, "git: not found in PATH").Hint("rel needs git 2.31 or later for this")
	}
	return stdout.String(), err
}

func configured(settings []string) []string {
	var args []string
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// line is git's output without the line ending.
func (r *Repo) line(ctx context.Context, c call, args ...string) (string, error) {
	out, err := r.git(ctx, c, args...)
	return strings.TrimSuffix(out, "\n"), err
}

// environment is env without GIT_*, which would lead git to another repository, and without SUDO_*, by which git trusts
// repositories of the user who called sudo.
func environment(env []string) []string {
	kept := make([]string, 0, len(env)+3)
	for _, e := range env {
		if !strings.HasPrefix(e, "GIT_") && !strings.HasPrefix(e, "SUDO_") {
			kept = append(kept, e)
		}
	}
	return append(kept, "GIT_NO_REPLACE_OBJECTS=1", "GIT_LITERAL_PATHSPECS=1", "LC_ALL=C")
}

// exitOf is git's exit code: 0 without an error, -1 where it is not git that said no.
func exitOf(err error) int {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[*gitError](err); ok {
		return e.code
	}
	return -1
}
