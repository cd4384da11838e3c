// Package worker runs a run where nobody can end it by accident: it launches the process that does the work and the guardian
// above it, holds the root's one lock, writes the run's log and lets others follow it. What a run does is not its business.
package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/proc"
)

// ErrLocked says that another run holds the lock.
var ErrLocked = errors.New("another run holds the lock")

// lockPoll is how often a waiting worker looks whether the lock is free: flock cannot wait with a deadline.
const lockPoll = 20 * time.Millisecond

// queueLock is the file of the lock of who serves the queue.
const queueLock = "queue.lock"

// Lock is the root's lock, held by one worker at a time. The kernel frees it when its holder dies, so it is never stale, and
// the file is never unlinked: two processes could then hold "the" lock, on two inodes.
type Lock struct{ file *flock.Flock }

// Acquire takes the lock of the root whose state directory is given, waiting for it up to wait; ErrLocked when it stays held.
func Acquire(ctx context.Context, state string, wait time.Duration) (*Lock, error) {
	return acquire(ctx, flock.New(filepath.Join(state, "lock"), flock.SetFlag(os.O_RDWR)), wait)
}

// AcquireQueue takes the lock of the guardian that serves the queue of the root; ErrLocked where another does.
func AcquireQueue(state string) (*Lock, error) {
	return acquire(context.Background(), flock.New(filepath.Join(state, queueLock), flock.SetFlag(os.O_CREATE|os.O_RDWR)), 0)
}

func acquire(ctx context.Context, file *flock.Flock, wait time.Duration) (*Lock, error) {
	taken, err := try(file)
	if err == nil && !taken && wait > 0 {
		limited, cancel := context.WithTimeout(ctx, wait)
		defer cancel()
		taken, err = file.TryLockContext(limited, lockPoll)
		if limited.Err() != nil && ctx.Err() == nil {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file.Path(), err)
	}
	if !taken {
		return nil, ErrLocked
	}
	return &Lock{file}, nil
}

// try takes the lock now, if nobody has it. Whoever looks whether it is held shares it for a moment: that is nobody who has it.
func try(file *flock.Flock) (taken bool, err error) {
	for {
		if taken, err = file.TryLock(); err != nil || taken {
			return taken, err
		}
		looked, err := file.TryRLock()
		if err != nil || !looked {
			return false, err
		}
		if err := file.Unlock(); err != nil {
			return false, err
		}
	}
}

// Release gives the lock back.
func (l *Lock) Release() error { return l.file.Unlock() }

// Held says whether somebody holds the lock now.
func Held(state string) (bool, error) { return held(filepath.Join(state, "lock")) }

// QueueServed says whether a guardian serves the queue now.
func QueueServed(state string) (bool, error) {
	served, err := held(filepath.Join(state, queueLock))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // nobody ever did
	}
	return served, err
}

func held(path string) (bool, error) {
	file := flock.New(path, flock.SetFlag(os.O_RDONLY))
	free, err := file.TryRLock()
	if err != nil {
		return false, fmt.Errorf("%s: %w", file.Path(), err)
	}
	if free {
		return false, file.Unlock()
	}
	return true, nil
}

// GoFirst tells whoever serves the queue to let us have the root's lock before it, until done is called. It takes no room on the
// disk: the state directory itself is what is locked. Where that cannot be, the turn is whose it happens to be.
func GoFirst(state string) (done func()) {
	dir, err := os.Open(state)
	if err != nil {
		return func() {}
	}
	_ = flockNow(dir, unix.LOCK_SH)
	return func() { dir.Close() }
}

// SomebodyFirst says whether somebody is to have the lock before who serves the queue.
func SomebodyFirst(state string) bool {
	dir, err := os.Open(state)
	if err != nil {
		return false
	}
	defer dir.Close()
	return errors.Is(flockNow(dir, unix.LOCK_EX), unix.EWOULDBLOCK)
}

// Commands is the lock that the commands of a run share: each inherits its descriptor, so it stays held until the last of
// them is gone, however their worker ended. A killed worker's build goes on writing; recovery must not begin beside it.
type Commands struct{ File *os.File }

// HoldCommands takes the commands' lock for a run.
func HoldCommands(state string) (*Commands, error) {
	file, err := openCommands(state, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	return &Commands{file}, nil
}

// Close gives the worker's own share back.
func (c *Commands) Close() error { return c.File.Close() }

// EndCommands ends what a dead worker left running: it kills every process that still holds the commands' lock and waits
// until the last is gone.
func EndCommands(ctx context.Context, state string) error {
	path := filepath.Join(state, "commands.lock")
	for {
		file, err := openCommands(state, unix.LOCK_EX)
		if err == nil {
			return file.Close()
		}
		if !errors.Is(err, ErrLocked) {
			return err
		}
		if err := proc.KillHolders(ctx, path); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: a command of the crashed run still holds it: %w", path, ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

func openCommands(state string, how int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(state, "commands.lock"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	if err = flockNow(file, how); err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrLocked
	}
	return nil, fmt.Errorf("%s: flock: %w", file.Name(), err)
}

func flockNow(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
