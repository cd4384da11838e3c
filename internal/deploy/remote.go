package deploy

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/proc"
	"github.com/git-rel/rel/internal/release"
)

// mirror is what a fetch from elsewhere has in common with all others.
func (s *Site) mirror(hold *os.File) gitrepo.Mirror {
	return gitrepo.Mirror{Env: proc.Environment(s.Owner, s.Config.Env), Hold: hold, Timeout: s.Config.FetchTimeout.Duration}
}

// mirrorDir is where the mirror of a repository that is elsewhere is, once something was fetched: each address has one of its own, so
// that no tag of one is ever taken for another's.
func (s *Site) mirrorDir(remote release.Remote) string {
	return filepath.Join(s.repoMirrors(), gitrepo.MirrorName(remote))
}

// mirrored is the mirror that tags come from; an error where nothing was fetched yet.
func (s *Site) mirrored(remote release.Remote) (string, error) {
	dir := s.mirrorDir(remote)
	_, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", release.Errorf(release.ExitError, "%s: nothing has been fetched from it yet", remote).
			Hint("rel stage fetches its tags and makes a release of the newest; rel activate TAG fetches that tag and puts it live")
	}
	return dir, err
}

// neverMirrored tells whether the repository is a mirror that a commit never came into: it was removed since and made anew, or the
// address is another.
func (s *Site) neverMirrored(repo *gitrepo.Repo, commit string) bool {
	if _, ok := s.Config.Remote(); !ok {
		return false
	}
	id, err := objects.ParseID(commit)
	if err != nil {
		return false
	}
	_, err = repo.Objects().Commit(id)
	return errors.Is(err, objects.ErrMissing)
}

// opener opens the repository for a tag, or for the choice among all of them where it is "". Of one that is elsewhere they are
// fetched before that.
func (r *run) opener(ctx context.Context) func(tag string) (*gitrepo.Repo, error) {
	return func(tag string) (*gitrepo.Repo, error) {
		if remote, ok := r.Config.Remote(); ok {
			if err := r.fetchTags(ctx, remote, tag); err != nil {
				return nil, err
			}
		}
		return r.open()
	}
}

// fetchTags brings the mirror up to date. Where the remote cannot be asked, what was fetched before has to do. A rollback asks only
// for what is not here: the way back depends on nobody.
func (r *run) fetchTags(ctx context.Context, remote release.Remote, tag string) error {
	mirror := r.mirror(r.hold.File)
	mirror.Dir, mirror.Remote = r.mirrorDir(remote), remote
	held, err := mirror.HoldsTag(tag)
	if err != nil {
		return err
	}
	if held && r.req.Command == Rollback {
		return nil
	}
	err = mirror.FetchTags(ctx, tag)
	if err == nil || !held || ctx.Err() != nil {
		return err
	}
	r.note("%v: going by what was fetched before", err)
	return nil
}

// origin is what relative URLs of submodules begin at.
func (s *Site) origin(ctx context.Context, repo *gitrepo.Repo) (string, error) {
	if remote, ok := s.Config.Remote(); ok {
		return remote.String(), nil
	}
	return repo.Origin(ctx)
}
