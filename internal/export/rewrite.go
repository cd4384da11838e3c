package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Rewrite turns dir, which was the release old and is nothing now, into this one, as durably as Write, and with the same result.
// Files and symlinks stay whose entry is of the right content and whose stat data are the entry's own; all else is removed, and what
// is missing then is written. So no file is ever changed that has another name, or that somebody still reads. kept is how many
// files and symlinks stayed. Nobody else may use dir meanwhile.
//
// like is where Write would make the directory: one is made there and removed again, to see what attributes (ACLs, flags) a new one
// has. A directory of the release that has others is made anew, and where dir itself has, that is an error.
//
// On an error the directory is worth nothing, for the caller to remove; but for a refusal or a cancelled ctx, Write may do then.
func (p *Plan) Rewrite(
	ctx context.Context, dir, like string, old release.Manifest, progress func(done, total int64),
) (entries []release.Entry, kept int, err error) {
	if err := p.lfs.fetch(ctx); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", p.src.Tag, err)
	}
	root, err := disk.OpenDir(dir)
	if err != nil {
		return nil, 0, err
	}
	rest := *p
	w := newWriter(&rest, root, progress)
	defer func() { err = errors.Join(err, w.close()) }()
	c, err := newClearing(w, like, old)
	if err != nil {
		return nil, 0, err
	}
	for _, step := range []func(context.Context) error{c.mendDirs, c.clear, c.rest, w.substitute, w.writeFiles, w.makeLinks, w.sync, w.statDirs} {
		if err := step(ctx); err != nil {
			return nil, 0, err
		}
	}
	slices.SortFunc(w.entries, func(a, b release.Entry) int { return cmp.Compare(a.Path, b.Path) })
	return w.entries, c.kept, nil
}

// clearing removes from a former release what must not be in the new one.
type clearing struct {
	w        *writer
	old      map[string]*release.Entry
	written  int64 // when they were, ns
	top      disk.Stat
	attrs    string // of a directory that is new
	uid, gid uint32
	want     map[string]planned
	links    []release.Entry // of those kept, at their index in plan
	kept     int
}

// planned is what the plan has at a path.
type planned struct {
	mode  uint32 // as git has it
	index int    // in the plan's files or links
}

