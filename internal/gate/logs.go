package gate

import (
	"context"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// Log is a service's error log: a file, or what journald keeps of a unit. The zero Log has nothing in it. Lines are given without
// their line ends, of one that is longer the first 4 KiB, and otherwise as they are: whoever shows them escapes them.
type Log struct {
	Path string     // of a file; or "journal:UNIT"
	Env  []string   // the environment of journalctl
	As   *proc.User // whom journalctl runs as; nil: as this process is
}

// LogMark is a place in a log. That in a file survives rotation (by renaming, or by copying and truncating). Marks can be stored as
// JSON. A mark that has nothing but the path is at the log's very beginning.
type LogMark struct {
	Path   string    `json:"path,omitempty"`
	Inode  uint64    `json:"inode,omitempty"`  // 0: there was no file
	Offset int64     `json:"offset,omitempty"` // bytes
	Before []byte    `json:"before,omitempty"` // the last bytes before Offset, at most 64
	Cursor string    `json:"cursor,omitempty"` // of journald: the last entry
	Time   time.Time `json:"time,omitzero"`    // of journald: where there was no entry yet
}

// journal gives the unit whose journal the log is.
func (l Log) journal() (unit string, ok bool) { return strings.CutPrefix(l.Path, release.JournalLog) }

// Mark marks the end of the log as it is now. A file that does not exist yet is marked at its future start.
func (l Log) Mark(ctx context.Context) (LogMark, error) {
	if unit, ok := l.journal(); ok {
		return l.markJournal(ctx, unit)
	}
	if l.Path == "" {
		return LogMark{}, nil
	}
	return markFile(l.Path)
}

// Since gives the lines that the log gained after the mark. Of more than max lines (all, if max is 0), or more than a mebibyte, the
// last are given. A mark of another log counts as one at the beginning.
func (l Log) Since(ctx context.Context, mark LogMark, max int) ([]string, error) {
	lines, _, err := l.read(ctx, mark, true)
	return last(lines, max), err
}

// Next is Since for a reader that goes on: it gives complete lines only, and the mark after the last of them.
func (l Log) Next(ctx context.Context, mark LogMark, max int) ([]string, LogMark, error) {
	lines, next, err := l.read(ctx, mark, false)
	return last(lines, max), next, err
}

func (l Log) read(ctx context.Context, mark LogMark, partial bool) ([]string, LogMark, error) {
	if mark.Path != l.Path {
		mark = LogMark{Path: l.Path}
	}
	if unit, ok := l.journal(); ok {
		return l.readJournal(ctx, unit, mark)
	}
	if l.Path == "" {
		return nil, mark, nil
	}
	return mark.read(partial)
}

func last(lines []string, max int) []string {
	if max > 0 && len(lines) > max {
		return lines[len(lines)-max:]
	}
	return lines
}

// before gives the last lines before the mark, a mebibyte of them at most.
func (l Log) before(ctx context.Context, mark LogMark) ([]string, error) {
	if unit, ok := l.journal(); ok {
		return l.newestOfJournal(ctx, unit)
	}
	if l.Path == "" {
		return nil, nil
	}
	return mark.behind()
}
