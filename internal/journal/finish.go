package journal

import (
	"fmt"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// NotYetInHistory is a warning, not a failure: the run is finished and synced in the journal, and its line in the history
// is written as soon as that can be. Whoever reads the history through this package is given the run already.
type NotYetInHistory struct {
	Run int // the oldest run that waits
	Err error
}

func (e *NotYetInHistory) Error() string {
	return fmt.Sprintf("run %d: finished, but not yet in the history: %v", e.Run, e.Err)
}

func (e *NotYetInHistory) Unwrap() error { return e.Err }

// Finish ends the run in flight: run is its outcome, as history will tell it. The journal has it first, synced, then the
// history. A *NotYetInHistory is a warning; any other error means that the run is not finished.
func (j *Journal) Finish(run release.Run) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	rec := Record{Run: run, Phase: Finished, Step: j.cur.Step, Boot: j.cur.Boot, PID: j.cur.PID, Start: j.cur.Start}
	if err := j.write(rec); err != nil {
		return err
	}
	return j.flush()
}

func (j *Journal) flush() error {
	for len(j.pending) > 0 {
		run := j.pending[0].run
		err := j.history.append(run)
		if disk.IsFull(err) && disk.SpendReserve(j.dir) {
			err = j.history.append(run)
		}
		if err != nil {
			return &NotYetInHistory{Run: run.Run, Err: err}
		}
		j.pending = j.pending[1:]
	}
	return nil
}
