package deploy

import (
	"context"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

// Diff is what lies between two releases.
type Diff struct {
	From    string           `json:"from"`
	To      string           `json:"to"`
	Comes   []gitrepo.Commit `json:"comes"` // commits of To that From has not
	Goes    []gitrepo.Commit `json:"goes"`  // commits of From that To has not
	Changes []gitrepo.Change `json:"changes"`
}

// diffCommits is how many commits a diff names at most, each way.
const diffCommits = 1000

// Diff compares two tags: from is by default what is live, to the newest tag.
func (s *Site) Diff(ctx context.Context, from, to string) (Diff, error) {
	diff := Diff{}
	repo, err := s.Repo()
	if err != nil {
		return diff, err
	}
	defer repo.Close()
	v, err := s.peek()
	if err != nil {
		return diff, err
	}
	if to == "" {
		if to, err = s.newest(ctx, repo, v.Ledger); err != nil {
			return diff, err
		}
	}
	target, err := repo.Resolve(ctx, to)
	if err != nil {
		return diff, err
	}
	source := v.Live.Commit
	diff.From, diff.To = v.Live.Tag, target.Name
	if from != "" {
		tag, err := repo.Resolve(ctx, from)
		if err != nil {
			return diff, err
		}
		diff.From, source = tag.Name, tag.Commit
	}
	if source == "" {
		return diff, release.Errorf(release.ExitNotFound, "nothing is live to compare %s with", to).
			Hint("rel diff FROM TO compares two tags")
	}
	if diff.Comes, diff.Goes, err = repo.Log(ctx, source, target.Commit, diffCommits); err != nil {
		return diff, err
	}
	changes, err := repo.Changes(ctx, source, target.Commit)
	diff.Changes = append([]gitrepo.Change{}, changes...)
	return diff, err
}
