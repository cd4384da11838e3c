package store

import (
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Live is what the disk says of the live path: exactly one of ID, Absent and Foreign is set.
type Live struct {
	ID      release.ID
	Absent  bool
	Foreign string   // why rel can't take what is there for a release: "a directory that rel did not make"
	remedy  []string // hints
}

const adoptHint = "rel init --adopt makes what is there a release"

// Live looks at the live path.
func (r *Root) Live() (Live, error) {
	parent, err := r.top.Dir(path.Dir(r.Layout.Live))
	if missing(err) {
		return Live{Absent: true}, nil
	}
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOTDIR) {
		return Live{Foreign: "a directory above it is a link or a file", remedy: []string{"live.path in rel.toml must lead through real directories"}}, nil
	}
	if err != nil {
		return Live{}, err
	}
	l, err := r.lookAt(parent, path.Base(r.Layout.Live))
	return l, errors.Join(err, parent.Close())
}

func (r *Root) lookAt(parent *disk.Dir, name string) (Live, error) {
	st, err := parent.Lstat(name)
	switch {
	case missing(err):
		return Live{Absent: true}, nil
	case err != nil:
		return Live{}, err
	case st.IsDir() && r.Layout.Mode == ModeDirectory:
		return r.liveDirectory(st.Ident)
	case st.IsLink() && r.Layout.Mode == ModeSymlink:
		return r.liveLink(parent, name)
	case st.IsDir():
		return Live{Foreign: "a directory that rel did not make, where live.mode wants a symlink", remedy: []string{adoptHint}}, nil
	case st.IsLink():
		return Live{Foreign: "a symlink, where live.mode wants a directory", remedy: []string{adoptHint}}, nil
	}
	return Live{Foreign: "neither a directory nor a symlink", remedy: []string{"move it away: mv " + r.LivePath() + " " + r.LivePath() + ".old"}}, nil
}

// liveDirectory finds the release whose directory this is. A manifest that can't be read matters only if no other knows it.
func (r *Root) liveDirectory(ident disk.Ident) (Live, error) {
	all, err := r.headers()
	for _, m := range all {
		if identOf(m).Same(ident) {
			return Live{ID: m.ID}, nil
		}
	}
	if err != nil {
		return Live{}, err
	}
	return Live{Foreign: "a directory that no manifest knows", remedy: []string{adoptHint}}, nil
}

func (r *Root) liveLink(parent *disk.Dir, name string) (Live, error) {
	text, err := parent.Readlink(name)
	if err != nil {
		return Live{}, err
	}
	at, in := r.linkTarget(text)
	remove := "rm " + r.LivePath() + " takes it away; then activate a tag"
	if _, err := os.Stat(r.LivePath()); err != nil {
		why := "a link to " + text + ", which does not exist"
		if !missing(err) {
			why = fmt.Sprintf("a link to %s, which can't be followed: %v", text, errors.Unwrap(err))
		}
		return Live{Foreign: why, remedy: []string{remove}}, nil
	}
	if !in {
		copied := fmt.Sprintf("to adopt it, put a copy in the link's place: rm %[1]s && cp -a DIR %[1]s && rel init --adopt", r.LivePath())
		return Live{Foreign: "a link out of the root, to " + text, remedy: []string{copied, remove}}, nil
	}
	dir, id := path.Split(at)
	if _, ok := release.ID(id).Time(); dir != releasesName+"/" || !ok {
		return Live{Foreign: "a link to " + text + ", which is not a release", remedy: []string{adoptHint}}, nil
	}
	if _, err = r.header(release.ID(id)); release.ExitCode(err) == release.ExitNotFound {
		return Live{Foreign: "a link to " + text + ", a directory that has no manifest", remedy: []string{adoptHint}}, nil
	}
	// A manifest that is there and can't be read must not shut the way back: the link says which release it is.
	return Live{ID: release.ID(id)}, nil
}

// Refuse is the error, with the remedy, for a live path that rel can't take for a release; nil if it can.
func (r *Root) Refuse(l Live) error {
	if l.Foreign == "" {
		return nil
	}
	err := release.Errorf(release.ExitError, "%s: %s", r.LivePath(), l.Foreign)
	err.Hints = l.remedy
	return err
}
