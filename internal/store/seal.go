package store

import (
	"cmp"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Seal makes the published, linked and built directory releases/<id> a release. m holds what is known of it and its tagged
// entries; Seal adds what the build made and the links to shared paths, syncs them, counts, makes the link ready and writes the
// manifest, after which it is a release, whatever crashes. A tagged file that the build has changed stays as the tag had it, and
// so is drift from the first.
func (r *Root) Seal(m *release.Manifest) error {
	return r.sealWith(m, r.writeManifest)
}

// sealWith completes the manifest and has it written.
func (r *Root) sealWith(m *release.Manifest, write func(*handles, release.Manifest) error) error {
	h, err := r.open()
	if err != nil {
		return err
	}
	err = r.seal(h, m)
	if err == nil {
		err = write(h, *m)
	}
	return errors.Join(err, h.close())
}

func (r *Root) seal(h *handles, m *release.Manifest) error {
	dir, err := h.releases.Dir(string(m.ID))
	if err != nil {
		return err
	}
	err = r.complete(h, dir, m)
	return errors.Join(err, dir.Close())
}

// complete fills in m what the directory tells, and syncs what was not synced by the export.
func (r *Root) complete(h *handles, dir *disk.Dir, m *release.Manifest) error {
	// An owner that is not root needs to write to a directory to rename it elsewhere, and a build may have taken that away.
	st, err := dir.Stat()
	if err != nil {
		return err
	}
	if st.Mode&0o700 != 0o700 {
		if err := h.releases.Chmod(string(m.ID), os.FileMode(st.Mode&0o777|0o700)); err != nil {
			return err
		}
	}
	items, err := scan(dir, everywhere)
	if err != nil {
		return err
	}
	added, err := r.merge(dir, m, items)
	if err != nil {
		return err
	}
	m.Inode, m.Birth = st.Inode, st.Birth
	m.Files, m.Bytes = 0, 0
	for _, e := range m.Entries {
		if e.Kind == release.Tagged && e.Mode != release.ModeDir {
			m.Files++
			m.Bytes += e.Size
		}
	}
	return syncAll(dir, added)
}

// merge completes m's entries from what is on disk, and returns what is not the tag's.
func (r *Root) merge(dir *disk.Dir, m *release.Manifest, items []item) (added []item, err error) {
	shared := r.sharedLinks(dir, items)
	underShared := func(p string) bool {
		return slices.ContainsFunc(shared, func(s string) bool { return within(p, s) })
	}
	at := make(map[string]item, len(items))
	for _, it := range items {
		at[it.path] = it
	}
	tagged := make(map[string]bool, len(m.Entries))
	entries := make([]release.Entry, 0, len(items))
	for _, e := range m.Entries {
		if underShared(e.Path) {
			continue // the tag's own content for it went when it was linked
		}
		e.Kind = release.Tagged
		if it, ok := at[e.Path]; ok && e.Inode == 0 && e.Mode == gitMode(it.st) && e.ID != "" {
			id, err := blobID(dir, e.Path, e.ID, it.st.IsLink())
			if err != nil {
				return nil, err
			}
			if id == e.ID {
				it.stamp(&e)
			}
		}
		tagged[e.Path] = true
		entries = append(entries, e)
	}
	for _, it := range items {
		switch {
		case tagged[it.path]:
			continue
		case underShared(it.path):
			entries = append(entries, it.entry(release.Shared))
		default:
			entries = append(entries, it.entry(release.Built))
		}
		added = append(added, it)
	}
	slices.SortFunc(entries, func(a, b release.Entry) int { return cmp.Compare(a.Path, b.Path) })
	m.Entries = entries
	return added, nil
}

// sharedLinks are those shared paths that are links to their place in shared/.
func (r *Root) sharedLinks(dir *disk.Dir, items []item) []string {
	var links []string
	for _, it := range items {
		if !it.st.IsLink() || !slices.Contains(r.Layout.shared(), it.path) {
			continue
		}
		parent, err := dir.Dir(path.Dir(it.path))
		if err != nil {
			continue // changed since it was scanned: it is not what LinkShared made
		}
		text, err := parent.Readlink(path.Base(it.path))
		if errors.Join(err, parent.Close()) == nil && text == r.sharedPath(it.path) {
			links = append(links, it.path)
		}
	}
	return links
}

// writeManifest makes a release of what is on disk as m says.
func (r *Root) writeManifest(h *handles, m release.Manifest) error {
	data, err := encodeManifest(m)
	if err != nil {
		return err
	}
	if err := r.readyLink(h.links, m.ID); err != nil {
		return err
	}
	manifests, err := r.manifests()
	if err != nil {
		return err
	}
	err = errors.Join(manifests.WriteFile(string(m.ID), data, 0o644), manifests.Close())
	if err != nil {
		return err
	}
	return ignoreMissing(h.links.Remove(tmpPrefix + string(m.ID)))
}

// syncEach bounds how many files are synced one by one: beyond it one sync of the file system takes less time.
const syncEach = 200

// syncAll makes items and the directories that they are in durable.
func syncAll(dir *disk.Dir, items []item) error {
	if len(items) > syncEach {
		if err := disk.SyncFS(dir.File()); !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	dirs := map[string]bool{".": true}
	for _, it := range items {
		dirs[path.Dir(it.path)] = true
		switch {
		case it.st.IsDir():
			dirs[it.path] = true
		case it.st.IsRegular():
			err := syncPath(dir, it.path, unix.O_RDONLY|unix.O_NONBLOCK)
			if errors.Is(err, os.ErrPermission) { // a file that its owner may not read can't be opened to be synced
				return disk.SyncFS(dir.File())
			}
			if err != nil {
				return err
			}
		}
	}
	deepestFirst := make([]string, 0, len(dirs))
	for d := range dirs {
		deepestFirst = append(deepestFirst, d)
	}
	slices.SortFunc(deepestFirst, func(a, b string) int { return cmp.Compare(strings.Count(b, "/"), strings.Count(a, "/")) })
	for _, d := range deepestFirst {
		if err := syncPath(dir, d, unix.O_RDONLY|unix.O_DIRECTORY); err != nil {
			return err
		}
	}
	return nil
}

func syncPath(dir *disk.Dir, p string, flags int) error {
	f, err := disk.Beneath(dir.File(), p, flags, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (r *Root) sharedPath(p string) string { return filepath.Join(r.Dir, sharedName, p) }
