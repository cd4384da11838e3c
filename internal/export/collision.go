package export

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/git-rel/rel/internal/release"
)

// collision explains why a path could not be made: where it is there already, the tree has another that this file system takes for
// the same, by case or by how its letters are composed.
func (w *writer) collision(p string, err error) error {
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	other := ""
	look := func(q string) {
		if q != p && fold(q) == fold(p) {
			other = q
		}
	}
	for _, d := range w.plan.dirs {
		look(d)
	}
	for _, f := range w.plan.files {
		look(f.path)
	}
	for _, l := range w.plan.links {
		look(l.path)
	}
	if other == "" {
		return release.Errorf(release.ExitRefused, "%s: %w, made by another program", shown(p), os.ErrExist)
	}
	return release.Errorf(release.ExitRefused, "%s and %s: one name on this file system: %w", shown(p), shown(other), os.ErrExist).
		Hint("rename one of them in the repository, or use a file system that tells case apart")
}

// fold makes one text of all those that some file system takes for one name.
func fold(s string) string { return strings.ToLower(norm.NFC.String(s)) }

// cause is what the system said, without the call and the path that os puts before it.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}
