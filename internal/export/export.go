// Package export writes the tree of a commit, or one directory of it, into a directory, as `git archive <tag> [path] | tar x`
// does under an empty git configuration: the same files, content and executable bits, by the .gitattributes in the tree (of every
// level, those above Source.Path too). It owns the walk, the attributes, the conversion of content and the writing.
//
// Other than in git, what is not in the tag has no say: $GIT_DIR/info/attributes, core.attributesFile, core.autocrlf and filter
// drivers are ignored on purpose, so that a tag gives the same release wherever it is exported. Refused is what git archive would
// let pass and a release should not have: submodules, unless Source says what becomes of them, Git LFS content that cannot be had,
// names that are dangerous on some file system. Content that Git LFS keeps is exported in place of its pointers, as a checkout by
// git lfs has it.
//
// As in git archive, a file over 512 MiB is exported as it is unless it has export-subst; a .gitattributes that is a symlink counts
// with its target as its text, never with what it points to; %(describe) is expanded once in a release.
//
// Replaced objects and grafts are ignored, as no part of the tag. docs/export.md lists all differences for users. The others are in
// export-subst: %aN and the like take the .mailmap of HEAD, never an uncommitted one; "%-x" at the start of a placeholder removes no
// line ends that stand before it in the file; in a commit that is not in UTF-8 each placeholder comes out in the commit's encoding,
// where git's result depends on the text before it. Where there is no iconv program, the tables of golang.org/x/text are used for
// encodings other than UTF-16 and UTF-32.
package export

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Source is what to export.
type Source struct {
	Store      *objects.Store
	Commit     objects.ID
	Tag        string   // for messages
	GitDir     string   // where git is run for the placeholders of export-subst that only git knows
	Env        []string // for git there, as where objects are that it has not accepted yet
	Path       string   // only this directory of the tree, as the top of the release; "" for all
	LFS        string   // what becomes of Git LFS pointers: LFSAuto, LFSRefuse or LFSPointer
	Attributes bool     // false: the tree as it is, .gitattributes ignored
	Submodules string   // what becomes of them: SubmodulesRefuse or "", SubmodulesEmpty, SubmodulesFetch
	Module     Opener   // of those of SubmodulesFetch

	// Former is a former release, which is to be turned into this one by Rewrite: what it has already is not looked up. It has no
	// entries where there is none.
	Former release.Manifest
}

// Plan is what Survey found and Write writes. The sizes are before conversion.
type Plan struct {
	Files  int   // regular files and symlinks
	Bytes  int64 // their sizes added up
	Inodes int64 // files, symlinks and directories, and the release's own directory

	src   Source
	parts []*part  // the tag's own repository first, then those of submodules
	dirs  []string // a directory before what is in it
	files []file
	links []link
	order []int // indices of files, in the order in which to read them
	known bool  // the sizes of some files are from Source.Former, and their place in order is not found yet
	lfs   lfsContent
	refs  bool // what was written depends on the repository's refs
}

// file is a regular file to be written.
type file struct {
	in   *part
	path string
	id   objects.ID
	mode uint32 // release.ModeFile or ModeExec
	size int64  // of the blob, or of content; unknown before it is measured
	conv conversion
	was  *release.Entry // what Source.Former has at this path, nil where that is nothing
	same bool           // it has the content of the blob

	pack   int // where the blob is, once the file is in order; -1: in no pack
	offset int64

	lfs     bool        // has filter=lfs
	pointer bool        // may be a Git LFS pointer: its attributes say that no filter is meant
	content *lfsPointer // of what is written in place of the blob, which is its pointer; else nil
}

// raw is true of a file whose content is its blob's.
func (f *file) raw() bool { return f.content == nil && f.conv.none() }

// link is a symlink to be made.
type link struct {
	path   string
	id     objects.ID
	target string
	was    *release.Entry // what Source.Former has at this path, nil where that is nothing
}

// streamOver is the size, in bytes, over which a blob is never held in memory as a whole unless it has to be converted.
const streamOver = 4 << 20

// rawOver is git's core.bigFileThreshold: a larger file is converted only if it has export-subst.
const rawOver = 512 << 20

