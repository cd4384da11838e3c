package gate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

const (
	journalTimeout = 5 * time.Second // of one journalctl
	journalNewest  = 5000            // entries, where what there is would be too much
	journalJSON    = 64 << 10        // bytes of an entry as JSON: journalctl leaves out fields of more than 4 KiB
)

// journalEntry is an entry as journalctl writes it.
type journalEntry struct {
	Cursor   string          `json:"__CURSOR"`
	Time     string          `json:"__REALTIME_TIMESTAMP"` // µs since 1970
	Priority string          `json:"PRIORITY"`
	Message  json.RawMessage `json:"MESSAGE"`
}

// journalReading is what one journalctl gave.
type journalReading struct {
	lines  []string // the last ones, a mebibyte of them at most
	size   int
	cursor string // of the last entry; empty without one
	denied bool
}

func (l Log) markJournal(ctx context.Context, unit string) (LogMark, error) {
	mark := LogMark{Path: l.Path, Time: time.Now()}
	got, err := l.journalctl(ctx, unit, "--lines=1")
	mark.Cursor = got.cursor
	return mark, err
}

// readJournal reads what a unit's journal gained after the mark. Where that is more than can be read in time, the newest are given.
func (l Log) readJournal(ctx context.Context, unit string, mark LogMark) ([]string, LogMark, error) {
	after := fmt.Sprintf("--lines=%d", journalNewest)
	switch {
	case mark.Cursor != "":
		after = "--after-cursor=" + mark.Cursor
	case !mark.Time.IsZero():
		after = fmt.Sprintf("--since=@%d.%06d", mark.Time.Unix(), mark.Time.Nanosecond()/1000)
	}
	got, err := l.journalctl(ctx, unit, after)
	if exit, ok := errors.AsType[*proc.ExitError](err); ok && exit.TimedOut {
		got, err = l.journalctl(ctx, unit, fmt.Sprintf("--lines=%d", journalNewest))
	}
	if got.cursor != "" {
		mark.Cursor = got.cursor
	}
	return got.lines, mark, err
}

func (l Log) newestOfJournal(ctx context.Context, unit string) ([]string, error) {
	got, err := l.journalctl(ctx, unit, fmt.Sprintf("--lines=%d", journalNewest))
	return got.lines, err
}

// journalctl asks for entries of a unit, oldest first.
func (l Log) journalctl(ctx context.Context, unit, which string) (got journalReading, err error) {
	_, err = proc.Command{
		Path: "journalctl", Env: l.Env, As: l.As, Timeout: journalTimeout, Output: got.take, LineLimit: journalJSON,
		Args: []string{"--no-pager", "--unit=" + unit, "--output=json", "--output-fields=MESSAGE,PRIORITY", which},
	}.Run(ctx)
	if got.denied {
		return got, release.Errorf(release.ExitError, "%s: this user may not read the journal", l.Path).
			Hint("adduser USER systemd-journal lets a user read it")
	}
	if exit, ok := errors.AsType[*proc.ExitError](err); ok && !exit.TimedOut && len(exit.Tail) > 0 {
		err = fmt.Errorf("%w: %s", err, exit.Tail[len(exit.Tail)-1])
	}
	if err != nil {
		return got, fmt.Errorf("%s: %w", l.Path, err)
	}
	return got, nil
}

// take takes a line of journalctl's: an entry, or what it has to say itself.
func (j *journalReading) take(line string) {
	var e journalEntry
	if !strings.HasPrefix(line, "{") {
		j.denied = j.denied || strings.Contains(line, "insufficient permissions") || strings.Contains(line, "not seeing messages")
		return
	}
	if json.Unmarshal([]byte(line), &e) != nil {
		return // cut off: nothing that a service writes is that long
	}
	j.cursor = e.Cursor
	for text := range strings.SplitSeq(strings.TrimSuffix(e.text(), "\n"), "\n") {
		text = e.head() + shortLine(text, logLine)
		j.lines, j.size = append(j.lines, text), j.size+len(text)
	}
	for j.size > logWindow {
		j.size -= len(j.lines[0])
		j.lines = j.lines[1:]
	}
}

// head is when the entry was made, and how bad it is where it says so: what a daemon prints is "info", whatever it is.
func (e journalEntry) head() string {
	head := ""
	if us, err := strconv.ParseInt(e.Time, 10, 64); err == nil {
		head = time.UnixMicro(us).Format(time.DateTime) + " "
	}
	levels := []string{"emerg", "alert", "crit", "error", "warn"}
	if n, err := strconv.Atoi(e.Priority); err == nil && n >= 0 && n < len(levels) {
		head += "[" + levels[n] + "] "
	}
	return head
}

// text is the message: a string, the bytes of what is not UTF-8, null where it is too long, or several of these.
func (e journalEntry) text() string {
	var text string
	if bytes.Equal(e.Message, []byte("null")) {
		return "(a message of more than 4 KiB)"
	}
	if json.Unmarshal(e.Message, &text) == nil {
		return text
	}
	var codes []byteNumber
	if json.Unmarshal(e.Message, &codes) == nil {
		raw := make([]byte, len(codes))
		for i, c := range codes {
			raw[i] = byte(c)
		}
		return string(raw)
	}
	var several []string
	if json.Unmarshal(e.Message, &several) == nil {
		return strings.Join(several, "\n")
	}
	return ""
}

// byteNumber is a byte that JSON has as a number: a []byte would be base64.
type byteNumber uint16
