package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

const (
	historyName = "history"

	// aheadSize is how much of the history's space is allocated ahead at least, and textMax what a text of a line is cut to,
	// so that the next line always fits, even if every byte of its texts is escaped: a line may be written to a full disk.
	aheadSize = 64 << 10
	textMax   = 4 << 10
)

// history appends to .rel/history: a line of JSON for each finished run, in the order of run numbers.
type history struct {
	f    *os.File
	size int64 // up to the end of the last whole line
	last int   // the last run in it
	err  error // of a sync: nothing is appended after it
}

// openHistory opens the history in the .rel directory dir, makes it where it is missing, and mends a tail that a crash
// left. All that is in it then is synced.
func openHistory(dir string) (*history, error) {
	path := filepath.Join(dir, historyName)
	_, missing := os.Lstat(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	h := &history{f: f}
	err = h.mend()
	if err == nil && errors.Is(missing, fs.ErrNotExist) {
		err = disk.SyncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	h.allocate()
	return h, nil
}

// mend cuts off a last line that a crash tore, or ends it where only its newline is missing.
func (h *history) mend() error {
	fi, err := h.f.Stat()
	if err != nil {
		return err
	}
	end, err := lineEnd(h.f, fi.Size())
	if err != nil {
		return err
	}
	h.size = end
	if end < fi.Size() {
		tail := make([]byte, fi.Size()-end)
		if _, err := h.f.ReadAt(tail, end); err != nil {
			return err
		}
		if err := h.mendTail(tail); err != nil {
			return err
		}
	}
	if h.last, err = lastRun(h.f, h.size); err != nil {
		return err
	}
	// A line of a worker that died between write and sync is not known to last: the slot in the journal may be reused only
	// after this.
	return syncData(h.f)
}

func (h *history) mendTail(tail []byte) error {
	if _, ok := decodeLine(tail); !ok {
		return h.f.Truncate(h.size)
	}
	_, err := h.f.Write([]byte{'\n'})
	switch {
	case disk.IsFull(err):
		return h.f.Truncate(h.size) // the journal still has that run
	case err != nil:
		return err
	}
	h.size += int64(len(tail)) + 1
	return nil
}

// append writes one run's line and syncs it. After an error the history is as long as before, so that the line is neither
// torn nor there twice when it is written again.
func (h *history) append(run release.Run) error {
	if h.err != nil {
		return h.err
	}
	line, err := encodeLine(run)
	if err != nil {
		return err
	}
	if _, err := h.f.Write(line); err != nil {
		if undo := h.f.Truncate(h.size); undo != nil {
			h.err = errors.Join(err, undo)
			return h.err
		}
		h.allocate() // cutting also freed what was allocated ahead
		return err
	}
	if err := syncData(h.f); err != nil {
		h.err = errors.Join(err, h.f.Truncate(h.size))
		return h.err
	}
	h.size += int64(len(line))
	h.last = run.Run
	h.allocate()
	return nil
}

// allocate allocates the space for the next lines. Where it cannot, the append itself tells.
func (h *history) allocate() {
	fi, err := h.f.Stat()
	if err != nil || disk.Allocated(fi)-h.size >= aheadSize {
		return
	}
	_ = disk.Preallocate(h.f, (h.size/aheadSize+2)*aheadSize)
}

// encodeLine is run as a line of the history, with its newline.
func encodeLine(run release.Run) ([]byte, error) {
	run.Error, run.Note = cut(run.Error, textMax), cut(run.Note, textMax)
	line, err := json.Marshal(run)
	return append(line, '\n'), err
}

// decodeLine is the reverse; false for a line that is not a run's.
func decodeLine(line []byte) (release.Run, bool) {
	var run release.Run
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' || json.Unmarshal(line, &run) != nil || run.Run <= 0 {
		return release.Run{}, false
	}
	return run, true
}
