package proc

import (
	"context"
	"errors"
	"os"
	"syscall"
	"time"
)

// ending sees a command to its end and remembers who ended it.
type ending struct {
	name      string
	process   *os.Process
	exited    chan struct{} // closed when the command has exited
	state     *os.ProcessState
	waitErr   error
	timedOut  bool
	cancelled bool
}

// watch closes exited once the command has exited. Where the system lets us it stays a zombie until reap, so that its process
// group's number cannot be another's while signals are sent to it.
func (e *ending) watch() {
	defer close(e.exited)
	if !awaitExit(e.process.Pid) {
		e.state, e.waitErr = e.process.Wait()
	}
}

func (e *ending) wait(ctx context.Context, timeout time.Duration) {
	var late <-chan time.Time
	if timeout > 0 {
		timer := time.NewTimer(timeout)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-e.exited:
		return
	case <-late:
		e.timedOut = true
	case <-ctx.Done():
		e.cancelled = true
	}
	e.stop()
}

// stop ends the whole process group: TERM, and KILL for what is left of it 5 s later.
func (e *ending) stop() {
	pgid := e.process.Pid
	signalGroup(pgid, syscall.SIGTERM)
	if Await(context.Background(), termGrace, func() bool { return groupEmpty(pgid, e.exited) }) {
		return
	}
	signalGroup(pgid, syscall.SIGKILL)
	<-e.exited
}

// groupEmpty tells whether nobody in the group lives: without /proc, whether the command itself has exited.
func groupEmpty(pgid int, exited <-chan struct{}) bool {
	members, err := groupMembers(pgid)
	if err == nil {
		return len(members) == 0
	}
	select {
	case <-exited:
		return true
	default:
		return false
	}
}

// reap takes the exit status and puts it into words.
func (e *ending) reap(ctx context.Context, c Command, res Result) error {
	<-e.exited
	if e.state == nil && e.waitErr == nil {
		e.state, e.waitErr = e.process.Wait()
	}
	if e.waitErr != nil {
		return e.waitErr
	}
	if e.state.Success() && !e.timedOut && !e.cancelled {
		return nil
	}
	exit := &ExitError{Name: e.name, Code: e.state.ExitCode(), TimedOut: e.timedOut, Timeout: c.Timeout, Tail: res.Tail}
	if status, ok := e.state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		exit.Signal = status.Signal()
	}
	if e.cancelled {
		exit.Cause = context.Cause(ctx)
	}
	return exit
}

// EndGroup ends what is left of a process group that a dead worker started: TERM, 5 s, KILL. start is its leader's; if the pid
// is another process by now, the group is not ours and is left alone. A group whose leader has exited is ours as long as anybody
// is in it: the number of a group in use is not given to a new process.
func EndGroup(ctx context.Context, pgid int, start uint64) error {
	if pgid <= 1 {
		return nil
	}
	if leader, err := Lookup(pgid); err == nil && leader.Start != start {
		return nil
	} else if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	members, err := ours(pgid, start)
	if err != nil || len(members) == 0 {
		return err
	}
	if err := SignalAll(members, syscall.SIGTERM); err != nil {
		return err
	}
	gone := func() bool {
		members, err = ours(pgid, start)
		return err != nil || len(members) == 0
	}
	if Await(ctx, termGrace, gone) {
		return err
	}
	if err := SignalAll(members, syscall.SIGKILL); err != nil {
		return err
	}
	Await(ctx, termGrace, gone)
	if err == nil && len(members) > 0 {
		return &ExitError{Name: members[0].String(), Code: -1, Signal: syscall.SIGKILL, Cause: errors.New("still there after KILL")}
	}
	return err
}

// ours are the live members of a group that can have come from its leader: nobody in it is older than that.
func ours(pgid int, start uint64) ([]Process, error) {
	members, err := groupMembers(pgid)
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, m := range members {
		if m.Start >= start {
			found = append(found, m)
		}
	}
	return found, nil
}

func groupMembers(pgid int) ([]Process, error) {
	all, err := List()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, p := range all {
		if p.PGID == pgid {
			found = append(found, p)
		}
	}
	return found, nil
}

// SignalAll signals each of the processes that is still the same one. Those that are gone are no error.
func SignalAll(targets []Process, sig syscall.Signal) error {
	var errs []error
	for _, p := range targets {
		if err := Signal(p, sig); err != nil && !errors.Is(err, ErrGone) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
