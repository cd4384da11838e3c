package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/proc"
)

// verbs are systemctl's words for the service's commands.
var verbs = map[string]string{"start": "start", "stop": "stop", "restart_cmd": "restart", "graceful": "reload"}

// command is a control command, with sudo before it where that is configured.
func (s *Service) command(name, shell string) proc.Command {
	if s.spec.Sudo {
		shell = "exec sudo -n " + shell
	}
	return proc.Command{
		Name: name, Shell: shell, Dir: s.env.Dir, Env: s.env.Environ, As: s.env.As, Timeout: s.spec.Timeout,
	}
}

// transcript is what a command said, and a daemon that it left may still be saying.
type transcript struct {
	tail []string
	path string // of the daemon's log; "" where there is none
	from int64  // where in it the command began
}

// String is the end of an error that shows the last lines.
func (t transcript) String() string {
	tail := t.tail
	if file, err := os.Open(t.path); t.path != "" && err == nil {
		tail = linesSince(file, t.from)
		file.Close() // only read
	}
	if len(tail) == 0 {
		return ""
	}
	return "; it said: " + strings.Join(tail[max(0, len(tail)-3):], " / ")
}

// control runs one of the service's commands, through systemctl where a unit owns the service.
func (s *Service) control(ctx context.Context, key, shell string, master proc.Process) (transcript, error) {
	if unit := s.unitFor(key); unit != "" {
		shell = "systemctl " + verbs[key] + " " + quoted(unit)
	}
	if signalName.MatchString(shell) {
		number, err := signalNumber(shell)
		if err == nil {
			err = proc.Signal(master, number)
		}
		if errors.Is(err, proc.ErrGone) {
			err = nil // what that means is seen by looking
		}
		return transcript{}, err
	}
	c := s.command(strings.TrimSuffix(key, "_cmd"), shell)
	if key == "stop" {
		c.Output, c.Started = s.env.Output, s.env.Started
		res, err := c.Run(ctx)
		return transcript{tail: res.Tail}, err
	}
	return s.runDaemon(ctx, c, key != "start")
}

// runDaemon runs a command that may leave a daemon behind, whose stdout and stderr it then still is: they go to a file, and from
// there to the log.
func (s *Service) runDaemon(ctx context.Context, c proc.Command, journalled bool) (transcript, error) {
	file, err := s.logFile()
	if err != nil {
		return transcript{}, err
	}
	defer file.Close() // only a copy of the descriptor; what it says was said to the daemon's
	from, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return transcript{}, err
	}
	c.OutputFile = file
	if journalled {
		c.Started = s.env.Started
	}
	_, err = c.Run(ctx)
	lines := linesSince(file, from)
	for _, line := range lines {
		s.env.Output(line)
	}
	if exit, ok := errors.AsType[*proc.ExitError](err); ok {
		exit.Tail = lines
	}
	said := transcript{tail: lines, from: from}
	if s.env.LogDir != "" {
		said.path = file.Name()
	}
	return said, err
}

// logFile is where a daemon's stdout and stderr go.
func (s *Service) logFile() (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND | os.O_CREATE
	if s.env.LogDir != "" {
		if err := os.MkdirAll(s.env.LogDir, 0o755); err != nil {
			return nil, err
		}
		return os.OpenFile(filepath.Join(s.env.LogDir, filepath.Base(s.spec.Name)+".log"), flags, 0o640)
	}
	file, err := os.CreateTemp("", "rel-service-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}

const maxTail = 16 << 10 // bytes of output that are read back

// linesSince is what the file gained: its last 20 lines.
func linesSince(file *os.File, from int64) []string {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size <= from {
		return nil
	}
	from = max(from, size-maxTail)
	data := make([]byte, size-from)
	n, err := file.ReadAt(data, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	lines := strings.Split(strings.TrimRight(string(data[:n]), "\n"), "\n")
	return lines[max(0, len(lines)-20):]
}

func signalNumber(name string) (syscall.Signal, error) {
	number := unix.SignalNum(name)
	if number == 0 {
		return 0, fmt.Errorf("%q: no such signal", name)
	}
	return number, nil
}

// quoted makes a word safe for a shell, and leaves plain ones as sudoers has them.
func quoted(word string) string {
	for _, r := range word {
		if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@:-", r) {
			return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return word
}