func newClearing(w *writer, like string, old release.Manifest) (*clearing, error) {
	c := &clearing{w: w, written: old.Written, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	if err := c.mendTop(like); err != nil {
		return nil, err
	}
	c.old = make(map[string]*release.Entry, len(old.Entries))
	for i := range old.Entries {
		c.old[old.Entries[i].Path] = &old.Entries[i]
	}
	p := w.plan
	c.links = make([]release.Entry, len(p.links))
	c.want = make(map[string]planned, len(p.files)+len(p.links)+len(p.dirs))
	for i, f := range p.files {
		c.want[f.path] = planned{f.mode, i}
	}
	for i, l := range p.links {
		c.want[l.path] = planned{release.ModeSymlink, i}
	}
	for i, d := range p.dirs {
		c.want[d] = planned{release.ModeDir, i}
	}
	return c, nil
}

// clear removes from each directory what does not stay.
func (c *clearing) clear(ctx context.Context) error {
	dirs := append([]string{"."}, c.w.plan.dirs...)
	return parallel(ctx, len(c.w.dirs), len(dirs), func(worker, i int) error { return c.clearDir(ctx, dirs[i], c.w.dirs[worker].buf) })
}

func (c *clearing) clearDir(ctx context.Context, p string, buf []byte) (err error) {
	dir, err := c.w.root.DirHere(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	names, err := dir.File().Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("%s: %w", dir.Path(""), cause(err))
	}
	for _, name := range names {
		at := name
		if p != "." {
			at = p + "/" + name
		}
		stays, err := c.stays(ctx, dir, name, at, buf)
		if err != nil {
			return err
		}
		if stays {
			continue
		}
		if err := dir.RemoveAll(name); err != nil {
			return err
		}
	}
	return nil
}

// stays tells whether what is at a path is what the plan wants there, and notes its entry.
func (c *clearing) stays(ctx context.Context, dir *disk.Dir, name, at string, buf []byte) (bool, error) {
	want, ok := c.want[at]
	if !ok || want.mode == release.ModeDir {
		return ok, nil
	}
	was := c.old[at]
	if was == nil || was.Kind != release.Tagged {
		return false, nil
	}
	st, err := dir.Lstat(name)
	if err != nil || !c.believed(was, st) {
		return false, err
	}
	if want.mode != release.ModeSymlink {
		return c.fileStays(ctx, want.index, *was, st, buf)
	}
	if !st.IsLink() || was.ID != c.w.plan.links[want.index].id.String() {
		return false, nil
	}
	c.links[want.index] = *was
	return true, nil
}

// fileStays compares a file whose content is that of its entry with the one that is wanted.
func (c *clearing) fileStays(ctx context.Context, index int, was release.Entry, st disk.Stat, buf []byte) (bool, error) {
	f := &c.w.plan.files[index]
	if st.Mode != unix.S_IFREG|f.mode&0o777 {
		return false, nil
	}
	if same, err := c.sameContent(ctx, f, was, buf); err != nil {
		return false, in(f.path, err)
	} else if !same {
		return false, nil
	}
	was.Mode = f.mode
	c.w.entries[index] = was
	return true, nil
}

// minPointer is a size that every Git LFS pointer has at least.
const minPointer = len("version \noid sha256:\nsize 0") + 64

// sameContent tells whether the file would be written with the content of an entry. It may take buf. Where only writing tells, it
// is false.
func (c *clearing) sameContent(ctx context.Context, f *file, was release.Entry, buf []byte) (bool, error) {
	p := c.w.plan
	var id objects.ID
	switch mayPoint := !f.pointer && p.src.LFS != LFSPointer && f.size >= int64(minPointer) && f.size < maxPointer; {
	case f.content != nil:
		if f.size != was.Size {
			return false, nil
		}
		var err error
		if id, err = p.copyContent(ctx, io.Discard, f); err != nil {
			return false, err
		}
	case f.conv.none() && (!mayPoint || f.id.String() != was.ID):
		id = f.id
	case f.conv.subst || f.size > streamOver:
		return false, nil
	default:
		data, err := c.w.converted(ctx, f, buf)
		if err != nil {
			return false, err
		}
		if f.conv.none() && looksLikePointer(data) {
			return false, p.refusePointer(f) // the former release had it by other attributes
		}
		id = objects.Hash(f.in.Store.Format(), objects.KindBlob, data)
	}
	return id.String() == was.ID, nil
}

// rest makes the plan one of what is missing.
func (c *clearing) rest(ctx context.Context) error {
	w, p := c.w, c.w.plan
	total := len(p.order) + len(p.links)
	p.order = slices.DeleteFunc(slices.Clone(p.order), func(i int) bool { return w.entries[i].Inode != 0 })
	var links []link
	for i, l := range p.links {
		if c.links[i].Inode != 0 {
			w.entries = append(w.entries, c.links[i])
		} else {
			links = append(links, l)
		}
	}
	p.links, p.Bytes = links, 0
	for _, i := range p.order {
		p.Bytes += p.files[i].size
	}
	for _, l := range links {
		p.Bytes += int64(len(l.target))
	}
	c.kept = total - len(p.order) - len(links)
	return p.settleOrder(ctx)
}

// believed tells whether the stat data prove that a file is as it was when its entry was made, and ours alone.
func (c *clearing) believed(e *release.Entry, st disk.Stat) bool {
	now := release.Entry{Size: st.Size, Inode: st.Inode, MTime: st.MTime, CTime: st.CTime}
	return e.Same(now, c.written) && st.Links == 1 && st.Device == c.top.Device && c.ours(st)
}

// ours is true of what we could have made.
func (c *clearing) ours(st disk.Stat) bool {
	return st.UID == c.uid && (st.GID == c.gid || st.GID == c.top.GID)
}
