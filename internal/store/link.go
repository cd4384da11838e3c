package store

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// mark makes the sign, synced, that the release of an id is being made or unmade: while it is there a directory of that name without a
// manifest is rel's to sweep. Without it the directory is kept, whatever it is: a manifest may be lost, and a live release with it.
func (r *Root) mark(links *disk.Dir, id release.ID) error {
	err := links.Symlink(r.linkText(id), tmpPrefix+string(id))
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return errors.Join(err, links.Sync())
}

// Claim makes an id the caller's, who makes a release of that name; ok is false where somebody else does. Remove, Sweep or
// DropUnaccepted undo it, and so does Unclaim.
func (r *Root) Claim(id release.ID) (ok bool, err error) {
	links, err := r.top.Dir(path.Join(stateName, linksName))
	if err != nil {
		return false, r.notMade(path.Join(stateName, linksName), err)
	}
	err = links.Symlink(r.linkText(id), tmpPrefix+string(id))
	ok = err == nil
	if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return ok, errors.Join(err, links.Close())
}

// Unclaim gives an id back of which nothing was made.
func (r *Root) Unclaim(id release.ID) error {
	links, err := r.top.Dir(path.Join(stateName, linksName))
	if err != nil {
		return err
	}
	return errors.Join(ignoreMissing(links.Remove(tmpPrefix+string(id))), links.Close())
}

// unready makes the link made ready for a release its mark, which takes no room: a full disk is pruned, too.
func (r *Root) unready(links *disk.Dir, id release.ID) error {
	err := links.Rename(string(id), links, tmpPrefix+string(id))
	if err == nil {
		return links.Sync()
	}
	if missing(err) {
		err = r.mark(links, id)
	}
	if disk.IsFull(err) {
		return nil // only a crash while it is being removed would need it
	}
	return err
}

func (r *Root) readyLink(links *disk.Dir, id release.ID) error {
	name, want := string(id), r.linkText(id)
	switch text, err := links.Readlink(name); {
	case err == nil && text == want:
		return nil
	case err != nil && !missing(err):
		return fmt.Errorf("%w: rel's own links are to be here", err)
	case err != nil:
		if err := links.Symlink(want, name); err != nil {
			return err
		}
		return links.Sync()
	}
	// It leads where the live path used to be: replaced, since without it the release can't be switched to.
	tmp := tmpPrefix + name
	if err := links.Remove(tmp); err != nil && !missing(err) {
		return err
	}
	if err := links.Symlink(want, tmp); err != nil {
		return err
	}
	if err := links.Rename(tmp, links, name); err != nil {
		return err
	}
	return links.Sync()
}

// linkTarget is where the live link leads, relative to the root, by its text alone; in is false where that is outside.
func (r *Root) linkTarget(text string) (at string, in bool) {
	if filepath.IsAbs(text) {
		rel, err := filepath.Rel(r.Dir, text)
		if err != nil {
			return "", false
		}
		at = rel
	} else {
		at = path.Join(path.Dir(r.Layout.Live), text)
	}
	return at, at != ".." && !strings.HasPrefix(at, "../")
}

// linkText is what the live link to a release says: relative, so that the root can be moved.
func (r *Root) linkText(id release.ID) string {
	return relativeTo(path.Dir(r.Layout.Live), path.Join(releasesName, string(id)))
}

// relativeTo is the path to, from the directory from; both are clean and relative to the root.
func relativeTo(from, to string) string {
	if from == "." {
		return to
	}
	return strings.Repeat("../", strings.Count(from, "/")+1) + to
}

// Preview is what stands at the live path once a release is live, to be mounted over it before: the link that was made ready, or the
// mark of a release that is not sealed yet, which leads there too; in mode "directory" the release itself.
func (r *Root) Preview(id release.ID) (string, error) {
	if r.Layout.Mode == ModeDirectory {
		return r.ReleaseDir(id), nil
	}
	var err error
	for _, name := range []string{string(id), tmpPrefix + string(id)} {
		var text string
		at := r.State("links", name)
		if text, err = os.Readlink(at); err == nil && text == r.linkText(id) {
			return at, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("%s: leads elsewhere", r.State("links", string(id)))
	}
	return "", err
}
