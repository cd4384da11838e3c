package export

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// walker goes through a commit's tree in git's order.
type walker struct {
	ctx   context.Context
	plan  *Plan
	in    *part // whose tree this is
	attrs *evaluator
	was   earlier
	only  string // the one path wanted, "" for all
	found bool   // something of it is in the tree
	seen  int    // files, symlinks and submodules come by, exported or not
	count int    // entries come by
	most  int    // of them that are allowed
}

func newWalker(ctx context.Context, plan *Plan, only string) *walker {
	plan.files = make([]file, 0, len(plan.src.Former.Entries)) // about as many, without what growing leaves behind
	return &walker{ctx: ctx, plan: plan, was: earlier{entries: plan.src.Former.Entries}, only: only, most: mostEntries}
}

// The types of a tree entry's mode.
const (
	typeMask = 0o170000
	typeFile = 0o100000
)

// modeOf makes of a tree entry's mode what git makes of it, so that 100664 of old is 100644; ok is false for what git never wrote.
func modeOf(mode uint32) (m uint32, ok bool) {
	switch mode & typeMask {
	case typeFile:
		if mode&0o100 != 0 {
			return release.ModeExec, true
		}
		return release.ModeFile, true
	case release.ModeSymlink, release.ModeDir, release.ModeGitlink:
		return mode & typeMask, true
	}
	return 0, false
}

// tree adds what is in the tree at dir, which is "" or ends with a slash.
func (w *walker) tree(dir string, id objects.ID) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := w.in.Store.Tree(id)
	if err != nil {
		return in(dir, malformed(err))
	}
	if err := w.check(dir, entries); err != nil {
		return err
	}
	if w.plan.src.Attributes {
		data, err := w.attributes(entries)
		if err != nil {
			return in(dir+".gitattributes", err)
		}
		w.attrs.push(dir[len(w.in.top):], data)
		defer w.attrs.pop()
	}
	for _, e := range entries {
		if err := w.entry(dir+e.Name, e); err != nil {
			return err
		}
	}
	return nil
}

// malformed makes a refusal of the error of a tree object that is whole and yet no tree, as one with an empty name is.
func malformed(err error) error {
	e, ok := errors.AsType[*release.Error](err)
	_, damaged := errors.AsType[*objects.DamageError](err)
	if !ok || damaged || errors.Is(err, objects.ErrMissing) {
		return err
	}
	return &release.Error{Exit: release.ExitRefused, Err: err, Hints: e.Hints}
}

func in(path string, err error) error {
	if path == "" {
		return err
	}
	return fmt.Errorf("%s: %w", shown(strings.TrimSuffix(path, "/")), err)
}

// check refuses what a tree should never hold, wherever it is in the repository.
func (w *walker) check(dir string, entries []objects.TreeEntry) error {
	seen := make(map[string]bool, len(entries))
	for _, e := range entries {
		if bad := badName(e.Name); bad != "" {
			return w.refuse(dir+e.Name, "%s, which must not be exported", bad).
				Hint("git filter-repo rewrites a history that holds it; git fsck %s shows what else is wrong", w.in.commit)
		}
		if seen[e.Name] {
			return w.refuse(dir+e.Name, "twice in its tree").Hint("git fsck %s shows what is wrong with the repository", w.in.commit)
		}
		seen[e.Name] = true
		if _, ok := modeOf(e.Mode); !ok {
			return w.refuse(dir+e.Name, "mode %o, which is no file, directory, link or submodule", e.Mode).
				Hint("git fsck %s shows what is wrong with the repository", w.in.commit)
		}
		if mode, _ := modeOf(e.Mode); mode == release.ModeSymlink && isDotGitmodules(e.Name) {
			return w.refuse(dir+e.Name, "a symlink that some file systems take for .gitmodules, which must not be exported").
				Hint("make it a file: git fsck %s shows what else is wrong", w.in.commit)
		}
		if len(dir)+len(e.Name) > maxPath {
			return w.refuse(dir+e.Name, "a path of %d bytes, where %d are possible", len(dir)+len(e.Name), maxPath).
				Hint("shorten it, or leave it out with export-ignore in .gitattributes")
		}
	}
	return nil
}

// refuse is a refusal that names the path, so quoted that it stays on its line.
func (w *walker) refuse(path, format string, args ...any) *release.Error {
	return release.Errorf(release.ExitRefused, "%s: %s", shown(path), fmt.Sprintf(format, args...))
}

