package store

import (
	"cmp"
	"errors"
	"slices"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// What a Drift says.
const (
	DriftMissing = "missing"
	DriftContent = "content" // of a symlink: its target
	DriftMode    = "mode"    // executable or not
	DriftType    = "type"    // another kind of file
	DriftExtra   = "extra"   // not in the manifest; a directory that is not is named once, with a slash
)

// Drift is a path at which a release is not what was tagged.
type Drift struct {
	Path string `json:"path"`
	What string `json:"what"`
}

// Verify compares a release's tagged entries with what is on disk, and names what is there beside what was sealed, sorted by
// path. It believes stat data that are unchanged; with full it reads every file.
func (r *Root) Verify(id release.ID, full bool) ([]Drift, error) {
	m, err := r.Manifest(id)
	if err != nil {
		return nil, err
	}
	dir, err := disk.OpenDir(r.ReleaseDir(id))
	if err != nil {
		return nil, err
	}
	drift, err := verify(dir, m, full)
	return drift, errors.Join(err, dir.Close())
}

func verify(dir *disk.Dir, m release.Manifest, full bool) ([]Drift, error) {
	known := make(map[string]bool, len(m.Entries))
	for _, e := range m.Entries {
		known[e.Path] = true
	}
	items, err := scan(dir, func(it item) bool { return known[it.path] })
	if err != nil {
		return nil, err
	}
	var drift []Drift
	at := make(map[string]item, len(items))
	for _, it := range items {
		at[it.path] = it
		if !known[it.path] {
			drift = append(drift, Drift{slashed(it), DriftExtra})
		}
	}
	for _, e := range m.Entries {
		if e.Kind != release.Tagged {
			continue
		}
		it, ok := at[e.Path]
		what := DriftMissing
		if ok {
			if what, err = compare(dir, it, e, full); err != nil {
				return nil, err
			}
		}
		if what != "" {
			drift = append(drift, Drift{e.Path, what})
		}
	}
	slices.SortFunc(drift, func(a, b Drift) int { return cmp.Compare(a.Path, b.Path) })
	return drift, nil
}

func slashed(it item) string {
	if it.st.IsDir() {
		return it.path + "/"
	}
	return it.path
}

// compare says how an item differs from its entry; "" if it does not.
func compare(dir *disk.Dir, it item, e release.Entry, full bool) (string, error) {
	regular := func(mode uint32) bool { return mode == release.ModeFile || mode == release.ModeExec }
	mode := gitMode(it.st)
	if mode != e.Mode && !(regular(mode) && regular(e.Mode)) {
		return DriftType, nil
	}
	if mode == release.ModeDir {
		return "", nil
	}
	if full || it.touched(e) {
		if it.st.Size != e.Size {
			return DriftContent, nil
		}
		id, err := blobID(dir, e.Path, e.ID, it.st.IsLink())
		if missing(err) {
			return DriftMissing, nil // gone since it was scanned
		}
		if err != nil || id != e.ID {
			return DriftContent, err
		}
	}
	if mode != e.Mode {
		return DriftMode, nil
	}
	return "", nil
}
