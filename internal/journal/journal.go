package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// pendingMax is how many finished runs may wait for the history before no new run may begin. What is left of the slots
// lets a run alternate, so that its current record is never the one being overwritten.
const pendingMax = slotCount - 4

// Journal writes the journal and the history. Only the holder of the root's lock may have one open. Its methods may be
// called from several goroutines.
type Journal struct {
	dir  string
	path string

	mu      sync.Mutex
	f       *os.File
	err     error // the first error of a write: nothing is written after it
	seq     uint64
	at      int // the current record's slot, -1 if there is none
	cur     Record
	highest int // run number
	pending []pendingRun
	history *history
}

// Open opens the journal and the history in the .rel directory dir, makes what is missing, and appends finished runs that are
// not in the history yet. Where these still cannot be appended, Open succeeds all the same, since neither a full disk
// nor a damaged history may block the way back: the next Finish tells.
func Open(dir string) (*Journal, error) {
	j := &Journal{dir: dir, path: filepath.Join(dir, journalName)}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = create(dir)
	}
	if err != nil {
		return nil, err
	}
	j.f = f
	if err := j.load(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	// NotYetInHistory is the one error there is, and what is pending stays pending.
	_ = j.flush()
	return j, nil
}

// load reads the journal and opens the history.
func (j *Journal) load() error {
	im, err := scan(j.f)
	if err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	if j.at, err = im.current(j.path); err != nil {
		return err
	}
	if j.at >= 0 {
		j.seq, j.cur = im.slots[j.at].seq, im.slots[j.at].rec
	}
	if err := j.fill(im); err != nil {
		return fmt.Errorf("%s: %w", j.path, err)
	}
	if j.history, err = openHistory(j.dir); err != nil {
		if j.at < 0 {
			return err
		}
		// The journal knows the highest run number and keeps what finishes: a history that cannot be read must not block the
		// way back either.
		j.history = &history{err: err}
	}
	j.pending = im.finished(j.history.last)
	j.highest = max(im.highestRun(), j.history.last)
	return nil
}

// fill writes the empty slots again where a copy of the root left holes for them, or cut the file: a later write must not
// allocate.
func (j *Journal) fill(im *image) error {
	fi, err := j.f.Stat()
	if err != nil {
		return err
	}
	if fi.Size() >= slotCount*slotSize && disk.Allocated(fi) >= slotCount*slotSize {
		return nil
	}
	for i, s := range im.slots {
		if s.err == nil {
			continue
		}
		if _, err := j.f.WriteAt(make([]byte, slotSize), int64(i)*slotSize); err != nil {
			return err
		}
	}
	return j.f.Sync()
}

// create makes the journal's file: it is there whole, or not at all.
func create(dir string) (*os.File, error) {
	path := filepath.Join(dir, journalName)
	if err := disk.WriteFile(path, make([]byte, slotCount*slotSize), 0o644); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

// Reset puts a damaged journal aside as journal.damaged, over an older one of that name, and makes an empty one. It
// returns where it put it. What was in flight is lost with it: the caller goes by what is on the disk, and finishes that
// run in the new journal if its number is known from elsewhere, so that the number is not used again.
func Reset(dir string) (aside string, err error) {
	path := filepath.Join(dir, journalName)
	aside = path + ".damaged"
	if err := os.Rename(path, aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := create(dir)
	if err != nil {
		return "", err
	}
	return aside, f.Close()
}

// Close closes the journal and the history. A run in flight stays in flight.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	err := j.f.Close()
	if j.history != nil && j.history.f != nil {
		err = errors.Join(err, j.history.f.Close())
	}
	return err
}

// Current is the last record written; false in a journal that was never written to. A record of another phase than
// Finished is of a run in flight: one that crashed, if it is not the caller's own.
func (j *Journal) Current() (Record, bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cur, j.at >= 0, j.err
}

// NextRun is the number for the next run. No number is ever used again.
func (j *Journal) NextRun() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.highest + 1
}

// Write records rec durably. Where rec does not fit a slot, the long texts of its run are cut. Any error is final: what
// the disk holds is unknown then, and every later Write returns the same error. Only a record that breaks the order of
// runs, or that has more services than a slot can hold, is refused without harm.
func (j *Journal) Write(rec Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(rec)
}

func (j *Journal) write(rec Record) error {
	if j.err != nil {
		return j.err
	}
	if err := j.admit(rec); err != nil {
		return err
	}
	data, err := encodeSlot(j.seq+1, rec)
	if err != nil {
		return fmt.Errorf("%s: run %d: %w", j.path, rec.Run.Run, err)
	}
	at := j.next()
	if err := j.put(data, int64(at)*slotSize); err != nil {
		j.err = fmt.Errorf("%s: run %d, %s: %w", j.path, rec.Run.Run, rec.Phase, err)
		return j.err
	}
	j.seq, j.at, j.cur = j.seq+1, at, rec
	j.highest = max(j.highest, rec.Run.Run)
	if rec.Phase == Finished {
		j.pending = append(j.pending, pendingRun{slot: at, run: rec.Run})
	}
	return nil
}

// admit refuses records that would lose a run: of a finished run, or of a new run while another is in flight.
func (j *Journal) admit(rec Record) error {
	flying := j.at >= 0 && j.cur.Phase != Finished
	switch n := rec.Run.Run; {
	case flying && n != j.cur.Run.Run:
		return release.Errorf(release.ExitError, "run %d: run %d is not finished", n, j.cur.Run.Run).Hint("rel recover finishes or undoes it")
	case !flying && n <= j.highest:
		return fmt.Errorf("run %d: that number is used, the next is %d", n, j.highest+1)
	case !flying && len(j.pending) > pendingMax:
		return release.Errorf(release.ExitError, "%s: %d finished runs cannot be written to it", filepath.Join(j.dir, historyName), len(j.pending)).
			Hint("make space on its file system, or mend its permissions")
	}
	return nil
}

// next is the slot for the next record: never the current one, and never a pending run's, of which admit keeps free enough.
func (j *Journal) next() int {
	for i := 1; i < slotCount; i++ {
		at := (max(j.at, -1) + i + slotCount) % slotCount
		if !slices.ContainsFunc(j.pending, func(p pendingRun) bool { return p.slot == at }) {
			return at
		}
	}
	return (j.at + 1) % slotCount
}

// put overwrites a slot and syncs it. Where even overwriting takes space, the reserve gives it.
func (j *Journal) put(data []byte, offset int64) error {
	_, err := j.f.WriteAt(data, offset)
	if disk.IsFull(err) && disk.SpendReserve(j.dir) {
		_, err = j.f.WriteAt(data, offset)
	}
	if err != nil {
		return err
	}
	return syncData(j.f)
}
