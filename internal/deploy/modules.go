package deploy

import (
	"context"
	"fmt"
	"os"

	"github.com/git-rel/rel/internal/export"
	"github.com/git-rel/rel/internal/gitrepo"
	"github.com/git-rel/rel/internal/release"
)

// modules are the mirrors of submodules, in .rel/modules. Fetch is asked before each fetch; only the worker of a run may say yes,
// since it has the lock. The caller closes them when what was exported from them is written.
func (s *Site) modules(hold *os.File, fetch func(path string, remote release.Remote) bool) (*gitrepo.Modules, error) {
	allow, err := s.Config.Export.AllowedRemotes()
	if err != nil {
		return nil, fmt.Errorf("export.submodule_urls: %w", err)
	}
	return &gitrepo.Modules{
		Mirror: s.mirror(hold), Dir: s.moduleMirrors(), Allow: allow, Fetch: fetch,
	}, nil
}

// openModule is how an export gets at the submodules of the tag's own repository.
func (s *Site) openModule(repo *gitrepo.Repo, modules *gitrepo.Modules) export.Opener {
	return func(ctx context.Context, sub export.Submodule) (export.Module, error) {
		base := ""
		if release.RelativeURL(sub.URL) {
			var err error
			if base, err = s.origin(ctx, repo); err != nil {
				return export.Module{}, err
			}
		}
		return openBeside(modules, base)(ctx, sub)
	}
}

// openBeside is how it gets at those of a repository with the URL base.
func openBeside(modules *gitrepo.Modules, base string) export.Opener {
	return func(ctx context.Context, sub export.Submodule) (export.Module, error) {
		repo, remote, err := modules.Open(ctx, base, sub.URL, sub.Path, sub.Commit)
		if err != nil || repo == nil {
			return export.Module{}, err
		}
		return export.Module{Store: repo.Objects(), GitDir: repo.Dir, Module: openBeside(modules, remote.String())}, nil
	}
}
