package deploy

import (
	"os"
	"time"

	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

// idLookBack is how far back runs are looked through for ids that are ahead of the clock: further than anybody stages one tag again
// and again without a pause.
const idLookBack = time.Hour

// newID is an id that no release has, or had: the history must not call two by one name. Two exports of one tag within a second get
// different seconds.
func (r *run) newID() (release.ID, error) {
	now := r.Now()
	given := map[release.ID]bool{}
	err := journal.NewestFirst(r.Root.State(), func(run release.Run) bool {
		given[run.Release] = true
		return run.Started.After(now.Add(-idLookBack))
	})
	if err != nil {
		return "", err
	}
	for at := now; ; at = at.Add(time.Second) {
		id := release.NewID(at, r.target.Tag.Name)
		if !given[id] && !r.taken(id) {
			return id, nil
		}
	}
}

// taken says whether there is a release of that id, or the remains of one.
func (s *Site) taken(id release.ID) bool {
	for _, path := range []string{s.Root.ReleaseDir(id), s.Root.TempDir(id), s.Root.State("manifests", string(id))} {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}
