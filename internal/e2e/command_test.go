package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// command is a rel that runs.
type command struct {
	site *site
	args []string
	cmd  *exec.Cmd
	out  bytes.Buffer
	err  bytes.Buffer
	done chan struct{}
}

// start starts a command of rel in the root.
func (s *site) start(args ...string) *command {
	s.t.Helper()
	return s.startAs(&syscall.SysProcAttr{}, args...)
}

func (s *site) startAs(attr *syscall.SysProcAttr, args ...string) *command {
	s.t.Helper()
	c := &command{site: s, args: args, cmd: exec.Command(s.rel, append([]string{"-C", s.dir}, args...)...), done: make(chan struct{})}
	c.cmd.Env, c.cmd.Dir, c.cmd.Stdout, c.cmd.Stderr, c.cmd.SysProcAttr = append(environ(), raceVariable+"="+raceSettings(s.rel)), s.dir, &c.out, &c.err, attr
	c.cmd.WaitDelay = time.Second
	must(s.t, c.cmd.Start())
	go func() {
		_ = c.cmd.Wait() // the code tells
		close(c.done)
	}()
	return c
}

func (c *command) pid() int { return c.cmd.Process.Pid }

func (c *command) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// wait waits for the command's end and gives its exit code, -1 where a signal ended it.
func (c *command) wait() int {
	c.site.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.done
		c.site.t.Fatalf("rel %s: not done after %s\n%s", strings.Join(c.args, " "), patience, c)
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *command) String() string {
	return fmt.Sprintf("rel %s: exit code %d\nstdout:\n%s\nstderr:\n%s", strings.Join(c.args, " "), c.cmd.ProcessState.ExitCode(),
		c.out.String(), c.err.String())
}

// want runs a command of rel to its end and wants an exit code. It returns all that it said.
func (s *site) want(exit int, args ...string) string {
	s.t.Helper()
	c := s.start(args...)
	if got := c.wait(); got != exit {
		s.t.Fatalf("exit code %d, want %d\n%s\n%s", got, exit, c, s.story())
	}
	return c.out.String() + c.err.String()
}

// story is the service's log, for a failure.
func (s *site) story() string {
	log, err := os.ReadFile(filepath.Join(s.run, "shop.log"))
	if err != nil {
		return err.Error()
	}
	return "shop.log:\n" + string(log)
}

// ask runs a command with --json and decodes its answer into v.
func (s *site) ask(v any, args ...string) {
	s.t.Helper()
	c := s.start(append(args, "--json")...)
	c.wait()
	if err := json.Unmarshal(c.out.Bytes(), v); err != nil {
		s.t.Fatalf("%v\n%s", err, c)
	}
}

// historyOf are all runs, newest first.
func (s *site) historyOf() []release.Run {
	s.t.Helper()
	var runs []release.Run
	s.ask(&runs, "history", "-n", "100000")
	return runs
}

// lastRun is the newest run of the history.
func (s *site) lastRun() release.Run {
	s.t.Helper()
	runs := s.historyOf()
	if len(runs) == 0 {
		s.t.Fatal("the history is empty")
	}
	return runs[0]
}

// states are the states of tags, as rel list gives them.
func (s *site) states() map[string]string {
	s.t.Helper()
	var rows []struct{ Tag, State string }
	s.ask(&rows, "list")
	states := map[string]string{}
	for _, row := range rows {
		if states[row.Tag] == "" {
			states[row.Tag] = row.State
		}
	}
	return states
}
