package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Limits of a command that has to end, and of what it prints.
const (
	termGrace  = 5 * time.Second // between TERM and KILL
	drainDelay = 2 * time.Second // for output after the end, which a background child may hold open for ever
	maxLine    = 4 << 10         // bytes of a line of output, unless told; the rest of it is dropped
	tailLines  = 20              // kept for the error
)

// Command is one command to run. It gets a process group of its own, umask 022, /dev/null as stdin and no descriptor but its
// output and Hold.
type Command struct {
	Name       string                            // what errors call it: "build"; else the program's name
	Shell      string                            // run by /bin/sh -c Shell sh Args…
	Args       []string                          // "$1"…, or the arguments of Path
	Path       string                            // with Shell empty: this program, looked up in Env's PATH
	Dir        string                            // where it runs; "" is where we are
	Env        []string                          // its whole environment, see Environment
	View       *View                             // what it sees elsewhere than it is; nil: what we see
	As         *User                             // whom it runs as, with all their groups; nil: as this process is
	Hold       *os.File                          // inherited as descriptor 3: the shared lock that commands hold
	Output     func(line string)                 // gets each line of stdout and stderr as it comes
	LineLimit  int                               // how many bytes of a line it gets; 0: 4 KiB
	OutputFile *os.File                          // instead: where stdout and stderr go straight, for a daemon that keeps them
	Timeout    time.Duration                     // then TERM to its process group, 5 s later KILL; 0: none
	Started    func(pid int, start uint64) error // called once it runs, before waiting; an error ends it
}

// Result is how a command went that was started.
type Result struct {
	PID   int
	Start uint64        // boot ticks
	Took  time.Duration //
	Tail  []string      // its last lines of output, 20 at most; none with OutputFile
}

// ExitError is of a command that ran and did not exit 0. Cause is the context's error where that ended it.
type ExitError struct {
	Name     string
	Code     int            // -1 when a signal ended it
	Signal   syscall.Signal // 0 when it exited
	TimedOut bool
	Timeout  time.Duration
	Tail     []string
	Cause    error
}

func (e *ExitError) Error() string {
	switch {
	case e.TimedOut:
		return fmt.Sprintf("%s: still running after %s, ended", e.Name, e.Timeout)
	case e.Cause != nil:
		return fmt.Sprintf("%s: cancelled", e.Name)
	case e.Signal != 0:
		return fmt.Sprintf("%s: killed by %s", e.Name, unix.SignalName(e.Signal))
	}
	return fmt.Sprintf("%s: exit %d", e.Name, e.Code)
}

// Unwrap lets errors.Is see a cancelled context.
func (e *ExitError) Unwrap() error { return e.Cause }

// Run starts the command and waits for it. A non-zero exit, a signal, the timeout and a cancelled ctx give an *ExitError; a command
// that could not be started another error. What it left in the background on a good exit goes on.
func (c Command) Run(ctx context.Context) (Result, error) {
	if err := context.Cause(ctx); err != nil {
		return Result{}, fmt.Errorf("%s: not started: %w", c.name(), err)
	}
	began := time.Now()
	out, err := c.output()
	if err != nil {
		return Result{}, err
	}
	p, err := c.start(out.file)
	out.started()
	if err != nil {
		out.finish(0)
		return Result{}, fmt.Errorf("%s: %w", c.name(), err)
	}
	res := Result{PID: p.Pid, Start: startOf(p.Pid)}
	end := &ending{name: c.name(), process: p, exited: make(chan struct{})}
	go end.watch()
	if c.Started != nil {
		err = c.Started(res.PID, res.Start)
	}
	if err != nil {
		end.stop()
	} else {
		end.wait(ctx, c.Timeout)
	}
	res.Tail = out.finish(drainDelay)
	res.Took = time.Since(began)
	if exit := end.reap(ctx, c, res); err == nil {
		err = exit
	}
	return res, err
}

// name is what errors call the command.
func (c Command) name() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Shell != "":
		first, _, _ := strings.Cut(strings.TrimSpace(c.Shell), "\n")
		return first
	}
	return filepath.Base(c.Path)
}

// argv is the program's absolute path and its arguments, with the name it is called by first.
func (c Command) argv() (string, []string, error) {
	if c.Shell != "" {
		return "/bin/sh", append([]string{"sh", "-c", c.Shell, "sh"}, c.Args...), nil
	}
	if c.Path == Self {
		return Self, append([]string{os.Args[0]}, c.Args...), nil
	}
	path, err := LookPath(c.Path, lookEnv(c.Env, "PATH"))
	return path, append([]string{c.Path}, c.Args...), err
}

// LookPath finds a program in a PATH that need not be ours. A name with a slash is returned as it is.
func LookPath(name, path string) (string, error) {
	if name == "" {
		return "", errors.New("no command to run")
	}
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if info, err := os.Stat(full); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("%s: no such program in PATH=%s", name, path)
}

// start forks. Credentials are only given where they differ from ours: setgroups is for root alone.
func (c Command) start(out *os.File) (*os.Process, error) {
	path, argv, err := c.argv()
	if err != nil {
		return nil, err
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	attr := &os.ProcAttr{Dir: c.Dir, Env: c.Env, Files: []*os.File{null, out, out}, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if attr.Env == nil {
		attr.Env = []string{} // nil would hand our own environment down
	}
	if c.Hold != nil {
		attr.Files = append(attr.Files, c.Hold)
	}
	become := c.As != nil && int(c.As.UID) != os.Geteuid()
	if become {
		attr.Sys.Credential = &syscall.Credential{Uid: c.As.UID, Gid: c.As.GID, Groups: c.As.Groups}
	}
	if c.View != nil {
		p, err := c.startInView(path, argv, attr)
		return p, c.explain(err)
	}
	var p *os.Process
	fork := func() error {
		p, err = os.StartProcess(path, argv, attr)
		return err
	}
	return p, c.explain(forkClean(become, fork))
}

// explain says what a fork that did not succeed has met: the kernel gives one error for the directory, the program and the user.
func (c Command) explain(err error) error {
	if err == nil {
		return nil
	}
	if info, statErr := os.Stat(c.Dir); c.Dir != "" && (statErr != nil || !info.IsDir()) {
		return fmt.Errorf("cannot run in %s: %w", c.Dir, err)
	}
	switch {
	case !errors.Is(err, os.ErrPermission) || c.As == nil:
		return err
	case !CanBecome():
		return fmt.Errorf("cannot run as %s: this process is of uid %d and not root: %w", c.As.Name, os.Geteuid(), err)
	case c.Dir != "":
		return fmt.Errorf("cannot run in %s as %s: %w", c.Dir, c.As.Name, err)
	}
	return fmt.Errorf("cannot run as %s: %w", c.As.Name, err)
}
