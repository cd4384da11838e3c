package deploy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// maxTrustFile bounds a file of signers, in bytes.
const maxTrustFile = 8 << 20

// judge finds out who has signed the target's tag. Where sign.require is set, a tag that nobody trusted has signed is refused,
// whatever it is wanted for and with --force too: who is trusted is no gate that a hurry may skip. Else it is only told. What was
// adopted has no tag: whoever owns the root has put it there, and no push can.
func (s *Site) judge(ctx context.Context, t *target, repo func(tag string) (*gitrepo.Repo, error)) error {
	t.Signer = t.Release.Signer
	if t.Release.Adopted || !s.Config.Sign.Require && t.Tag.Object == "" { // found in the history: no repository is needed for it
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
	without := "sign.require = false in " + filepath.Join(s.Root.Dir, "rel.toml") + " does without a signature for once"
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

// Trust is who may sign tags, as the configuration names them; nil where it names nobody. A file that others can write to is an
// error: what it says is not what the root's owner said.
func (s *Site) Trust() (*gitrepo.Trust, error) {
	if s.Config.Sign.AllowedSigners == "" && s.Config.Sign.Keyring == "" {
		return nil, nil
	}
	signers, err := s.trustFile(s.Config.Sign.AllowedSigners)
	if err != nil {
		return nil, notTrusted("sign.allowed_signers", err)
	}
	keyring, err := s.trustFile(s.Config.Sign.Keyring)
	if err != nil {
		return nil, notTrusted("sign.keyring", err)
	}
	return gitrepo.NewTrust(signers, keyring)
}

func notTrusted(key string, err error) error {
	e := release.Errorf(release.ExitError, "%s: %w", key, err)
	e.Hints = release.Hints(err)
	return e
}

// trustFile reads a file that names signers, and sees that nobody but the root's owner and root can change it.
func (s *Site) trustFile(path string) (file gitrepo.TrustFile, err error) {
	if path == "" {
		return file, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Root.Dir, path)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return file, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return file, err
	}
	if !info.Mode().IsRegular() {
		return file, release.Errorf(release.ExitError, "%s: not a regular file", path)
	}
	if err := s.onlyOurs(path, info); err != nil {
		return file, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxTrustFile+1))
	if err == nil && len(data) > maxTrustFile {
		err = release.Errorf(release.ExitError, "%s: larger than 8 MiB", path)
	}
	return gitrepo.TrustFile{Path: path, Data: data}, err
}

// onlyOurs refuses a file that others may write to or put another in the place of, and one that is part of what is deployed.
func (s *Site) onlyOurs(path string, info os.FileInfo) error {
	if err := s.onlyOwner(path, info); err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	dir, err := os.Stat(filepath.Dir(real))
	if err != nil {
		return err
	}
	for _, deployed := range []string{s.Root.LivePath(), filepath.Join(s.Root.Dir, "releases")} {
		if top, err := filepath.EvalSymlinks(deployed); err == nil && strings.HasPrefix(real, top+"/") {
			return release.Errorf(release.ExitError, "%s: part of what is deployed, and so written by those whom it is to judge", path).
				Hint("put it beside %s", filepath.Join(s.Root.Dir, "rel.toml"))
		}
	}
	return s.onlyOwner(filepath.Dir(real), dir)
}

// onlyOwner refuses what somebody else than root and the root's owner can change. In a directory with the sticky bit others
// cannot replace a file.
func (s *Site) onlyOwner(path string, info os.FileInfo) error {
	sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
	if info.Mode().Perm()&0o022 != 0 && !sticky {
		return release.Errorf(release.ExitError, "%s: others than %s can write to it, and so decide whom rel trusts", path, s.Owner.Name).
			Hint("chmod go-w %s", path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && st.Uid != s.Owner.UID {
		return release.Errorf(release.ExitError, "%s: belongs to user %d, and only %s and root are to decide whom rel trusts", path, st.Uid, s.Owner.Name).
			Hint("chown %s %s", s.Owner.Name, path)
	}
	return nil
}
