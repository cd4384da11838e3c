package worker

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/git-rel/rel/internal/proc"
)

// guardTries is how often a guardian lets a crashed run be recovered before it leaves it to a person.
const guardTries = 3

// Killed is the exit code of a worker that a signal ended.
const Killed = -1

// saidMax is how much of what a dying worker says is kept, in bytes: enough for the head of a Go traceback.
const saidMax = 16 << 10

// Guard is the guardian: it runs the worker as its child and, whenever that ends without bringing its run to an outcome, the
// recovery. ended says whether the run has an outcome or never began; died is told what the dead worker said. Guard returns
// the last child's exit code and what it said.
func Guard(program string, args, recovery []string, ended func() bool, died func(said []byte)) (code int, said []byte, err error) {
	Unhangable()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	for try := 0; ; try++ {
		code, said, err = runChild(program, args, signals)
		if err != nil || ended() || try == guardTries {
			return code, said, err
		}
		died(said)
		args = recovery
	}
}

// Unhangable makes the process survive the end of whoever listens to it. The signals are caught and not ignored: what is ignored
// is ignored by everything that we start too.
func Unhangable() {
	nobody := make(chan os.Signal, 1)
	signal.Notify(nobody, syscall.SIGHUP, syscall.SIGPIPE)
}

// runChild runs the worker to its end, passing signals on: it alone knows whether they still cancel.
func runChild(program string, args []string, signals <-chan os.Signal) (code int, said []byte, err error) {
	var out head
	cmd := exec.Command(program, append(args, GuardedFlag)...)
	cmd.Stderr = &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := proc.AsRoot(cmd.Start); err != nil { // as in Start
		return -1, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = proc.AsRoot(func() error { return cmd.Process.Signal(s) }) // a child that has just ended needs none
		case err := <-done:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return -1, out.Bytes(), err
			}
			return cmd.ProcessState.ExitCode(), out.Bytes(), nil
		}
	}
}

// head keeps the first saidMax bytes that are written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	if room := saidMax - h.Len(); room > 0 {
		h.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
