package journal

import (
	"crypto/sha256"

	"github.com/git-rel/rel/internal/release"
)

// resum makes a slot's checksum right again.
func resum(slot []byte) {
	sum := sha256.Sum256(slot[:sumOffset])
	copy(slot[sumOffset:], sum[:])
}

// flushHistory appends the finished runs that are not in the history yet. It returns nil or a *NotYetInHistory.
func (j *Journal) flushHistory() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.flush()
}

// waiting are the finished runs that are not in the history yet, oldest first.
func (j *Journal) waiting() []release.Run {
	j.mu.Lock()
	defer j.mu.Unlock()
	runs := make([]release.Run, 0, len(j.pending))
	for _, p := range j.pending {
		runs = append(runs, p.run)
	}
	return runs
}
