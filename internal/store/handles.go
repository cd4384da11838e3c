package store

import (
	"errors"
	"path"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// handles are the directories that a change of the live path needs.
type handles struct {
	state, links, releases, live *disk.Dir
	name                         string // of the live path in live
}

// open opens the handles; close closes them. A root that was never made has a remedy.
func (r *Root) open() (*handles, error) {
	h := &handles{name: path.Base(r.Layout.Live)}
	parts := []struct {
		rel string
		dir **disk.Dir
	}{
		{stateName, &h.state},
		{path.Join(stateName, linksName), &h.links},
		{releasesName, &h.releases},
		{path.Dir(r.Layout.Live), &h.live},
	}
	for _, part := range parts {
		d, err := r.top.Dir(part.rel)
		if err != nil {
			err = r.notMade(part.rel, err)
			return nil, errors.Join(err, h.close())
		}
		*part.dir = d
	}
	return h, nil
}

// notMade says what to do about a directory of rel's that can't be opened.
func (r *Root) notMade(rel string, err error) error {
	switch at := filepath.Join(r.Dir, rel); {
	case missing(err):
		return release.Errorf(release.ExitError, "%s: no such directory", at).Hint("rel init makes or repairs the root")
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return release.Errorf(release.ExitError, "%s: it or a directory above it is a link or a file, where rel needs a directory", at).
			Hint("to have it on another file system, have the whole root there")
	}
	return err
}

func (h *handles) close() error {
	var errs []error
	for _, d := range []*disk.Dir{h.state, h.links, h.releases, h.live} {
		if d != nil {
			errs = append(errs, d.Close())
		}
	}
	return errors.Join(errs...)
}

// sync syncs every directory between which releases move.
func (h *handles) sync() error {
	for _, d := range []*disk.Dir{h.state, h.releases, h.live} {
		if err := d.Sync(); err != nil {
			return err
		}
	}
	return nil
}
