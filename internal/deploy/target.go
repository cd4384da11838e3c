package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/journal"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// target is what a request wants live: a tag, and the release of it that is on disk, if one is.
type target struct {
	Tag      release.Tag
	Release  release.Release // its ID is empty where the tag must be exported
	Outdated release.ID      // a release of the tag that is on disk and was made by other settings
	OnceLive bool            // Release was live before
	Checked  string          // the digest of the gates that Release passed
	Signer   string          // of the tag, where signatures are judged
	Head     bool            // of a branch: no tag names it, and nobody can have signed that
}

// view is what the disk and the history say when a request begins.
type view struct {
	Live     release.Release // its ID is empty where nothing is live
	Ledger   journal.Ledger
	Releases []release.Release
}

// look reads what is live, what was, and what is on disk. A live path that is not rel's is an error with the remedy.
func (s *Site) look() (view, error) {
	live, err := s.Root.Live()
	if err != nil {
		return view{}, err
	}
	if live.Foreign != "" {
		return view{}, s.Root.Refuse(live)
	}
	var v view
	v.Releases = s.releases()
	if v.Ledger, err = journal.LoadLedger(s.Root.State()); err != nil {
		return v, err
	}
	if i := slices.IndexFunc(v.Releases, func(r release.Release) bool { return r.ID == live.ID }); i >= 0 {
		v.Live = v.Releases[i]
	} else if live.ID != "" { // its manifest cannot be read: Releases told
		v.Live = release.Release{ID: live.ID}
		for _, item := range v.Ledger.Stack {
			if item.ID == live.ID {
				v.Live.Tag, v.Live.Commit = item.Tag, item.Commit
			}
		}
	}
	v.Ledger.Observe(v.Live.ID, v.Live.Tag, v.Live.Commit)
	return v, nil
}

// releases are those on disk. One whose manifest cannot be read must not block the way back to the others.
func (s *Site) releases() []release.Release {
	releases, err := s.Root.Releases()
	if err != nil {
		s.Warn(err)
	}
	return releases
}

// tags are the tags of a repository that can be read.
func (s *Site) tags(ctx context.Context, repo *gitrepo.Repo) ([]release.Tag, error) {
	tags, err := repo.Tags(ctx)
	if err == nil || len(tags) == 0 {
		return tags, err
	}
	s.Warn(err)
	return tags, nil
}

// onDisk is the newest release of the tag's commit on disk: the last that a run made or used, as far as history tells. The time
// in an id is a clock's, which may have been set.
func (v view) onDisk(tag, commit string) release.Release {
	last := v.Ledger.Tags[tag].ID
	for _, r := range v.Releases {
		if r.ID == last && r.Commit == commit {
			return r
		}
	}
	for _, r := range slices.Backward(v.Releases) {
		if r.Tag == tag && r.Commit == commit {
			return r
		}
	}
	return release.Release{}
}

// choose finds what the request wants, and judges its signature. It reads, and decides once: what comes after works with ids. repo
// opens the repository for a tag, or for all of them where it is "". Beside an error the target has the tag that it is about, if one
// was found.
func (s *Site) choose(ctx context.Context, req Request, v view, repo func(tag string) (*gitrepo.Repo, error)) (target, error) {
	var opened *gitrepo.Repo
	once := func(tag string) (git *gitrepo.Repo, err error) {
		if opened == nil {
			opened, err = repo(tag)
		}
		return opened, err
	}
	t, err := s.find(ctx, req, v, once)
	if err == nil {
		err = s.judge(ctx, &t, once)
	}
	return t, err
}

func (s *Site) find(ctx context.Context, req Request, v view, repo func(tag string) (*gitrepo.Repo, error)) (target, error) {
	if req.Command == Rollback {
		if t, err := s.chooseEarlier(req, v); err != nil || t.Release.ID != "" {
			return t, err
		} else if t.Tag.Name != "" {
			req.Tag = t.Tag.Name
		}
	}
	git, err := repo(req.Tag)
	if err != nil {
		return target{}, err
	}
	name := req.Tag
	switch branch := req.branch(); {
	case branch != "" && req.Command == Stage:
		return s.chooseHead(git, req, v)
	case branch != "":
		name, err = s.cutHead(ctx, git, req)
		req.Object = "" // it was the branch's
	case name == "":
		name, err = s.newest(ctx, git, v.Ledger)
	}
	if err != nil {
		return target{}, err
	}
	tag, err := git.Resolve(ctx, name)
	state := v.Ledger.Tags[name]
	if release.ExitCode(err) == release.ExitNotFound && req.Command == Rollback && state.WasLive {
		tag, err = deletedTag(git, name, state.Commit, err)
	}
	if err != nil {
		return target{Tag: release.Tag{Name: name}}, err
	}
	if req.Object != "" && tag.Object != req.Object {
		return target{Tag: tag}, release.Errorf(release.ExitRefused, "%s: was pushed as %.12s, and names %.12s now", tag.Name, req.Object, tag.Object).
			Hint("somebody has moved the tag: rel activate %s takes it as it is now", tag.Name)
	}
	if state.Commit != "" && state.Commit != tag.Commit && !req.Force {
		return target{Tag: tag}, release.Errorf(release.ExitRefused, "%s: names %.12s now, and was released as %.12s",
			tag.Name, tag.Commit, state.Commit).
			Hint("cut a new tag for the new commit; or rel %s --force %s, if the tag was moved on purpose", req.Command, tag.Name)
	}
	t := target{Tag: tag}
	if req.Force {
		return t, nil // exported anew
	}
	t.Release = v.onDisk(tag.Name, tag.Commit)
	t.describe(state)
	if recipe := t.Release.Recipe; recipe != "" && recipe != s.Config.Recipe() && (req.Command != Rollback || !t.OnceLive) {
		return target{Tag: tag, Outdated: t.Release.ID}, nil // what was live is gone back to as it was
	}
	return t, nil
}

