package store

import (
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// Found is a root that Find found.
type Found struct {
	Dir        string // absolute, links resolved
	Configured bool   // it has a rel.toml
	Made       bool   // it has a .rel
	WorkTree   bool   // it lies in a git work tree
	GitDir     string // of the repository that it lies in or is; "" where there is none
}

// Find finds the root: start (what -C or $REL_ROOT say) if that is not "", else the nearest directory from cwd upwards that has
// a .rel or a rel.toml and does not lie in a release, else the git work tree or bare repository around cwd.
func Find(start, cwd string) (Found, error) {
	if start != "" {
		if !filepath.IsAbs(start) {
			start = filepath.Join(cwd, start)
		}
		dir, err := resolveDir(start)
		if err != nil {
			return Found{}, err
		}
		if outer := rootOfRelease(dir); outer != "" {
			return Found{}, release.Errorf(release.ExitUsage, "%s: inside a release", start).Hint("its root is %s", outer)
		}
		return describe(dir)
	}
	cwd, err := resolveDir(cwd)
	if err != nil {
		return Found{}, err
	}
	for at := cwd; ; at = filepath.Dir(at) {
		if (isDir(filepath.Join(at, stateName)) || isFile(filepath.Join(at, configName))) && rootOfRelease(at) == "" {
			return describe(at)
		}
		if filepath.Dir(at) == at {
			break
		}
	}
	repo, ok, err := repositoryAround(cwd)
	if err != nil {
		return Found{}, err
	}
	if !ok {
		return Found{}, release.Errorf(release.ExitError, "%s: no root and no git repository here or above", cwd).
			Hint("rel init makes a root; -C DIR or REL_ROOT names one")
	}
	if repo.tree != "" {
		return describe(repo.tree)
	}
	return describe(repo.git)
}

func describe(dir string) (Found, error) {
	f := Found{Dir: dir, Configured: isFile(filepath.Join(dir, configName)), Made: isDir(filepath.Join(dir, stateName))}
	repo, ok, err := repositoryAround(dir)
	if ok {
		f.GitDir, f.WorkTree = repo.git, repo.tree != ""
	}
	return f, err
}

// rootOfRelease is the root of the release that dir is or lies in; "" if it does not lie in one. A release may hold a rel.toml,
// or be exported from a root: what is in it is no root.
func rootOfRelease(dir string) string {
	for at := filepath.Dir(dir); ; at = filepath.Dir(at) {
		if isDir(filepath.Join(at, stateName)) {
			rel, err := filepath.Rel(at, dir)
			if err == nil && inRelease(at, filepath.ToSlash(rel)) {
				return at
			}
		}
		if filepath.Dir(at) == at {
			return ""
		}
	}
}

func inRelease(root, rel string) bool {
	parts := strings.Split(rel, "/")
	if parts[0] == stateName {
		return true
	}
	if parts[0] == releasesName && len(parts) > 1 {
		_, ok := release.ID(parts[1]).Time()
		if ok || strings.HasPrefix(parts[1], tmpPrefix) {
			return true
		}
	}
	return liesInLive(root, rel)
}

// liesInLive is true where rel lies in a live directory: one whose identity a manifest knows, whatever it is called.
func liesInLive(root, rel string) bool {
	names, err := os.ReadDir(filepath.Join(root, stateName, manifestsName))
	if err != nil || len(names) == 0 {
		return false // then no release is live
	}
	r, err := Open(root, Layout{})
	if err != nil {
		return false
	}
	defer r.Close()
	all, _ := r.headers() // one that can't be read is not what makes this a release
	for at := rel; at != "."; at = path.Dir(at) {
		ident, err := disk.Identify(filepath.Join(root, at))
		if err != nil {
			continue
		}
		for _, m := range all {
			if identOf(m).Same(ident) {
				return true
			}
		}
	}
	return false
}
