package journal

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/git-rel/rel/internal/release"
)

const journalName = "journal"

// ErrDamaged is a journal in which no record can be read any more, though there was one.
var ErrDamaged = errors.New("no record can be read")

// rereads is how often a damaged slot is read again: a slot that is being written while it is read is whole soon, a torn
// or rotten one never.
const rereads = 8

// image is what the journal's file holds.
type image struct {
	slots [slotCount]slot
	short bool // the file is not as long as it should be
}

type slot struct {
	seq uint64
	rec Record
	err error // errEmpty, errSlot, errFormat
}

// scan reads all slots of f, which a writer may be writing.
func scan(f *os.File) (*image, error) {
	buf := make([]byte, slotCount*slotSize)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	im := &image{short: n < len(buf)}
	for i := range im.slots {
		s := &im.slots[i]
		raw := buf[i*slotSize : (i+1)*slotSize]
		s.seq, s.rec, s.err = decodeSlot(raw)
		for try := 0; errors.Is(s.err, errSlot) && try < rereads && !im.short; try++ {
			runtime.Gosched()
			if _, err := f.ReadAt(raw, int64(i)*slotSize); err != nil {
				return nil, err
			}
			s.seq, s.rec, s.err = decodeSlot(raw)
		}
	}
	return im, nil
}

// current is the index of the valid slot with the highest sequence number, -1 in a journal that was never written to.
func (im *image) current(path string) (int, error) {
	at, damaged := -1, im.short
	for i, s := range im.slots {
		switch {
		case errors.Is(s.err, errFormat):
			return -1, release.Errorf(release.ExitError, "%s: written by a later rel", path).Hint("install that version of rel here")
		case errors.Is(s.err, errSlot):
			damaged = true
		case s.err == nil && (at < 0 || s.seq > im.slots[at].seq):
			at = i
		}
	}
	if at < 0 && damaged {
		return -1, release.Errorf(release.ExitError, "%s: %w", path, ErrDamaged).Hint("rel recover puts it aside and goes by what is on the disk")
	}
	return at, nil
}

// finished are the finished runs after run number last, in order: those whose line in the history may be missing.
func (im *image) finished(last int) []pendingRun {
	byRun := map[int]pendingRun{}
	for i, s := range im.slots {
		if s.err != nil || s.rec.Phase != Finished || s.rec.Run.Run <= last {
			continue
		}
		if seen, ok := byRun[s.rec.Run.Run]; !ok || im.slots[seen.slot].seq < s.seq {
			byRun[s.rec.Run.Run] = pendingRun{slot: i, run: s.rec.Run}
		}
	}
	var pending []pendingRun
	for _, p := range byRun {
		pending = append(pending, p)
	}
	slices.SortFunc(pending, func(a, b pendingRun) int { return cmp.Compare(a.run.Run, b.run.Run) })
	return pending
}

// highestRun is the highest run number in the journal, 0 if there is none.
func (im *image) highestRun() int {
	highest := 0
	for _, s := range im.slots {
		if s.err == nil {
			highest = max(highest, s.rec.Run.Run)
		}
	}
	return highest
}

// pendingRun is a finished run that is in the journal only.
type pendingRun struct {
	slot int
	run  release.Run
}

// Read is Journal.Current for other processes: it reads the journal in the .rel directory dir and changes nothing. A
// journal that is not there has no record. The record may be one that is being synced.
func Read(dir string) (Record, bool, error) {
	im, err := readImage(dir)
	if im == nil || err != nil {
		return Record{}, false, err
	}
	at, err := im.current(filepath.Join(dir, journalName))
	if at < 0 || err != nil {
		return Record{}, false, err
	}
	return im.slots[at].rec, true, nil
}

// readImage is the journal in the .rel directory dir; nil if it is not there.
func readImage(dir string) (*image, error) {
	f, err := os.Open(filepath.Join(dir, journalName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	im, err := scan(f)
	return im, errors.Join(err, f.Close())
}

// unwritten are the finished runs in the journal of the .rel directory dir that come after run number last. A damaged
// journal has none: Read reports it.
func unwritten(dir string, last int) ([]release.Run, error) {
	im, err := readImage(dir)
	if im == nil || err != nil {
		return nil, err
	}
	var runs []release.Run
	for _, p := range im.finished(last) {
		runs = append(runs, p.run)
	}
	return runs, nil
}
