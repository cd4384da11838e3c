package deploy

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/git-rel/rel/internal/config"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
	"github.com/git-rel/rel/internal/ui"
)

// maxTrustFile bounds a file of signers, in bytes.
const maxTrustFile = 8 << 20

// Trust is who may sign tags, as the configuration names them; nil where it names nobody. A file that others can write to is an
// error: what it says is not what the root's owner said.
func (s *Site) Trust() (*gitrepo.Trust, error) {
	if s.Config.Sign.AllowedSigners == "" && s.Config.Sign.Keyring == "" {
		return nil, nil
	}
	signers, err := s.trustFile("sign.allowed_signers", s.Config.Sign.AllowedSigners,
		`printf 'NAME namespaces="git" %%s\n' "$(cat KEY.pub)" > %s makes one`)
	if err != nil {
		return nil, err
	}
	keyring, err := s.trustFile("sign.keyring", s.Config.Sign.Keyring, "gpg --export --armor KEY... > %s makes one")
	if err != nil {
		return nil, err
	}
	return gitrepo.NewTrust(signers, keyring)
}

// withoutSignature is the hint for whoever may decide to trust nobody.
func (s *Site) withoutSignature() string {
	return "sign.require = false in " + filepath.Join(s.Root.Dir, config.File) + " does without a signature for once"
}

// trustFile reads the file that a key of the configuration names. howTo is the hint, with a place for the path, that says how to
// make one.
func (s *Site) trustFile(key, path, howTo string) (file gitrepo.TrustFile, err error) {
	if path == "" {
		return file, nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.Root.Dir, path)
	}
	file.Path = path
	file.Data, err = s.readOurs(path)
	if err == nil {
		return file, nil
	}
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", cause.Path, cause.Err)
	}
	e := release.Errorf(release.ExitError, "%s: %w", key, err)
	e.Hints = release.Hints(err)
	if errors.Is(err, fs.ErrNotExist) {
		e.Hint(howTo, ui.Shell(path))
		if s.Config.Sign.Require {
			e.Hint("%s", s.withoutSignature())
		}
	}
	return file, e
}

// readOurs reads a file, and sees that nobody but the root's owner and root can change it.
func (s *Site) readOurs(path string) (data []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, release.Errorf(release.ExitError, "%s: not a regular file", path)
	}
	if err := s.onlyOwner(path, info); err != nil {
		return nil, err
	}
	if err := s.onlyOurs(path, path, maxLinks); err != nil {
		return nil, err
	}
	data, err = io.ReadAll(io.LimitReader(f, maxTrustFile+1))
	if err == nil && len(data) > maxTrustFile {
		err = release.Errorf(release.ExitError, "%s: larger than 8 MiB", path)
	}
	return data, err
}

// maxLinks is how many symlinks lead to a file at most, as for the kernel.
const maxLinks = 40

// onlyOurs refuses a path, which name comes to by symlinks, where others may put another file or link in its place, and one that is
// part of what is deployed. It goes on with what the path links to.
func (s *Site) onlyOurs(name, path string, links int) error {
	dir, base := filepath.Split(path) // not cleaned: after a link, ".." is not what it looks like
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	path = filepath.Join(dir, base)
	if s.deployed(path) {
		return release.Errorf(release.ExitError, "%s: part of what is deployed, and so written by those whom it is to judge", name).
			Hint("put it beside %s", filepath.Join(s.Root.Dir, config.File))
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if err := s.onlyOwner(dir, info); err != nil {
		return err
	}
	info, err = os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSymlink {
		return err
	}
	if err := s.owned(path, info); err != nil || links == 0 {
		return err
	}
	target, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(target) {
		target = dir + "/" + target
	}
	return s.onlyOurs(name, target, links-1)
}

// deployed says whether a path, without symlinks, is within a release.
func (s *Site) deployed(path string) bool {
	for _, dir := range []string{s.Root.LivePath(), filepath.Join(s.Root.Dir, "releases")} {
		if top, err := filepath.EvalSymlinks(dir); err == nil && strings.HasPrefix(path, top+"/") {
			return true
		}
	}
	return false
}

// onlyOwner refuses what somebody else than root and the root's owner can change. In a directory with the sticky bit others
// cannot replace a file.
func (s *Site) onlyOwner(path string, info os.FileInfo) error {
	sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
	if info.Mode().Perm()&0o022 != 0 && !sticky {
		return release.Errorf(release.ExitError, "%s: others than %s can write to it, and so decide whom rel trusts", path, s.Owner.Name).
			Hint("chmod go-w %s", path)
	}
	return s.owned(path, info)
}

// owned refuses what belongs to somebody else than root and the root's owner.
func (s *Site) owned(path string, info os.FileInfo) error {
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && st.Uid != s.Owner.UID {
		return release.Errorf(release.ExitError, "%s: belongs to user %d, and only %s and root are to decide whom rel trusts", path, st.Uid, s.Owner.Name).
			Hint("chown -h %s %s", s.Owner.Name, path)
	}
	return nil
}
