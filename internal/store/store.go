// Package store owns the root on disk: releases and their manifests, the live path, shared paths, and what hides them from git.
// Everything it changes it changes through directory descriptors that follow no link, and each change is synced before the next
// that relies on it.
//
// But for Find, Open, Live, Releases, Manifest, Verify and the paths, its calls are for the holder of the root's lock; those that make
// a release, from Claim to SealUnaccepted, also for who holds that of an unaccepted one.
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

// The modes of the live path.
const (
	ModeSymlink   = "symlink"   // a link to the live release
	ModeDirectory = "directory" // the live release itself
)

// Names in the root.
const (
	stateName    = ".rel"
	configName   = "rel.toml"
	releasesName = "releases"
	sharedName   = "shared"
)

// Names in .rel.
const (
	linksName     = "links"
	manifestsName = "manifests"
	runsName      = "runs"
	swapName      = "swap"
	idName        = "id"
)

const (
	tmpPrefix  = ".tmp-"
	gonePrefix = ".tmp-gone-"
)

// Layout is what the configuration says of the root.
type Layout struct {
	Live        string // the live path, relative to the root; "" is "current"
	Mode        string // ModeSymlink or ModeDirectory; "" is ModeSymlink
	Gap         bool   // two renames may be used where the file system can't exchange
	SharedDirs  []string
	SharedFiles []string
}

// Root is an open root.
type Root struct {
	Dir    string // absolute, links resolved
	Layout Layout
	top    *disk.Dir
	seen   seen
}

// Open opens the root at dir. It changes nothing on disk, and needs neither .rel nor releases to be there.
func Open(dir string, l Layout) (*Root, error) {
	if l.Live == "" {
		l.Live = "current"
	}
	if l.Mode == "" {
		l.Mode = ModeSymlink
	}
	if err := l.check(); err != nil {
		return nil, err
	}
	dir, err := resolveDir(dir)
	if err != nil {
		return nil, err
	}
	top, err := disk.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	return &Root{Dir: dir, Layout: l, top: top}, nil
}

// Close closes the root's descriptor.
func (r *Root) Close() error { return r.top.Close() }

// Owner is who owns the root's directory.
func (r *Root) Owner() (uid, gid int, err error) {
	st, err := r.top.Stat()
	return int(st.UID), int(st.GID), err
}

// State is the path of a file of rel's own, in .rel.
func (r *Root) State(elem ...string) string {
	return filepath.Join(append([]string{r.Dir, stateName}, elem...)...)
}

// LivePath is the path that the service runs from.
func (r *Root) LivePath() string { return filepath.Join(r.Dir, r.Layout.Live) }

// ReleasesDir is where releases are, but for the live one in mode "directory".
func (r *Root) ReleasesDir() string { return filepath.Join(r.Dir, releasesName) }

// TempDir is where a release is exported before it is published.
func (r *Root) TempDir(id release.ID) string {
	return filepath.Join(r.Dir, releasesName, tmpPrefix+string(id))
}

// ReleaseDir is where a release is now: releases/<id>, or in mode "directory" the live path while it is live.
func (r *Root) ReleaseDir(id release.ID) string {
	at := filepath.Join(r.Dir, releasesName, string(id))
	if r.Layout.Mode != ModeDirectory || isDir(at) {
		return at
	}
	m, err := r.header(id)
	if err != nil {
		return at // it is no release: where it would be is all that can be said
	}
	for _, other := range []string{r.LivePath(), r.State(swapName)} {
		if ident, err := disk.Identify(other); err == nil && ident.Same(identOf(m)) {
			return other
		}
	}
	return at
}

// shared is all shared paths.
func (l Layout) shared() []string {
	return append(append([]string{}, l.SharedDirs...), l.SharedFiles...)
}

func (l Layout) check() error {
	if l.Mode != ModeSymlink && l.Mode != ModeDirectory {
		return release.Errorf(release.ExitError, "live.mode: %q is not a mode", l.Mode).Hint(`mode is "symlink" or "directory"`)
	}
	if err := inside("live.path", l.Live); err != nil {
		return err
	}
	for _, taken := range []string{stateName, releasesName, sharedName, configName, ".git"} {
		if within(l.Live, taken) || within(taken, l.Live) {
			return release.Errorf(release.ExitError, "live.path: %q: %s is rel's or git's own", l.Live, taken)
		}
	}
	all := l.shared()
	for i, p := range all {
		if err := inside("shared", p); err != nil {
			return err
		}
		for j, other := range all {
			if i != j && within(p, other) {
				return release.Errorf(release.ExitError, "shared: %q lies in %q, or is named twice", p, other)
			}
		}
	}
	return nil
}

// inside refuses a configured path that is not plainly inside the directory it is relative to.
func inside(key, p string) error {
	if p == "" || p == "." || path.Clean(p) != p || path.IsAbs(p) || p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "\x00") {
		return release.Errorf(release.ExitError, "%s: %q is not a plain relative path", key, p)
	}
	return nil
}

// within is true where p is dir or lies beneath it; both are clean.
func within(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// manifests opens .rel/manifests.
func (r *Root) manifests() (*disk.Dir, error) {
	return r.top.Dir(path.Join(stateName, manifestsName))
}

// resolveDir makes dir absolute and resolves its links.
func resolveDir(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if errors.Is(err, os.ErrNotExist) {
		return "", release.Errorf(release.ExitUsage, "%s: no such directory", dir)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if !isDir(real) {
		return "", release.Errorf(release.ExitUsage, "%s: not a directory", dir)
	}
	return real, nil
}

func isDir(p string) bool {
	st, err := os.Lstat(p)
	return err == nil && st.IsDir()
}

func isFile(p string) bool {
	st, err := os.Stat(p)
	return err == nil && st.Mode().IsRegular()
}

func identOf(m release.Release) disk.Ident { return disk.Ident{Inode: m.Inode, Birth: m.Birth} }

func missing(err error) bool { return errors.Is(err, os.ErrNotExist) }

func ignoreMissing(err error) error {
	if missing(err) {
		return nil
	}
	return err
}
