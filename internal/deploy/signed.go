package deploy

import (
	"cmp"
	"context"
	"errors"
	"path/filepath"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// judge finds out who has signed the target's tag. Where sign.require is set, a tag that nobody trusted has signed is refused,
// whatever it is wanted for and with --force too: who is trusted is no gate that a hurry may skip. Else it is only told. What was
// adopted has no tag: whoever owns the root has put it there, and no push can.
func (s *Site) judge(ctx context.Context, t *target, repo func(tag string) (*gitrepo.Repo, error)) error {
	t.Signer = t.Release.Signer
	if t.Release.Adopted || !s.Config.Sign.Require && t.Tag.Object == "" { // found in the history: no repository is needed for it
		return nil
	}
	if t.Head && s.Config.Sign.Require {
		return release.Errorf(release.ExitRefused, "%s: not signed: the head of a branch, and sign.require takes signed tags only", t.Tag.Name).
			Hint("push.branches in %s says what is staged", filepath.Join(s.Root.Dir, config.File))
	}
	if t.Head {
		return nil
	}
	trust, err := s.Trust()
	if trust == nil && err == nil {
		return nil
	}
	t.Signer = ""
	if err == nil {
		t.Signer, err = s.signer(ctx, trust, *t, repo)
	}
	if err == nil || s.Config.Sign.Require {
		return err
	}
	if !errors.Is(err, gitrepo.ErrUnsigned) {
		s.Warn(err)
	}
	return nil
}

// signer is who has signed the target's tag, as it is in the repository now.
func (s *Site) signer(ctx context.Context, trust *gitrepo.Trust, t target, repo func(tag string) (*gitrepo.Repo, error)) (string, error) {
	without := s.withoutSignature()
	git, err := repo(t.Tag.Name)
	if err != nil {
		return "", release.Errorf(release.ExitRefused, "%s: its signature cannot be verified: %w", t.Tag.Name, err).Hint("%s", without)
	}
	tag, err := git.Resolve(ctx, t.Tag.Name)
	if release.ExitCode(err) == release.ExitNotFound {
		where := git.Dir
		if remote, ok := s.Config.Remote(); ok {
			where = remote.String()
		}
		return "", release.Errorf(release.ExitRefused, "%s: the tag is gone from %s, and its signature with it", t.Tag.Name, where).
			Hint("git push %s refs/tags/%s puts it back, from a clone that has it", where, t.Tag.Name).Hint("%s", without)
	}
	if err != nil {
		return "", err
	}
	id, err := objects.ParseID(tag.Object)
	if err != nil {
		return "", err
	}
	signed, err := trust.Verify(git.Objects(), "refs/tags/"+tag.Name, id)
	if err != nil {
		return "", err
	}
	if wanted := cmp.Or(t.Release.Commit, t.Tag.Commit); signed.Commit.String() != wanted {
		return "", release.Errorf(release.ExitRefused, "%s: moved: the signed tag names %.12s, and the release is of %.12s",
			tag.Name, signed.Commit, wanted).
			Hint("rel activate --force %s takes the tag as it is now, if it was moved on purpose", tag.Name).Hint("%s", without)
	}
	return signed.Signer, nil
}
