package gitrepo

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Commit is a commit as lists show it.
type Commit struct {
	ID      string    `json:"commit"`
	Subject string    `json:"subject"`
	Author  string    `json:"author"`
	When    time.Time `json:"when"` // the committer's time
	Merge   bool      `json:"merge,omitempty"`
}

// Log lists the commits of to that from does not have (ahead) and those of from that to does not have (back), newest first, at
// most limit of each; 0 is for all. From and to are tags or whole commit ids; an empty one has no commits. In a shallow
// repository history ends where it was cut off.
func (r *Repo) Log(ctx context.Context, from, to string, limit int) (ahead, back []Commit, err error) {
	w, err := r.newWalk()
	if err != nil {
		return nil, nil, err
	}
	for _, side := range []struct {
		name string
		mark marks
	}{{from, inFrom}, {to, inTo}} {
		id, err := r.revision(ctx, side.name)
		if err == nil && !id.IsZero() {
			err = w.reach(id, side.mark)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	enough := 0
	if from == "" || to == "" { // nothing to compare with: no need to walk further than what is asked for
		enough = limit
	}
	if err := w.run(ctx, enough); err != nil {
		return nil, nil, err
	}
	if ahead, err = r.commits(w.only(inTo), limit); err != nil {
		return nil, nil, err
	}
	back, err = r.commits(w.only(inFrom), limit)
	return ahead, back, err
}

// revision is the commit that a tag or a whole id names; zero for "".
func (r *Repo) revision(ctx context.Context, name string) (objects.ID, error) {
	if name == "" {
		return objects.ID{}, nil
	}
	if objectName.MatchString(name) {
		return objects.ParseID(name)
	}
	tag, err := r.Resolve(ctx, name)
	if err != nil {
		return objects.ID{}, err
	}
	return objects.ParseID(tag.Commit)
}

func (r *Repo) commits(ids []objects.ID, limit int) ([]Commit, error) {
	if limit > 0 && len(ids) > limit {
		ids = ids[:limit]
	}
	list := make([]Commit, 0, len(ids))
	for _, id := range ids {
		c, err := r.store.Commit(id)
		if err != nil {
			return nil, err
		}
		list = append(list, Commit{
			ID: id.String(), Subject: subject(c.Encoding, c.Message), Author: c.Author.Name, When: c.Committer.When, Merge: len(c.Parents) > 1,
		})
	}
	return list, nil
}

// head is the commit of HEAD and the branch it is on; the branch is empty where HEAD is detached. A branch without commits is
// refused.
func (r *Repo) head() (id objects.ID, branch string, err error) {
	target, err := r.store.SymbolicTarget("HEAD")
	if err != nil {
		return id, "", err
	}
	branch, _ = strings.CutPrefix(target, "refs/heads/")
	id, err = r.store.Ref("HEAD")
	if errors.Is(err, objects.ErrNoRef) {
		return id, branch, release.Errorf(release.ExitError, "%s: no commit yet", branch).Hint("git commit makes the first one")
	}
	return id, branch, err
}
