package export

import (
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// earlier finds what a former release has at the paths of a walk. Both are sorted alike, but for a few: the entry after the last one
// found is most often the next one wanted.
type earlier struct {
	entries []release.Entry // sorted by path
	next    int
}

// find is the tag's own entry at a path, nil where there is none.
func (f *earlier) find(path string) *release.Entry {
	if f.next == len(f.entries) || f.entries[f.next].Path != path {
		var found bool
		f.next, found = slices.BinarySearchFunc(f.entries, path, func(e release.Entry, path string) int { return strings.Compare(e.Path, path) })
		if !found {
			return nil
		}
	}
	f.next++
	if e := &f.entries[f.next-1]; e.Kind == release.Tagged {
		return e
	}
	return nil
}

// holds tells whether what was at a path is the content of a blob.
func holds(was *release.Entry, id objects.ID) bool {
	if was == nil {
		return false
	}
	had, err := objects.ParseID(was.ID)
	return err == nil && had == id
}