// Need is how many bytes the release takes on a file system with such blocks, at most: conversion makes files larger, and by
// how much is known only when it is done.
func (p *Plan) Need(block int64) int64 {
	block = max(block, 512)
	up := func(n int64) int64 { return (n + block - 1) / block * block }
	var sum int64
	for _, f := range p.files {
		sum += up(f.most())
	}
	// A directory takes blocks by the names in it, and each file a part of a block of inodes, which some file systems make as
	// they go.
	const perInode = 512
	for _, d := range p.dirs {
		sum += up(int64(len(d))) + block
	}
	var names int64
	for _, f := range p.files {
		names += int64(len(path.Base(f.path))) + 32
	}
	for _, l := range p.links {
		names += int64(len(path.Base(l.path))) + 32
		sum += up(int64(len(l.target)))
	}
	return sum + p.lfs.missingBytes() + up(names*2) + up(p.Inodes*perInode) + block
}

// NamesRefs tells of what Write wrote whether it depends on refs, by placeholders of export-subst: the same commit gives other files
// when a tag or a branch has come.
func (p *Plan) NamesRefs() bool { return p.refs }

// most is what a file may grow to. Each converter is taken by what it does to common content, with a page to spare.
func (f file) most() int64 {
	n := f.size
	if f.conv.none() {
		return n
	}
	if f.conv.eol != eolKeep {
		n += f.size / 8
	}
	if f.conv.encoding != "" {
		n *= 4
	}
	return n + n/4 + 4096
}

// mostEntries bounds what a tree of trees that name each other may unfold to; the largest repositories known have some millions.
const mostEntries = 4 << 20

// cleanPath turns export.path into the form that trees have: "a/b", "" for all.
func cleanPath(given string) (string, error) {
	if given == "" {
		return "", nil
	}
	p := path.Clean(given)
	if p == "." {
		return "", nil
	}
	if strings.HasPrefix(p, "/") || p == ".." || strings.HasPrefix(p, "../") || strings.Contains(p, "\x00") {
		return "", release.Errorf(release.ExitUsage, "export.path %q: not a path inside the repository", given).
			Hint("export.path names a directory of the tag, as in path = \"services/shop\"")
	}
	return p, nil
}

// Survey walks the tree, evaluates its attributes and refuses, with ExitRefused, what must not become a release. It writes nothing.
func Survey(ctx context.Context, src Source) (*Plan, error) {
	only, err := cleanPath(src.Path)
	if err != nil {
		return nil, err
	}
	commit, err := src.Store.Commit(src.Commit)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Tag, err)
	}
	w := newWalker(ctx, &Plan{src: src}, only)
	if err := w.part(Module{Store: src.Store, GitDir: src.GitDir, Module: src.Module}, src.Commit, commit, ""); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Tag, err)
	}
	if only != "" && !w.found {
		return nil, release.Errorf(release.ExitRefused, "%s: %s: not in its tree", src.Tag, only).
			Hint("export.path names a directory that the tag has: git ls-tree %s shows them", src.Commit)
	}
	if err := w.collisions(); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Tag, err)
	}
	if err := w.plan.measure(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", src.Tag, err)
	}
	if only != "" {
		if err := w.plan.hoist(only); err != nil {
			return nil, err
		}
	}
	return w.plan, nil
}

// hoist makes the directory that was asked for the top of the release.
func (p *Plan) hoist(dir string) error {
	prefix := dir + "/"
	p.dirs = slices.DeleteFunc(p.dirs, func(at string) bool { return !strings.HasPrefix(at, prefix) })
	for i := range p.dirs {
		p.dirs[i] = p.dirs[i][len(prefix):]
	}
	notDir := release.Errorf(release.ExitRefused, "%s: %s: not a directory", p.src.Tag, dir).
		Hint("export.path names a directory that the tag has: git ls-tree %s shows them", p.src.Commit)
	for i := range p.files {
		if p.files[i].path == dir {
			return notDir
		}
		p.files[i].path = p.files[i].path[len(prefix):]
	}
	for i := range p.links {
		if p.links[i].path == dir {
			return notDir
		}
		p.links[i].path = p.links[i].path[len(prefix):]
	}
	return nil
}
