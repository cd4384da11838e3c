package deploy

import (
	"context"
	"path/filepath"
	"slices"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/release"
)

// State is what a tag or a release is to the root, as rel list shows it.
type State string

// The states of tags and releases.
const (
	IsLive     State = "live"
	IsPrevious State = "previous"  // where a bare rollback goes
	IsOnceLive State = "once-live" //
	IsStaged   State = "staged"    // on disk, never live
	IsRefused  State = "refused"   // on disk, and a gate said no
	IsFailed   State = "failed"    // it was reverted, or worse: chosen by name only
	IsPruned   State = "pruned"    // it was live, and is not on disk any more
	IsUnstaged State = "unstaged"  // a tag, and no more
)

// Listed is one line of rel list.
type Listed struct {
	Tag     string     `json:"tag"`
	Commit  string     `json:"commit"`
	Release release.ID `json:"release"`
	State   State      `json:"state"`
	Path    string     `json:"path"`
	Left    bool       `json:"left"`   // by a rollback: chosen by name only
	Signer  string     `json:"signer"` // of the tag, as it was verified when it was staged or went live last
}

// List is every release on disk and every tag, newest tag first, and of one tag the newest release first.
func (s *Site) List(ctx context.Context) ([]Listed, error) {
	v, err := s.peek()
	if err != nil {
		return nil, err
	}
	tags, err := s.listTags(ctx)
	switch {
	case err != nil && len(v.Releases) == 0:
		return nil, err
	case err != nil: // what is on disk can be gone back to all the same
		s.Warn(err)
	}
	rows := make([]Listed, 0, len(v.Releases)+len(tags))
	onDisk := map[string]bool{}
	for _, one := range slices.Backward(v.Releases) {
		path := filepath.Clean(s.Root.ReleaseDir(one.ID))
		row := s.listed(v, one.Tag, one.Commit, one.ID, path)
		row.Signer = v.signer(one.Tag, one.Commit, one.Signer)
		rows = append(rows, row)
		onDisk[one.Tag+"\x00"+one.Commit] = true
	}
	for _, tag := range tags {
		if !onDisk[tag.Name+"\x00"+tag.Commit] {
			rows = append(rows, s.listed(v, tag.Name, tag.Commit, "", ""))
		}
	}
	return gitrepo.OrderBy(rows, func(row Listed) string { return row.Tag }), nil
}

// listTags are the tags of the repository.
func (s *Site) listTags(ctx context.Context) ([]release.Tag, error) {
	repo, err := s.Repo()
	if err != nil {
		return nil, err
	}
	defer repo.Close()
	return s.tags(ctx, repo)
}

func (s *Site) listed(v view, tag, commit string, id release.ID, path string) Listed {
	state := v.Ledger.Tags[tag]
	same := state.Commit == commit
	row := Listed{
		Tag: tag, Commit: commit, Release: id, State: IsUnstaged, Path: path, Left: same && state.Left, Signer: v.signer(tag, commit, ""),
	}
	previous, _ := v.Ledger.Previous()
	switch {
	case id != "" && id == v.Live.ID:
		row.State = IsLive
	case id != "" && id == previous.ID:
		row.State = IsPrevious
	case same && state.Failed:
		row.State = IsFailed
	case same && state.WasLive && id == "":
		row.State = IsPruned
	case same && state.WasLive:
		row.State = IsOnceLive
	case same && state.Refused && id != "":
		row.State = IsRefused
	case id != "":
		row.State = IsStaged
	}
	return row
}

// signer is who signed the tag of a commit, as a run verified it last, or as it was when its release was made.
func (v view) signer(tag, commit, made string) string {
	if state := v.Ledger.Tags[tag]; state.Commit == commit && state.Signer != "" {
		return state.Signer
	}
	return made
}

// peek is look for commands that only show: a live path that is not rel's is shown as none, and a root that was never used
// has nothing in it.
func (s *Site) peek() (view, error) {
	if !s.Made() {
		return view{Ledger: journal.Ledger{}}, nil
	}
	live, err := s.Root.Live()
	if err != nil {
		return view{}, err
	}
	if live.Foreign == "" {
		return s.look()
	}
	var v view
	v.Releases = s.releases()
	v.Ledger, err = journal.LoadLedger(s.Root.State())
	return v, err
}