// shown is a path as a message has it: quoted where it has anything but plain characters, cut where it is endless.
func shown(path string) string {
	const most = 300
	if len(path) > most {
		path = path[:most] + "…"
	}
	if q := fmt.Sprintf("%q", path); q != `"`+path+`"` {
		return q
	}
	return path
}

// attributes is the content of the tree's .gitattributes. Git archive reads a symlink's text as if it were a file's.
func (w *walker) attributes(entries []objects.TreeEntry) (string, error) {
	for _, e := range entries {
		mode, _ := modeOf(e.Mode)
		if e.Name != ".gitattributes" || mode == release.ModeDir || mode == release.ModeGitlink {
			continue
		}
		_, size, err := w.in.Store.Header(e.ID)
		if err != nil || size >= maxAttributesFile {
			return "", err
		}
		o, err := w.in.Store.Read(e.ID)
		if err != nil || o.Kind != objects.KindBlob {
			return "", err
		}
		return string(o.Data), nil
	}
	return "", nil
}

// wanted tells whether path is what is to be exported or lies in it, and whether it leads there.
func (w *walker) wanted(path string) (inside, above bool) {
	if w.only == "" || path == w.only {
		return true, false
	}
	return strings.HasPrefix(path, w.only+"/"), strings.HasPrefix(w.only, path+"/")
}

func (w *walker) entry(path string, e objects.TreeEntry) error {
	inside, above := w.wanted(path)
	mode, _ := modeOf(e.Mode)
	if !inside && !(above && w.descends(mode)) {
		return nil
	}
	if w.count++; w.count > w.most {
		return w.refuse(path, "more than %d files", w.most).Hint("export.path limits the export to a part of the repository")
	}
	w.found = w.found || inside
	if mode != release.ModeDir {
		w.seen++
	}
	var values []value
	if w.plan.src.Attributes {
		if values = w.attrs.lookup(path[len(w.in.top):], mode == release.ModeDir || mode == release.ModeGitlink); values[attrExportIgnore].state == stateTrue {
			w.found = true // it may well be in what is ignored: then the export is empty, as git's is
			return nil
		}
	}
	switch mode {
	case release.ModeDir:
		return w.directory(path, e.ID)
	case release.ModeGitlink:
		return w.submodule(path, e.ID)
	case release.ModeSymlink:
		return w.symlink(path, e.ID)
	}
	return w.file(path, mode, e.ID, values)
}

// directory adds a directory. Git archive leaves out one that has no files, except where the files are all ignored one by one.
func (w *walker) directory(path string, id objects.ID) error {
	p := w.plan
	before, at := w.seen, len(p.dirs)
	p.dirs = append(p.dirs, path)
	if err := w.tree(path+"/", id); err != nil {
		return err
	}
	if w.seen == before {
		p.dirs = p.dirs[:at]
	}
	return nil
}

func (w *walker) symlink(path string, id objects.ID) error {
	kind, size, err := w.in.Store.Header(id)
	if err != nil {
		return in(path, err)
	}
	if kind != objects.KindBlob || size == 0 || size >= 4096 {
		return w.refuse(path, "a symlink with a target of %d bytes (a %s), which no system can make", size, kind).
			Hint("mend it in the repository, or leave it out with export-ignore in .gitattributes")
	}
	o, err := w.in.Store.Read(id)
	if err != nil {
		return in(path, err)
	}
	if strings.Contains(string(o.Data), "\x00") {
		return w.refuse(path, "a symlink with a NUL byte in its target").Hint("mend it in the repository")
	}
	w.plan.links = append(w.plan.links, link{path: path, id: id, target: string(o.Data), was: w.former(path)})
	return nil
}

func (w *walker) file(path string, mode uint32, id objects.ID, values []value) error {
	f := file{in: w.in, path: path, mode: mode, id: id, was: w.former(path)}
	f.same = holds(f.was, id)
	if values != nil {
		var ok bool
		if f.conv, ok = conversionOf(values); !ok {
			return w.refuse(path, "working-tree-encoding is set without an encoding").
				Hint("give it one in .gitattributes, as in working-tree-encoding=UTF-16")
		}
		f.pointer = values[attrFilter].state == stateFalse
		f.lfs = values[attrFilter].is("lfs")
	}
	w.plan.files = append(w.plan.files, f)
	return nil
}

// former is what Source.Former has at a path of the tree.
func (w *walker) former(path string) *release.Entry {
	if w.only != "" {
		path = strings.TrimPrefix(path, w.only+"/")
	}
	return w.was.find(path)
}
