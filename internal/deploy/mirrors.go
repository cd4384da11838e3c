package deploy

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// mirrorDirs are the directories of all mirrors that there are: of repo in .rel/repo, of submodules in .rel/modules.
func (s *Site) mirrorDirs() ([]string, error) {
	var dirs []string
	for _, above := range []string{s.repoMirrors(), s.moduleMirrors()} {
		entries, err := os.ReadDir(above)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			dirs = append(dirs, filepath.Join(above, entry.Name()))
		}
	}
	return dirs, nil
}

func (s *Site) repoMirrors() string   { return s.Root.State("repo") }
func (s *Site) moduleMirrors() string { return s.Root.State("modules") }

// repackMirrors puts the packs together that fetches have left. A rollback that wants the lock is not kept waiting.
func (r *run) repackMirrors(ctx context.Context) error {
	dirs, err := r.mirrorDirs()
	if err != nil {
		return err
	}
	mirror := r.mirror(r.hold.File)
	for _, mirror.Dir = range dirs {
		if filepath.Ext(mirror.Dir) != ".git" {
			continue // a crash left it half made
		}
		if err := mirror.Repack(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// pruneMirrors removes the mirrors that nothing on disk comes from but the releases that are gone, or, in a dry run, names them: by
// their paths in the root.
func (s *Site) pruneMirrors(ctx context.Context, gone []release.ID, dryRun bool) ([]string, error) {
	pruned := []string{}
	dirs, err := s.mirrorDirs()
	if err != nil || len(dirs) == 0 {
		return pruned, err
	}
	needed, all := s.neededModules(ctx, gone)
	if remote, ok := s.Config.Remote(); ok {
		needed = append(needed, s.mirrorDir(remote))
	}
	mirror := s.mirror(nil)
	for _, mirror.Dir = range dirs {
		if slices.Contains(needed, mirror.Dir) || all && filepath.Dir(mirror.Dir) == s.moduleMirrors() {
			continue
		}
		if !dryRun {
			if err := mirror.Remove(); err != nil {
				return pruned, err
			}
		}
		name, err := filepath.Rel(s.Root.Dir, mirror.Dir)
		if err != nil {
			return pruned, err
		}
		pruned = append(pruned, name)
	}
	return pruned, nil
}

// neededModules are the mirrors of submodules that an export of a release on disk would read. Where that cannot be told all are needed.
func (s *Site) neededModules(ctx context.Context, gone []release.ID) (needed []string, all bool) {
	if s.Config.Export.Submodules != export.SubmodulesFetch {
		return nil, false
	}
	repo, err := s.Repo()
	if err != nil {
		return nil, true
	}
	defer repo.Close()
	modules, err := s.modules(nil, func(string, release.Remote) bool {
		all = true // what is in it is not known
		return false
	})
	if err != nil {
		return nil, true
	}
	defer modules.Close()
	releases, err := s.Root.Releases()
	if err != nil {
		return nil, true
	}
	for _, one := range releases {
		id, err := objects.ParseID(one.Commit)
		if err != nil || slices.Contains(gone, one.ID) {
			continue // without a commit it was adopted
		}
		_, err = export.Survey(ctx, s.source(repo, modules, id, one.Tag))
		if err != nil && !s.neverMirrored(repo, one.Commit) {
			return nil, true
		}
	}
	return modules.Opened(), all
}
