package store

import (
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Make makes what a root needs and does not have: .rel with its directories, locks, links and reserve, releases, the directory
// that the live path lies in. In a git work tree it also hides them from git, and refuses a live path that git tracks. It needs
// room on the disk, so a rollback does not begin with it.
func (r *Root) Make() error {
	if err := r.hide(); err != nil {
		return err
	}
	for _, part := range []struct {
		rel  string
		mode os.FileMode
	}{
		{stateName, 0o755},
		{path.Join(stateName, linksName), 0o755},
		{path.Join(stateName, manifestsName), 0o755},
		{path.Join(stateName, runsName), 0o700}, // what builds and services print may be secret
		{releasesName, 0o755},
		{path.Dir(r.Layout.Live), 0o755},
	} {
		d, err := r.top.MkdirAll(part.rel, part.mode)
		if err != nil {
			return r.notMade(part.rel, err)
		}
		if err := d.Close(); err != nil {
			return err
		}
	}
	state, err := r.top.Dir(stateName)
	if err != nil {
		return err
	}
	_, reserveErr := disk.MakeReserve(r.State())
	// What was there already may be of a Make that crashed before it was synced.
	return errors.Join(makeState(state), reserveErr, state.Close(), r.top.Sync())
}

// MakeShared makes the directory of shared paths, for a root that is made on purpose: a checkout gets it with its first shared
// path only.
func (r *Root) MakeShared() error {
	d, err := r.top.MkdirAll(sharedName, 0o755)
	if err != nil {
		return r.notMade(sharedName, err)
	}
	return d.Close()
}

func makeState(state *disk.Dir) error {
	if err := makeLocks(state); err != nil {
		return err
	}
	if _, err := state.Lstat(idName); !missing(err) {
		return errors.Join(err, state.Sync())
	}
	return state.WriteFile(idName, []byte(rand.Text()+"\n"), 0o644)
}

// makeLocks makes the locks of a state directory.
func makeLocks(state *disk.Dir) error {
	for _, name := range []string{"lock", "commands.lock"} {
		// Never unlinked, never truncated: who holds the lock holds this very file.
		f, err := disk.Beneath(state.File(), name, unix.O_RDWR|unix.O_CREAT, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// ID tells this root from every other that works with the same repository, wherever it is moved to.
func (r *Root) ID() (string, error) {
	f, err := disk.Beneath(r.top.File(), path.Join(stateName, idName), unix.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, 100))
	id := strings.TrimSuffix(string(data), "\n")
	if err = errors.Join(err, f.Close()); err == nil && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || id == "" {
		err = release.Errorf(release.ExitError, "%s: it holds no id", r.State(idName)).Hint("rm %s, and rel init %s makes it anew", r.State(idName), r.Dir)
	}
	return id, err
}

// Relink makes the links ready of all releases that can be read: those that a full disk did not allow, or all after live.path has
// changed.
func (r *Root) Relink() error {
	all, unread := r.Releases()
	h, err := r.open()
	if err != nil {
		return errors.Join(unread, err)
	}
	for _, m := range all {
		err = errors.Join(err, r.readyLink(h.links, m.ID))
	}
	return errors.Join(unread, err, h.close())
}
