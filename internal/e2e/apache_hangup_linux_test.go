package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
)

// apacheHangup takes the terminal away from a run, before anything is touched and after the switch, while the service is stopped.
func apacheHangup(v *server) {
	v.serves("v1")
	hold := filepath.Join(v.run, "hold")
	wait := fmt.Sprintf("echo waits; n=0; while [ -e %s ] && [ $n -lt 600 ]; do n=$((n+1)); sleep 0.1; done", hold)
	v.restart = "stop-start"
	defer func() {
		v.restart = "graceful"
		delete(v.settings, "steps")
		v.configure()
	}()
	for i, key := range []string{"before", "after_switch"} {
		tag := []string{"v2", "v1"}[i]
		v.settings["steps"] = key + " = '" + wait + "'"
		v.configure()
		must(v.t, os.WriteFile(hold, nil, 0o644))
		runs := v.lastRun().Run

		shell, terminal := v.onTerminal("activate", tag)
		v.await("the run does not come to "+key, func() bool { return v.stepWaits() }, v.dir)
		must(v.t, terminal.Close())
		if err := shell.Wait(); err == nil || err.Error() != "signal: hangup" {
			v.t.Errorf("%s: the session was not hung up: %v", key, err)
		}
		if len(v.workers()) == 0 {
			v.t.Fatalf("%s: no worker is left", key)
		}
		must(v.t, os.Remove(hold))
		v.await("the run does not end", func() bool { return v.lastRun().Run > runs })
		if run := v.lastRun(); run.Outcome != release.Live || run.To != tag || run.Verified != release.VerifiedRelease {
			v.t.Errorf("%s: %+v", key, run)
		}
		v.wantNoWorker()
		v.serves(tag)
	}
}

// stepWaits tells whether the step that waits runs.
func (v *server) stepWaits() bool {
	for _, p := range v.left() {
		if data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.PID)); err == nil && bytes.Contains(data, []byte("echo waits")) {
			return true
		}
	}
	return false
}

// onTerminal starts a shell that leads a session on a terminal of its own, and in it a command of rel. Closing the terminal's
// other end is what sshd or a terminal's window does when it goes: the kernel sends SIGHUP to the session.
func (v *server) onTerminal(args ...string) (*exec.Cmd, *os.File) {
	v.t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(v.t, err)
	raw, err := master.SyscallConn() // Fd would make it blocking, and closing it while it is read would do nothing
	must(v.t, err)
	var number int
	var failed error
	must(v.t, raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}))
	must(v.t, failed)
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	must(v.t, err)
	defer slave.Close()
	shell := exec.Command("/bin/sh", append([]string{"-c", `"$0" -C "$@"; exit $?`, v.rel, v.dir}, args...)...)
	shell.Env, shell.Dir = environ(), v.dir
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	shell.WaitDelay = time.Second
	must(v.t, shell.Start())
	go func() {
		buffer := make([]byte, 4096)
		for {
			if _, err := master.Read(buffer); err != nil {
				return
			}
		}
	}()
	return shell, master
}
