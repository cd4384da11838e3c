package store

import (
	"context"
	"errors"
	"path"
	"time"

	"github.com/git-rel/rel/internal/release"
)

// AwaitTick waits until the clock of the file system that the published directory releases/<id> is on has moved on from where it was
// when the last of the entries was written, by some milliseconds at most where its ticks are not longer than that. Whoever is let at
// the files only then can change none without changing its times, too. A clock that was set back is not waited for: its times differ.
func (r *Root) AwaitTick(ctx context.Context, id release.ID, entries []release.Entry) error {
	var last int64
	for _, e := range entries {
		last = max(last, e.CTime)
	}
	dir, err := r.top.Dir(path.Join(releasesName, string(id))) // which is no release yet, and is swept with all that a crash leaves in it
	if err != nil {
		return err
	}
	for {
		now, err := dir.Clock()
		if err != nil || now != last {
			return errors.Join(err, dir.Close())
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), dir.Close())
		case <-time.After(time.Millisecond):
		}
	}
}
