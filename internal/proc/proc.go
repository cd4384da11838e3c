// Package proc owns other processes: it runs commands with limits, a clean environment and another user's credentials, and
// reads from /proc what really runs, who holds a port and who uses a directory.
package proc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrGone is of a process that is no more. A zombie is gone: it only waits for its parent to ask how it ended.
var ErrGone = errors.New("no such process")

// Process is a process as it was when it was looked at. PID and Start together are its identity: a pid is used again.
type Process struct {
	PID, PPID, PGID, Session int
	Start                    uint64 // boot ticks: 1/100 s since boot, suspend included
	State                    byte   // as in ps: R S D T Z …
	Comm                     string // the kernel's name for it, at most 15 bytes
}

// String is "pid 123 (apache2)".
func (p Process) String() string { return fmt.Sprintf("pid %d (%s)", p.PID, p.Comm) }

// Is tells whether p and q are one process, looked at twice perhaps.
func (p Process) Is(q Process) bool { return p.PID == q.PID && p.Start == q.Start }

// Same tells whether p is still there: the same process, not another with its pid, and not a zombie.
func (p Process) Same() bool {
	now, err := Lookup(p.PID)
	return err == nil && now.Is(p)
}

// TicksPerSecond is the unit of Process.Start and Ticks: the kernel's USER_HZ, which is 100 wherever Go runs.
const TicksPerSecond = 100

// StartedAt is when p started by the wall clock now, which may have been set since.
func (p Process) StartedAt(now time.Time) time.Time {
	age := int64(Ticks()) - int64(p.Start)
	return now.Add(-time.Duration(age) * time.Second / TicksPerSecond)
}

// Listener is a socket that takes connections.
type Listener struct {
	Addr    string // "127.0.0.1:8080", "[::]:80", "unix:/run/x.sock"
	Inode   string // the kernel's number of the socket: the same in each process that holds it
	PID     int    // a process that holds it; 0 where we may not see which
	Command string // its command line
}

// Use says how a process uses a directory or something beneath it.
type Use struct {
	PID     int
	How     string // exe, cwd, root, map, file, mount
	Dir     string // the directory, as it was asked for
	Path    string // what it uses: Dir or something beneath, whatever the process knows it by
	Deleted bool   // that has no name any more
}

// Await polls done until it is true, at first every 10 ms, later every 100 ms. It returns false when the timeout is over or
// ctx is done; done is asked once more then, so that a last-moment success counts.
func Await(ctx context.Context, timeout time.Duration, done func() bool) bool {
	return await(ctx, timeout, 10*time.Millisecond, 100*time.Millisecond, done)
}

// AwaitClosely is Await that polls every 2 ms for the first seconds: every moment counts while a service is down.
func AwaitClosely(ctx context.Context, timeout time.Duration, done func() bool) bool {
	const closely, pause = 3 * time.Second, 2 * time.Millisecond
	return await(ctx, min(timeout, closely), pause, pause, done) || Await(ctx, timeout-closely, done)
}

// await polls with a pause that grows from the first to the longest.
func await(ctx context.Context, timeout, first, longest time.Duration, done func() bool) bool {
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for pause := first; ; pause = min(pause*5/4, longest) {
		if done() {
			return true
		}
		select {
		case <-ctx.Done():
			return done()
		case <-deadline.C:
			return done()
		case <-time.After(pause):
		}
	}
}

// Ancestor is the nearest of this process's ancestors whose command line is such a one; false where there is none, or where
// processes cannot be looked at.
func Ancestor(is func(cmdline string) bool) (Process, bool) {
	for pid := os.Getppid(); pid > 1; {
		p, err := Lookup(pid)
		if err != nil {
			return Process{}, false
		}
		if is(Cmdline(pid)) {
			return p, true
		}
		pid = p.PPID
	}
	return Process{}, false
}
