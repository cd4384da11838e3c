package deploy

import (
	"errors"
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
		if given[id] {
			continue
		}
		if ok, err := r.claim(id); ok || err != nil {
			return id, err
		}
	}
}

// claim makes an id ours: hooks that gate a push make releases too, without the root's lock. Whoever marks first, and looks then,
// does not overlook the other.
func (r *run) claim(id release.ID) (bool, error) {
	if r.taken(id) {
		return false, nil
	}
	if r.gated != nil {
		if ok, err := r.beginUnaccepted(id); !ok || err != nil {
			return false, err
		}
	}
	ok, err := r.Root.Claim(id)
	if err == nil && ok && !r.taken(id) {
		return true, nil
	}
	if ok {
		err = errors.Join(err, r.Root.Unclaim(id))
	}
	if r.gated != nil {
		err = errors.Join(err, r.letGo(), r.Root.ForgetUnaccepted(id))
	}
	return false, err
}

// taken says whether there is a release of that id, or the remains of one.
func (r *run) taken(id release.ID) bool {
	paths := []string{r.Root.ReleaseDir(id), r.Root.TempDir(id), r.Root.State("manifests", string(id))}
	if r.gated == nil {
		paths = append(paths, r.Root.UnacceptedDir(id))
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			return true
		}
	}
	return false
}
