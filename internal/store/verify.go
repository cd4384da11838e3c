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

// Report is what a look at a release found.
type Report struct {
	Drift []Drift // sorted by path
	Read  int     // files and links whose content was read
	Bytes int64   // of it
}

// Verify compares a release's tagged entries with what is on disk, and names what is there beside what was sealed. It believes
// stat data that are unchanged; with full it reads every file.
func (r *Root) Verify(id release.ID, full bool) (Report, error) {
	m, err := r.Manifest(id)
	if err != nil {
		return Report{}, err
	}
	return r.VerifyAs(m, full)
}

// VerifyAs is Verify by a manifest that need not be one of a release.
func (r *Root) VerifyAs(m release.Manifest, full bool) (Report, error) {
	dir, err := disk.OpenDir(r.ReleaseDir(m.ID))
	if err != nil {
		return Report{}, err
	}
	v := verifier{dir: dir, written: m.Written, full: full}
	err = v.verify(m.Entries)
	return v.Report, errors.Join(err, dir.Close())
}

// verifier is one Verify under way.
type verifier struct {
	Report
	dir     *disk.Dir
	written int64
	full    bool
}

func (v *verifier) verify(entries []release.Entry) error {
	known := make(map[string]bool, len(entries))
	for _, e := range entries {
		known[e.Path] = true
	}
	items, err := scan(v.dir, func(it item) bool { return known[it.path] })
	if err != nil {
		return err
	}
	at := make(map[string]item, len(items))
	for _, it := range items {
		at[it.path] = it
		if !known[it.path] {
			v.Drift = append(v.Drift, Drift{slashed(it), DriftExtra})
		}
	}
	for _, e := range entries {
		if e.Kind != release.Tagged {
			continue
		}
		it, ok := at[e.Path]
		what := DriftMissing
		if ok {
			if what, err = v.compare(it, e); err != nil {
				return err
			}
		}
		if what != "" {
			v.Drift = append(v.Drift, Drift{e.Path, what})
		}
	}
	slices.SortFunc(v.Drift, func(a, b Drift) int { return cmp.Compare(a.Path, b.Path) })
	return nil
}

func slashed(it item) string {
	if it.st.IsDir() {
		return it.path + "/"
	}
	return it.path
}

// compare says how an item differs from its entry; "" if it does not.
func (v *verifier) compare(it item, e release.Entry) (string, error) {
	regular := func(mode uint32) bool { return mode == release.ModeFile || mode == release.ModeExec }
	mode := gitMode(it.st)
	if mode != e.Mode && !(regular(mode) && regular(e.Mode)) {
		return DriftType, nil
	}
	if mode == release.ModeDir {
		return "", nil
	}
	if v.full || !e.Same(it.entry(e.Kind), v.written) {
		if it.st.Size != e.Size {
			return DriftContent, nil
		}
		id, err := blobID(v.dir, e.Path, e.ID, it.st.IsLink())
		if missing(err) {
			return DriftMissing, nil // gone since it was scanned
		}
		if err != nil {
			return "", err
		}
		v.Read++
		v.Bytes += e.Size
		if id != e.ID {
			return DriftContent, nil
		}
	}
	if mode != e.Mode {
		return DriftMode, nil
	}
	return "", nil
}
