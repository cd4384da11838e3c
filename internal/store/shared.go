package store

import (
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// LinkShared links the shared paths into the published releases/<id>, before it is built: absolute links into shared/, in place
// of what the tag itself has there. A shared directory that does not exist yet is made, with the tag's own content for it if
// there is any. A shared file that does not exist is refused before anything is changed.
func (r *Root) LinkShared(id release.ID) error {
	if len(r.Layout.shared()) == 0 {
		return nil
	}
	if err := r.sharedFilesExist(id); err != nil {
		return err
	}
	into, err := r.top.Dir(path.Join(releasesName, string(id)))
	if err != nil {
		return err
	}
	shared, err := r.top.MkdirAll(sharedName, 0o755)
	if errors.Is(err, unix.ELOOP) {
		shared, err = disk.OpenDir(r.sharedPath("")) // the operator has it elsewhere
	}
	if err != nil {
		return errors.Join(err, into.Close())
	}
	for _, p := range r.Layout.shared() {
		if err = r.linkShared(into, shared, p); err != nil {
			break
		}
	}
	return errors.Join(err, shared.Close(), into.Close())
}

// sharedFilesExist refuses, all at once, shared files that are not there: they are never made empty.
func (r *Root) sharedFilesExist(id release.ID) error {
	var absent []string
	for _, p := range r.Layout.SharedFiles {
		switch st, err := os.Stat(r.sharedPath(p)); {
		case missing(err):
			absent = append(absent, p)
		case err != nil:
			return err
		case !st.Mode().IsRegular():
			return release.Errorf(release.ExitRefused, "%s: not a regular file, though shared.files names it", r.sharedPath(p))
		}
	}
	if len(absent) == 0 {
		return nil
	}
	for i, p := range absent {
		absent[i] = path.Join(sharedName, p)
	}
	err := release.Errorf(release.ExitRefused, "%s: no such shared file", strings.Join(absent, ", "))
	return err.Hint("rel never makes one empty: put it at %s", strings.Join([]string{r.Dir, absent[0]}, "/"))
}

func (r *Root) linkShared(into, shared *disk.Dir, p string) error {
	parent, err := into.MkdirAll(path.Dir(p), 0o755)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return release.Errorf(release.ExitRefused, "%s: the tag has a link or a file above this shared path", p).
			Hint("take it out of [shared] in rel.toml, or out of the repository")
	}
	if err != nil {
		return err
	}
	err = r.linkInto(parent, shared, p)
	return errors.Join(err, parent.Close())
}

func (r *Root) linkInto(parent, shared *disk.Dir, p string) error {
	name, target := path.Base(p), r.sharedPath(p)
	st, err := parent.Lstat(name)
	if err != nil && !missing(err) {
		return err
	}
	exists := err == nil
	if st.IsLink() && exists {
		if text, err := parent.Readlink(name); err != nil || text == target {
			return err
		}
	}
	if slices.Contains(r.Layout.SharedDirs, p) {
		if err := r.makeShared(parent, shared, p, exists && st.IsDir()); err != nil {
			return err
		}
	}
	if err := parent.RemoveAll(name); err != nil {
		return err
	}
	if err := parent.Symlink(target, name); err != nil {
		return err
	}
	return parent.Sync()
}

// makeShared makes a shared directory that does not exist yet, of the release's own where it has one.
func (r *Root) makeShared(from, shared *disk.Dir, p string, own bool) error {
	st, err := os.Stat(r.sharedPath(p)) // may be a link that the operator made
	if err == nil && !st.IsDir() {
		return release.Errorf(release.ExitRefused, "%s: not a directory, though shared.dirs names it", r.sharedPath(p))
	}
	if !missing(err) {
		return err
	}
	name := path.Base(p)
	parent, err := shared.MkdirAll(path.Dir(p), 0o755)
	if err != nil {
		return err
	}
	if own {
		// Exported and synced with the rest: it need only be moved.
		err = from.RenameNoReplace(name, parent, name)
		if errors.Is(err, unix.EXDEV) {
			err = release.Errorf(release.ExitRefused, "%s: on another file system, so the tag's own content can't be moved there", r.sharedPath(p)).
				Hint("copy it there once by hand")
		}
	} else {
		err = parent.Mkdir(name, 0o755)
	}
	if errors.Is(err, os.ErrExist) { // by a hook that gates a push, or by a run beside this one
		return parent.Close()
	}
	if err == nil {
		err = errors.Join(parent.Sync(), from.Sync())
	}
	return errors.Join(err, parent.Close())
}
