package worker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/git-rel/rel/internal/proc"
)

// Launch says how to start a worker.
type Launch struct {
	Program string   // this very binary
	Args    []string // that make it a guardian; the guardian adds GuardedFlag for its worker
	Dir     string   // the root
	Env     []string // the whole environment
	Unit    string   // a systemd unit's name, used where systemd is pid 1
	User    proc.User
}

// GuardedFlag tells the process that it is the worker, below a guardian.
const GuardedFlag = "--guarded"

// Handle is a started worker, as its starter sees it.
type Handle struct {
	cmd  *exec.Cmd
	unit []string // the command that signals the unit the worker is in; nil where it is in none
	done chan struct{}
	err  error
	said bytes.Buffer
}

// Start starts a worker under a guardian that nothing of its starter's reaches: not its terminal, its session, its
// descriptors, its environment or, where systemd is pid 1, its cgroup. The starter may end at any time.
func Start(l Launch) (*Handle, error) {
	closeOnExec()
	argv, unit := l.command()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = l.Dir
	cmd.Env = append(slices.Clone(l.Env), "XDG_RUNTIME_DIR="+runtimeDir(l.User)) // for systemd-run --user; a unit gets l.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	h := &Handle{cmd: cmd, unit: unit, done: make(chan struct{})}
	cmd.Stderr = &h.said // what it says before its run begins; from then on its log speaks
	// What DropTo put aside is lost to what is executed, so the worker starts as root again where we were, and steps down itself.
	if err := proc.AsRoot(cmd.Start); err != nil {
		return nil, fmt.Errorf("%s: %w", argv[0], err)
	}
	go func() {
		h.err = cmd.Wait()
		close(h.done)
	}()
	return h, nil
}

// unit is the systemd manager whose transient unit a worker becomes.
type unit struct {
	user bool   // the user's own manager, else the system's
	bus  string // its socket
}

// manager finds the manager to ask, false where there is none: systemd is not pid 1, its bus is not up (as early at boot, and in
// small containers), or it is a user's that does not linger, which ends with the last login and would be worse than none.
func (l Launch) manager() (unit, bool) {
	if !proc.Systemd() {
		return unit{}, false
	}
	m := unit{bus: "/run/dbus/system_bus_socket"}
	if !proc.CanBecome() {
		m = unit{user: true, bus: filepath.Join(runtimeDir(l.User), "bus")}
		if _, err := os.Stat(filepath.Join("/var/lib/systemd/linger", l.User.Name)); err != nil {
			return m, false
		}
	}
	_, err := os.Stat(m.bus)
	return m, err == nil
}

func runtimeDir(u proc.User) string { return fmt.Sprintf("/run/user/%d", u.UID) }

// command is the argument vector: the guardian itself, or systemd-run around it, with the command that signals that unit. A
// transient unit is needed because a session of its own does not leave the caller's cgroup: restarting the web server whose git
// http-backend called us would kill us.
func (l Launch) command() (argv, signal []string) {
	argv = append([]string{l.Program}, l.Args...)
	manager, there := l.manager()
	run, err := exec.LookPath("systemd-run")
	if !there || err != nil {
		return argv, nil
	}
	// KillMode=process: a daemon that the run started stays when the unit ends. --pipe --wait gives us its exit and its words,
	// and neither ends the unit when we go.
	unit := []string{
		run, "--quiet", "--collect", "--wait", "--pipe", "--unit=" + l.Unit, "--working-directory=" + l.Dir,
		"--property=KillMode=process", "--property=OOMScoreAdjust=-500",
	}
	signal = []string{"systemctl", "kill", "--signal=INT", l.Unit + ".service"}
	if manager.user {
		unit, signal = append(unit, "--user"), append(signal, "--user")
	}
	for _, v := range l.Env {
		unit = append(unit, "--setenv="+v)
	}
	return append(append(unit, "--"), argv...), signal
}

// Cancel asks the worker to end its run, or its waiting for the lock, if it has touched nothing yet.
func (h *Handle) Cancel() error {
	if h.unit != nil {
		return exec.Command(h.unit[0], h.unit[1:]...).Run()
	}
	return proc.AsRoot(func() error { return h.cmd.Process.Signal(os.Interrupt) })
}

// Ended says whether the guardian has ended.
func (h *Handle) Ended() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// Result is the guardian's exit code and what it said, once it has ended.
func (h *Handle) Result() (code int, said []byte) {
	<-h.done
	var exit *exec.ExitError
	switch {
	case h.err == nil:
		return 0, h.said.Bytes()
	case errors.As(h.err, &exit):
		return exit.ExitCode(), h.said.Bytes()
	default:
		return -1, []byte(h.err.Error())
	}
}
