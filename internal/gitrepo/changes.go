package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"path"
	"slices"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// The ways in which a file changes.
const (
	Added    = "A"
	Modified = "M" // content or executable bit
	Deleted  = "D"
	Renamed  = "R" // moved with its content unchanged
	Retyped  = "T" // between file, symlink and submodule
)

// Change is a file that differs between two commits.
type Change struct {
	Status  string `json:"status"`
	Path    string `json:"path"`
	From    string `json:"from,omitempty"` // of a renamed file, where it was
	Added   int    `json:"added"`          // lines
	Deleted int    `json:"deleted"`        // lines
	Binary  bool   `json:"binary,omitempty"`

	old, new objects.TreeEntry
}

// maxDiff is the size in bytes from which a file's lines are not counted: it is shown as binary.
const maxDiff = 4 << 20

// maxDepth bounds how deep a tree's directories are followed; no path of an exported file can be deeper.
const maxDepth = 2048

// Changes lists the files that differ between two commits, sorted by path. From and to are tags or whole commit ids; an empty one
// has no files.
func (r *Repo) Changes(ctx context.Context, from, to string) ([]Change, error) {
	d := treeDiff{ctx: ctx, store: r.store}
	var trees [2]objects.ID
	for i, name := range []string{from, to} {
		id, err := r.revision(ctx, name)
		if err != nil {
			return nil, err
		}
		if id.IsZero() {
			continue
		}
		c, err := r.store.Commit(id)
		if err != nil {
			return nil, err
		}
		trees[i] = c.Tree
	}
	if err := d.dirs("", trees[0], trees[1], 0); err != nil {
		return nil, err
	}
	changes := pairRenames(d.changes)
	for i := range changes {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := r.countLines(&changes[i]); err != nil {
			return nil, wrapf(err, "%s", changes[i].Path)
		}
	}
	return changes, nil
}

type treeDiff struct {
	ctx     context.Context
	store   *objects.Store
	changes []Change
}

// dirs compares two trees; the zero id is an empty one.
func (d *treeDiff) dirs(dir string, a, b objects.ID, depth int) error {
	if a == b {
		return nil
	}
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if depth > maxDepth {
		return release.Errorf(release.ExitError, "%.40s…: directories nested deeper than %d", dir, maxDepth)
	}
	old, err := d.read(a)
	if err != nil {
		return wrapf(err, "%s", cmp.Or(dir, "/"))
	}
	fresh, err := d.read(b)
	if err != nil {
		return wrapf(err, "%s", cmp.Or(dir, "/"))
	}
	for _, name := range sortedNames(old, fresh) {
		if err := d.entry(path.Join(dir, name), old[name], fresh[name], depth); err != nil {
			return err
		}
	}
	return nil
}

func (d *treeDiff) read(id objects.ID) (map[string]objects.TreeEntry, error) {
	if id.IsZero() {
		return nil, nil
	}
	list, err := d.store.Tree(id)
	if err != nil {
		return nil, err
	}
	entries := make(map[string]objects.TreeEntry, len(list))
	for _, e := range list {
		entries[e.Name] = e
	}
	return entries, nil
}

func sortedNames(a, b map[string]objects.TreeEntry) []string {
	names := make([]string, 0, len(a)+len(b))
	for name, e := range a {
		if e != b[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// entry compares what stands under one name; an entry without an id is not there.
func (d *treeDiff) entry(name string, a, b objects.TreeEntry, depth int) error {
	var oldTree, newTree objects.ID
	if isTree(a) {
		oldTree, a = a.ID, objects.TreeEntry{}
	}
	if isTree(b) {
		newTree, b = b.ID, objects.TreeEntry{}
	}
	c := Change{Path: name, old: a, new: b}
	switch {
	case a.ID.IsZero() && b.ID.IsZero():
	case a.ID.IsZero():
		c.Status = Added
	case b.ID.IsZero():
		c.Status = Deleted
	case fileType(a) != fileType(b):
		c.Status = Retyped
	case a.ID != b.ID || a.Mode&0o100 != b.Mode&0o100:
		c.Status = Modified
	}
	if c.Status != "" {
		d.changes = append(d.changes, c)
	}
	return d.dirs(name, oldTree, newTree, depth+1)
}

func fileType(e objects.TreeEntry) uint32 { return e.Mode & 0o170000 }

func isTree(e objects.TreeEntry) bool { return fileType(e) == release.ModeDir }

// pairRenames makes one change of a file that went and one of the same content and type that came; of several, those with the
// same base name belong together.
func pairRenames(changes []Change) []Change {
	gone := map[objects.ID][]int{}
	for i, c := range changes {
		if c.Status == Deleted && fileType(c.old) != release.ModeGitlink {
			gone[c.old.ID] = append(gone[c.old.ID], i)
		}
	}
	for _, sameBase := range []bool{true, false} {
		for i := range changes {
			c := &changes[i]
			if c.Status != Added {
				continue
			}
			at := slices.IndexFunc(gone[c.new.ID], func(j int) bool {
				o := changes[j]
				return fileType(o.old) == fileType(c.new) && (!sameBase || path.Base(o.Path) == path.Base(c.Path))
			})
			if at < 0 {
				continue
			}
			j := gone[c.new.ID][at]
			c.Status, c.From, c.old = Renamed, changes[j].Path, changes[j].old
			changes[j].Status = ""
			gone[c.new.ID] = slices.Delete(gone[c.new.ID], at, at+1)
		}
	}
	changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Status == "" })
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Path, b.Path) })
	return changes
}

func (r *Repo) countLines(c *Change) error {
	if c.old.ID == c.new.ID {
		return nil
	}
	old, big, err := r.text(c.old)
	if err != nil {
		return err
	}
	fresh, alsoBig, err := r.text(c.new)
	if err != nil {
		return err
	}
	if big || alsoBig || isBinary(old) || isBinary(fresh) {
		c.Binary = true
		return nil
	}
	c.Added, c.Deleted = countChanges(splitLines(old), splitLines(fresh))
	return nil
}

// text is a file's content; nothing for one that is not there and for a submodule.
func (r *Repo) text(e objects.TreeEntry) (data []byte, big bool, err error) {
	if e.ID.IsZero() || fileType(e) == release.ModeGitlink {
		return nil, false, nil
	}
	_, size, err := r.store.Header(e.ID)
	if err != nil || size > maxDiff {
		return nil, true, err
	}
	o, err := r.store.Read(e.ID)
	return o.Data, false, err
}

// isBinary is git's guess.
func isBinary(data []byte) bool { return bytes.IndexByte(data[:min(len(data), 8000)], 0) >= 0 }
