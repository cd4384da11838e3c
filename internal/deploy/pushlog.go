package deploy

import (
	"errors"
	"sync"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// pushLog tells whoever pushes what is made of that, as it happens.
type pushLog struct {
	mu     sync.Mutex
	tell   func(release.Event)
	failed bool
}

// Emit tells one event.
func (l *pushLog) Emit(e release.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.Time = time.Now()
	l.failed = l.failed || e.Kind == release.EventFail
	l.tell(e)
}

// Close has nothing to close.
func (l *pushLog) Close() error { return nil }

// end lets go of what was made, and removes it where a gate has said no, or nobody would adopt it.
func (l *pushLog) end(runs []*run, err error) error {
	for _, r := range runs {
		var dropped error
		if r.gated.lock != nil && (err != nil || !r.gated.one.Ready) {
			dropped = errors.Join(r.hold.Close(), r.dropHeld(r.gated.one.ID))
			r.hold = nil
		}
		r.warn(errors.Join(dropped, r.letGo()))
	}
	if err == nil {
		return nil
	}
	if !l.failed {
		l.Emit(release.Event{Kind: release.EventFail, Step: release.StepGate, Text: err.Error(), Hints: release.Hints(err)})
	}
	l.Emit(release.Event{Kind: release.EventNote, Step: release.StepGate, Text: "rejected: git takes nothing of this push in"})
	return err
}
