package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// ErrGone says that a log ended without an outcome and nobody is left to write one.
var ErrGone = errors.New("the run ended without an outcome")

// Follower reads a run's log as it grows, each event once.
type Follower struct {
	path    string
	file    *os.File // nil until the log is there
	pending []byte   // the beginning of a line
}

// NewFollower makes a follower of run n's log, from its beginning.
func NewFollower(state string, n int) *Follower {
	return &Follower{path: LogPath(state, n)}
}

// Close closes the log.
func (f *Follower) Close() {
	if f.file != nil {
		f.file.Close()
	}
}

// Skip leaves out what the log has now.
func (f *Follower) Skip() error {
	for {
		_, more, err := f.read(func(release.Event) {})
		if err != nil || !more {
			return err
		}
	}
}

// Follow calls tell with each event until the one that ends the run, which is told too. After everything so far was told it asks
// gone whether nobody is left who could write more; then it reads once more and returns ErrGone. A log that is not there yet is
// waited for. It may be called again, and goes on where it was.
func (f *Follower) Follow(ctx context.Context, gone func() bool, tell func(release.Event)) error {
	for pause := time.Millisecond; ; {
		left := gone()
		ended, more, err := f.read(tell)
		if err != nil || ended {
			return err
		}
		if more {
			pause = time.Millisecond
			continue
		}
		if left {
			return ErrGone
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 20*time.Millisecond)
	}
}

// Follow follows run n's log from its beginning to its end, as a Follower does.
func Follow(ctx context.Context, state string, n int, gone func() bool, tell func(release.Event)) error {
	f := NewFollower(state, n)
	defer f.Close()
	return f.Follow(ctx, gone, tell)
}

// ReadLog calls tell with each event that run n's log has now, also with what came after the end.
func ReadLog(state string, n int, tell func(release.Event)) error {
	if _, err := os.Stat(LogPath(state, n)); err != nil {
		return err
	}
	f := NewFollower(state, n)
	defer f.Close()
	for {
		if _, more, err := f.read(tell); err != nil || !more {
			return err
		}
	}
}

// read tells what the log gained; more is whether it gained anything.
func (f *Follower) read(tell func(release.Event)) (ended, more bool, err error) {
	if f.file == nil {
		f.file, err = os.Open(f.path)
		if errors.Is(err, fs.ErrNotExist) {
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
	}
	data, err := io.ReadAll(f.file)
	if err != nil {
		return false, false, fmt.Errorf("%s: %w", f.path, err)
	}
	f.pending = append(f.pending, data...)
	for {
		line, rest, whole := bytes.Cut(f.pending, []byte{'\n'})
		if !whole {
			return false, len(data) > 0, nil
		}
		f.pending = rest
		var e release.Event
		if json.Unmarshal(line, &e) != nil {
			continue // the torn line of a killed worker
		}
		tell(e)
		if e.Kind == release.EventEnd {
			return true, true, nil
		}
	}
}