// deletedTag is a tag that is gone from the repository, while its commit, which was live once, is there still.
func deletedTag(repo *gitrepo.Repo, name, commit string, gone error) (release.Tag, error) {
	id, err := objects.ParseID(commit)
	if err != nil {
		return release.Tag{}, gone
	}
	found, err := repo.Objects().Commit(id)
	if err != nil {
		return release.Tag{}, gone
	}
	return release.Tag{Name: name, Object: commit, Commit: commit, Tree: found.Tree.String(), When: found.Committer.When}, nil
}

// describe takes over what the history knows of the target's release.
func (t *target) describe(state journal.TagState) {
	if t.Release.ID == "" || t.Release.Commit != state.Commit {
		return
	}
	t.OnceLive = state.WasLive
	if state.ID == t.Release.ID {
		t.Checked = state.Checked
	}
}

// chooseEarlier finds a rollback's target in the history. A release that is still on disk needs no repository: the way back
// works without git. Where it must be exported again only the tag's name is returned.
func (s *Site) chooseEarlier(req Request, v view) (target, error) {
	item := journal.Item{Tag: req.Tag}
	if req.Tag == "" {
		previous, ok := v.Ledger.Previous()
		if !ok || v.Live.ID == "" {
			return target{}, noPrevious(v)
		}
		item = previous
	} else if state, ok := v.Ledger.Tags[req.Tag]; ok && state.WasLive {
		item = journal.Item{Tag: req.Tag, Commit: state.Commit, ID: state.ID}
	} else if i := slices.IndexFunc(v.Releases, func(r release.Release) bool { return string(r.ID) == req.Tag }); i >= 0 {
		item = journal.Item{Tag: v.Releases[i].Tag, Commit: v.Releases[i].Commit, ID: v.Releases[i].ID} // by its id, as one that was adopted
	}
	tag := release.Tag{Name: item.Tag, Commit: item.Commit}
	if item.Commit == "" && item.ID == "" {
		return target{Tag: tag}, nil
	}
	t := target{Tag: tag, OnceLive: true}
	for _, r := range v.Releases {
		if r.ID == item.ID {
			t.Release, t.Tag.Tree = r, r.Tree
			return t, nil
		}
	}
	t.Release = v.onDisk(item.Tag, item.Commit)
	t.Tag.Tree = t.Release.Tree
	return t, nil
}

func noPrevious(v view) error {
	if v.Live.ID == "" {
		e := release.Errorf(release.ExitNotFound, "nothing is live: there is nothing to roll back")
		if n := len(v.Ledger.Stack); n > 0 {
			return e.Hint("rel activate %s puts back what was live last", v.Ledger.Stack[n-1].Tag)
		}
		return e.Hint("rel activate puts the newest tag live")
	}
	return release.Errorf(release.ExitNotFound, "%s: no release was live before it", v.Live.Tag).
		Hint("rel list shows the tags; rel rollback TAG goes to any of them")
}

// newest is what a bare activate means: the newest tag that was not left by a rollback and did not fail.
func (s *Site) newest(ctx context.Context, repo *gitrepo.Repo, ledger journal.Ledger) (string, error) {
	tags, err := s.tags(ctx, repo)
	if err != nil {
		return "", err
	}
	var names, passed []string
	for _, tag := range tags {
		if state := ledger.Tags[tag.Name]; state.Left || state.Failed {
			passed = append(passed, tag.Name)
			continue
		}
		names = append(names, tag.Name)
	}
	if len(names) == 0 && len(passed) > 0 {
		return "", release.Errorf(release.ExitNotFound, "no tag is left to choose: each was left by a rollback or failed").
			Hint("rel activate %s takes one of them by name", gitrepo.Order(passed)[0])
	}
	if len(names) == 0 {
		return "", release.Errorf(release.ExitNotFound, "%s: no tags", repo.Dir).Hint("rel cut v0.1.0 makes one")
	}
	name, err := gitrepo.Newest(names)
	if err != nil {
		return "", fmt.Errorf("choosing the newest tag: %w", err)
	}
	return name, nil
}
