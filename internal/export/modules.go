package export

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// What becomes of submodules.
const (
	SubmodulesRefuse = "refuse"
	SubmodulesEmpty  = "empty" // an empty directory, as in git archive
	SubmodulesFetch  = "fetch" // the tree of the submodule's commit, as from git archive in the submodule
)

// Submodule is a submodule of a tree, as its .gitmodules has it.
type Submodule struct {
	Path   string // in the release
	URL    string // not looked at yet: absolute, or relative to that of the repository it is a submodule of
	Commit objects.ID
}

// Opener opens the repository of a submodule, with its commit in it.
type Opener func(ctx context.Context, s Submodule) (Module, error)

// Module is the repository of a submodule. Its store stays open for as long as the plan is used; without one the submodule is
// exported as an empty directory, for a plan that is only looked at.
type Module struct {
	Store  *objects.Store
	GitDir string // as in Source
	Module Opener // of the submodules in it
}

// part is a repository that files of the release come from: the tag's own, or a submodule's.
type part struct {
	Module
	number  int
	depth   int    // 0 is the tag's own
	top     string // where its tree is in the release: "" or "vendor/lib/"
	commit  objects.ID
	object  objects.Commit
	modules map[string]string // URLs by path in its tree; nil until one is asked for
}

// Bounds of what submodules may unfold to.
const (
	maxNesting = 10
	maxParts   = 1000
)

// part walks over the tree of a commit of a repository, whose place in the release is top, with attributes of its own.
func (w *walker) part(m Module, id objects.ID, commit objects.Commit, top string) error {
	outer, attrs := w.in, w.attrs
	defer func() { w.in, w.attrs = outer, attrs }()
	w.in, w.attrs = &part{Module: m, number: len(w.plan.parts), top: top, commit: id, object: commit}, newEvaluator()
	if outer != nil {
		w.in.depth = outer.depth + 1
	}
	w.plan.parts = append(w.plan.parts, w.in)
	return w.tree(top, commit.Tree)
}

// descends tells whether a path that is wanted may lie below an entry of that mode.
func (w *walker) descends(mode uint32) bool {
	return mode == release.ModeDir || mode == release.ModeGitlink && w.plan.src.Submodules == SubmodulesFetch
}

func (w *walker) submodule(path string, commit objects.ID) error {
	switch w.plan.src.Submodules {
	case SubmodulesEmpty:
		w.plan.dirs = append(w.plan.dirs, path)
		return nil
	case SubmodulesFetch:
		return w.fetched(path, commit)
	}
	return w.refuse(path, "a submodule, which export.submodules refuses").
		Hint("export.submodules = \"fetch\" in rel.toml exports its files, \"empty\" an empty directory").
		Hint("or leave it out with %q in .gitattributes", path+" export-ignore")
}

// fetched puts the tree of a submodule's commit in its place.
func (w *walker) fetched(path string, commit objects.ID) error {
	if w.in.depth == maxNesting || len(w.plan.parts) > maxParts {
		return w.refuse(path, "a submodule beyond %d in each other or %d in all", maxNesting, maxParts).
			Hint("leave it out with export-ignore in .gitattributes")
	}
	url, err := w.urlOf(path)
	if err != nil {
		return err
	}
	w.plan.dirs = append(w.plan.dirs, path)
	module, err := w.in.Module.Module(w.ctx, Submodule{Path: path, URL: url, Commit: commit})
	if err != nil {
		return in(path, err)
	}
	if module.Store == nil {
		return nil
	}
	object, err := module.Store.Commit(commit)
	if err != nil {
		return in(path, err)
	}
	return w.part(module, commit, object, path+"/")
}

// urlOf is the URL of the submodule at path by the .gitmodules that it is named in.
func (w *walker) urlOf(path string) (string, error) {
	if w.in.modules == nil {
		var err error
		if w.in.modules, err = w.readModules(); err != nil {
			return "", in(w.in.top+gitmodules, err)
		}
	}
	url, ok := w.in.modules[path[len(w.in.top):]]
	if !ok {
		return "", w.refuse(path, "a submodule that %s does not name", shown(w.in.top+gitmodules)).
			Hint("git submodule add URL %s names it; git rm --cached %s drops it", shown(path), shown(path))
	}
	return url, nil
}

// collisions refuses submodules that are named in a .gitmodules at or below a symlink, or whose path, or a directory above it, some
// file systems take for that of something else in the tree: what is written into one would land in the other.
func (w *walker) collisions() error {
	taken := make(map[string]string) // paths of submodules, and of the directories above them, by how they are folded
	for _, p := range w.plan.parts {
		for _, at := range slices.Sorted(maps.Keys(p.modules)) {
			for at = p.top + at; at != ""; at = at[:max(strings.LastIndexByte(at, '/'), 0)] {
				if other, ok := taken[fold(at)]; ok && other != at {
					return w.collide(at, other)
				}
				taken[fold(at)] = at
			}
		}
	}
	if len(taken) == 0 {
		return nil
	}
	for _, l := range w.plan.links {
		if _, ok := taken[fold(l.path)]; ok {
			return w.refuse(l.path, "a symlink where %s has a submodule, or a directory above one", gitmodules).
				Hint("mend %s in the repository, and cut a new tag", gitmodules)
		}
	}
	for _, path := range w.plan.dirs {
		if at, ok := taken[fold(path)]; ok && at != path {
			return w.collide(at, path)
		}
	}
	for _, f := range w.plan.files {
		if at, ok := taken[fold(f.path)]; ok && at != f.path {
			return w.collide(at, f.path)
		}
	}
	return nil
}

func (w *walker) collide(module, other string) error {
	return w.refuse(module, "a submodule is there or below, and some file systems take %s for the same", shown(other)).
		Hint("rename one of them in the repository")
}
