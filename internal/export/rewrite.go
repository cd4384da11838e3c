package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Rewrite turns dir, which was the release Source.Former and is nothing now, into this one, as durably as Write, and with the same result.
// Files and symlinks stay whose entry is of the right content and whose stat data are the entry's own; all else is removed, and what
// is missing then is written. So no file is ever changed that has another name, or that somebody still reads. kept is how many
// files and symlinks stayed. Nobody else may use dir meanwhile.
//
// like is where Write would make the directory: one is made there and removed again, to see what attributes (ACLs, flags) a new one
// has. A directory of the release that has others is made anew, and where dir itself has, that is an error.
//
// On an error the directory is worth nothing, for the caller to remove; but for a refusal or a cancelled ctx, Write may do then.
func (p *Plan) Rewrite(
	ctx context.Context, dir, like string, progress func(done, total int64),
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
	c, err := newClearing(w, like)
	if err != nil {
		return nil, 0, err
	}
	for _, step := range []func(context.Context) error{c.mendDirs, c.clear, c.rest, w.substitute, w.writeFiles, w.makeLinks, w.sync, w.statDirs} {
		if err := step(ctx); err != nil {
			return nil, 0, err
		}
	}
	return w.sorted(), c.kept, nil
}

// clearing removes from a former release what must not be in the new one.
type clearing struct {
	w        *writer
	top      disk.Stat
	attrs    string // of a directory that is new
	uid, gid uint32
	want     map[string][]child // by directory, "" for the top
	links    []release.Entry    // of those kept, at their index in plan
	kept     int
}

// child is what the plan has in a directory.
type child struct {
	name  string
	mode  uint32 // as git has it
	index int    // in the plan's files or links
}

func (c child) compare(name string) int { return cmp.Compare(c.name, name) }

func newClearing(w *writer, like string) (*clearing, error) {
	c := &clearing{w: w, uid: uint32(os.Geteuid()), gid: uint32(os.Getegid())}
	if err := c.mendTop(like); err != nil {
		return nil, err
	}
	p := w.plan
	c.links = make([]release.Entry, len(p.links))
	c.want = make(map[string][]child, len(p.dirs)+1)
	add := func(at string, mode uint32, index int) {
		dir, name := path.Split(at)
		c.want[dir] = append(c.want[dir], child{name, mode, index})
	}
	for i := range p.files {
		add(p.files[i].path, p.files[i].mode, i)
	}
	for i := range p.links {
		add(p.links[i].path, release.ModeSymlink, i)
	}
	for i := range p.dirs {
		add(p.dirs[i], release.ModeDir, i)
	}
	return c, nil
}

// clear removes from each directory what does not stay.
func (c *clearing) clear(ctx context.Context) error {
	dirs := c.w.plan.dirs
	return parallel(ctx, len(c.w.dirs), len(dirs)+1, func(worker, i int) error {
		if i == 0 {
			return c.clearDir(ctx, ".", c.want[""], c.w.dirs[worker].buf)
		}
		return c.clearDir(ctx, dirs[i-1], c.want[dirs[i-1]+"/"], c.w.dirs[worker].buf)
	})
}

func (c *clearing) clearDir(ctx context.Context, p string, want []child, buf []byte) (err error) {
	dir, err := c.w.root.DirHere(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	names, err := dir.File().Readdirnames(-1)
	if err != nil {
		return fmt.Errorf("%s: %w", dir.Path(""), cause(err))
	}
	slices.SortFunc(want, func(a, b child) int { return a.compare(b.name) })
	for _, name := range names {
		stays := false
		if i, ok := slices.BinarySearchFunc(want, name, child.compare); ok {
			if stays, err = c.stays(ctx, dir, want[i], buf); err != nil {
				return err
			}
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

// stays tells whether what is in a directory is what the plan wants there, and notes its entry.
func (c *clearing) stays(ctx context.Context, dir *disk.Dir, want child, buf []byte) (bool, error) {
	switch want.mode {
	case release.ModeDir:
		return true, nil
	case release.ModeSymlink:
		l := c.w.plan.links[want.index]
		if !holds(l.was, l.id) {
			return false, nil
		}
		st, err := dir.Lstat(want.name)
		if err != nil || !st.IsLink() || !c.believed(l.was, st) {
			return false, err
		}
		c.links[want.index] = *l.was
		return true, nil
	}
	return c.fileStays(ctx, dir, want, buf)
}

// fileStays is stays for a file.
func (c *clearing) fileStays(ctx context.Context, dir *disk.Dir, want child, buf []byte) (bool, error) {
	f := &c.w.plan.files[want.index]
	if f.was == nil || f.raw() && !f.same {
		return false, nil
	}
	st, err := dir.Lstat(want.name)
	if err != nil || st.Mode != unix.S_IFREG|f.mode&0o777 || !c.believed(f.was, st) {
		return false, err
	}
	same, err := c.sameContent(ctx, f, buf)
	if err != nil {
		return false, in(f.path, err)
	}
	if same {
		c.w.entries[want.index] = *f.was
		c.w.entries[want.index].Mode = f.mode
	}
	return same, nil
}

// sameContent tells whether the file would be written with the content that was there. It may take buf. Where only writing tells, it
// is false.
func (c *clearing) sameContent(ctx context.Context, f *file, buf []byte) (bool, error) {
	switch {
	case f.content != nil:
		if f.size != f.was.Size {
			return false, nil
		}
		id, err := c.w.plan.copyContent(ctx, io.Discard, f)
		return holds(f.was, id), err
	case f.raw() && !c.w.plan.mayPoint(f):
		return f.same, nil
	case f.conv.subst || f.size > streamOver:
		return false, nil
	}
	data, err := c.w.converted(ctx, f, buf)
	if err != nil {
		return false, err
	}
	if f.raw() && looksLikePointer(data) {
		return false, c.w.plan.refusePointer(f) // the former release had it by other attributes
	}
	return holds(f.was, objects.Hash(f.in.Store.Format(), objects.KindBlob, data)), nil
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
	return e.Same(now, c.w.plan.src.Former.Written) && st.Links == 1 && st.Device == c.top.Device && c.ours(st)
}

// ours is true of what we could have made.
func (c *clearing) ours(st disk.Stat) bool {
	return st.UID == c.uid && (st.GID == c.gid || st.GID == c.top.GID)
}
