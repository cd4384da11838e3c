package objects

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/internal/release"
)

// brokenPacks are the errors of packs that cannot be read at all.
func (s *Store) brokenPacks() []error {
	var list []error
	if packs := s.packs.Load(); packs != nil {
		for _, p := range *packs {
			if p.broken != nil {
				list = append(list, p.broken)
			}
		}
	}
	return list
}

// DamageError is an object that is there and cannot be read, or is not what its id says.
type DamageError struct {
	ID     ID
	Path   string // of the pack or the loose object
	Offset int64  // in the pack; -1 for a loose object
	Err    error
}

// Error names object, file and offset, then the cause.
func (e *DamageError) Error() string {
	if e.Offset < 0 {
		return fmt.Sprintf("object %s: %s: %v", e.ID, e.Path, e.Err)
	}
	return fmt.Sprintf("object %s: %s, offset %d: %v", e.ID, e.Path, e.Offset, e.Err)
}

// Unwrap is the cause.
func (e *DamageError) Unwrap() error { return e.Err }

func (s *Store) damaged(id ID, path string, offset int64, cause error) error {
	if room, ok := errors.AsType[*roomError](cause); ok {
		return release.Errorf(release.ExitError, "object %s: %w", id, room)
	}
	return release.Errorf(release.ExitError, "%w", &DamageError{id, path, offset, cause}).
		Hint("git -C %s fsck --full shows what is damaged", s.gitDir).
		Hint("a pack or object file copied from a good clone into its place mends it")
}

// missing is the error for an object that is nowhere, with the reason where the repository gives one.
func (s *Store) missing(id ID) error {
	if broken := s.brokenPacks(); len(broken) > 0 {
		return release.Errorf(release.ExitError, "object %s: %w that can be read: %w", id, ErrMissing, errors.Join(broken...)).
			Hint("git -C %s fsck --full shows what is damaged", s.gitDir)
	}
	e := release.Errorf(release.ExitError, "object %s: %w in %s", id, ErrMissing, s.gitDir)
	for _, dir := range s.absent {
		e.Hint("the object directory %s does not exist; it is an alternate of %s", dir, s.ownDir())
	}
	if s.config.promisor {
		e.Hint("the repository is a partial clone: git -C %s fetch --refetch --no-filter %s gets what it left out", s.gitDir, s.config.remote)
	}
	if _, err := os.Stat(filepath.Join(s.commonDir, "shallow")); err == nil {
		e.Hint("the repository is shallow: git -C %s fetch --unshallow gets the rest of its history", s.gitDir)
	}
	if len(e.Hints) == 0 {
		e.Hint("git -C %s fsck --full shows what else is missing; git fetch from a good clone may bring it", s.gitDir)
	}
	return e
}

// ownDir names the repository's own object directory, which may be the one that is absent.
func (s *Store) ownDir() string {
	if len(s.dirs) > 0 {
		return s.dirs[0]
	}
	return s.gitDir
}
