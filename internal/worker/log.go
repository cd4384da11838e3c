package worker

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// logAhead is the space kept for a log before its run begins, in bytes: a rollback on a full disk can then tell what it does.
const logAhead = 64 << 10

// keepLogs is how many runs' logs are kept.
const keepLogs = 500

// LogPath is the log of run n.
func LogPath(state string, n int) string {
	return filepath.Join(state, "runs", strconv.Itoa(n)+".jsonl")
}

// Log is a run's log. It is told to people and is no part of the run's safety: a line that a full disk does not take is lost
// and the run goes on; the journal has the outcome.
type Log struct {
	mu   sync.Mutex
	file *os.File // nil where it could not be made
	room int      // left for output of commands, in bytes
	Now  func() time.Time
}

// maxOutput bounds what commands print into a log, in bytes: a build that prints for ever must not fill the disk.
const maxOutput = 8 << 20

// OpenLog opens run n's log for appending. The error is a warning: the Log works, and drops what it is told.
func OpenLog(state string, n int) (*Log, error) {
	file, err := os.OpenFile(LogPath(state, n), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return &Log{Now: time.Now}, err
	}
	return &Log{file: file, room: maxOutput, Now: time.Now}, endLine(file)
}

// endLine ends a line that a killed worker left half-written, so that the next one does not join it.
func endLine(file *os.File) error {
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, info.Size()-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte{'\n'})
	return err
}

// Emit writes one event.
func (l *Log) Emit(e release.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = l.Now().UTC()
	if e.Kind == release.EventOutput {
		switch l.room -= len(e.Text); {
		case l.room < -len(e.Text):
			return
		case l.room < 0:
			e.Kind, e.Text = release.EventNote, "it prints too much: the rest is left out"
		}
	}
	line, err := json.Marshal(e)
	if err != nil || l.file == nil {
		return
	}
	l.write(append(line, '\n'))
}

// write writes a line or nothing: what a full disk took of a long one must not be in the way of the short ones to come.
func (l *Log) write(line []byte) {
	n, err := l.file.Write(line)
	if err == nil || n == 0 {
		return // see Log: a lost line is a lost line
	}
	if info, err := l.file.Stat(); err == nil {
		_ = l.file.Truncate(info.Size() - int64(n)) // else the next line is lost with it
	}
}

// Close closes the log.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// PrepareLog makes the log that the run after n will write, with space of its own, and removes the oldest ones.
func PrepareLog(state string, n int) error {
	file, err := os.OpenFile(LogPath(state, n+1), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	err = disk.Preallocate(file, logAhead)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return dropLogs(state, n-keepLogs)
}

// dropLogs removes the logs of the runs up to n.
func dropLogs(state string, n int) error {
	if n <= 0 {
		return nil
	}
	entries, err := os.ReadDir(filepath.Join(state, "runs"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		run, err := strconv.Atoi(strings.TrimSuffix(entry.Name(), ".jsonl"))
		if err != nil || run > n {
			continue
		}
		if err := os.Remove(LogPath(state, run)); err != nil {
			return err
		}
	}
	return nil
}
