package export

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// Write makes the directory dir and writes the release into it, durably: when it returns without an error, all is on the disk.
// Modes are 0644 and 0755, of directories 0755, whatever the umask. progress, which may be nil, is told bytes done and bytes in
// all, a few hundred times at most, never by two goroutines at once. The entries are the release's tagged ones, sorted by path.
//
// On an error, also of a cancelled ctx, dir is left as it is, for the caller to remove. Refusals have ExitRefused.
func (p *Plan) Write(ctx context.Context, dir string, progress func(done, total int64)) (entries []release.Entry, err error) {
	if err := errors.Join(p.lfs.fetch(ctx), p.settleOrder(ctx)); err != nil {
		return nil, fmt.Errorf("%s: %w", p.src.Tag, err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, cause(err))
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("%s: %w", dir, cause(err))
	}
	root, err := disk.OpenDir(dir) // before the first write, so that its sync reports every error since
	if err != nil {
		return nil, err
	}
	w := newWriter(p, root, progress)
	defer func() { err = errors.Join(err, w.close()) }()
	for _, step := range []func(context.Context) error{w.substitute, w.makeDirs, w.writeFiles, w.makeLinks, w.sync, w.statDirs} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w.sorted(), nil
}

// writer is one Write under way.
type writer struct {
	plan    *Plan
	root    *disk.Dir
	dirs    []*openDirs     // of each worker; the first is also for what is done by one
	subst   []substitution  // of each of the plan's parts
	entries []release.Entry // of files, at their index in plan; then of links and directories
	large   sync.Mutex      // held while a large file is converted: one at a time bounds the memory

	telling    sync.Mutex
	tell       func(done, total int64)
	done, told int64
}

func newWriter(p *Plan, root *disk.Dir, progress func(done, total int64)) *writer {
	w := &writer{plan: p, root: root, tell: progress, entries: make([]release.Entry, len(p.files), len(p.files)+len(p.links)+len(p.dirs))}
	w.dirs = make([]*openDirs, cores())
	most := mostOpen()
	for i := range w.dirs {
		w.dirs[i] = &openDirs{root: root, most: max(most/len(w.dirs), 4), buf: make([]byte, bufSize)}
		w.dirs[i].read = objects.NewScratch(int64(readMemory / len(w.dirs)))
	}
	return w
}

func (w *writer) close() error {
	var errs []error
	for _, d := range w.dirs {
		errs = append(errs, d.close())
	}
	return errors.Join(append(errs, w.root.Close())...)
}

// substitute expands the placeholders of all files with export-subst beforehand, those of a submodule by its own commit.
func (w *writer) substitute(ctx context.Context) error {
	w.subst = make([]substitution, len(w.plan.parts))
	for i := range w.plan.files {
		f := &w.plan.files[i]
		if !f.conv.subst {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := w.converted(ctx, f, nil)
		if err != nil {
			return in(f.path, err)
		}
		w.subst[f.in.number].collect(i, data)
	}
	for i, p := range w.plan.parts {
		w.plan.refs = w.plan.refs || w.subst[i].namesRefs()
		if err := w.subst[i].expand(ctx, p.GitDir, w.plan.src.Env, p.commit, p.object); err != nil {
			return in(p.top, err)
		}
	}
	return nil
}

func (w *writer) makeDirs(ctx context.Context) error {
	for _, p := range w.plan.dirs {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, name, err := w.dirs[0].enter(p)
		if err != nil {
			return err
		}
		if err := d.Mkdir(name, 0o755); err != nil {
			return w.collision(p, err)
		}
	}
	return nil
}

// writeFile writes a file, whose blob is data unless it is one to be read by itself.
func (w *writer) writeFile(ctx context.Context, dirs *openDirs, i int, data []byte) (err error) {
	f := &w.plan.files[i]
	perm := f.mode & 0o777
	out, err := dirs.create(f.path, perm)
	if err != nil {
		return w.collision(f.path, err)
	}
	defer func() {
		if closing := out.close(); err == nil && closing != nil {
			err = in(f.path, closing)
		}
	}()
	id, err := w.fill(ctx, out, i, data)
	if err != nil {
		return in(f.path, cause(err))
	}
	st, err := out.settle(perm)
	if err != nil {
		return in(f.path, err)
	}
	w.entries[i] = release.Entry{
		Path: f.path, Mode: f.mode, Kind: release.Tagged, Size: st.Size, ID: id.String(),
		Inode: st.Ino, MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(),
	}
	w.advance(f.size)
	return nil
}

// makeLinks makes the symlinks, when all that is written through a path has been written.
func (w *writer) makeLinks(ctx context.Context) error {
	for _, l := range w.plan.links {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, name, err := w.dirs[0].enter(l.path)
		if err != nil {
			return err
		}
		if err := d.Symlink(l.target, name); err != nil {
			return w.collision(l.path, err)
		}
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		w.entries = append(w.entries, release.Entry{
			Path: l.path, Mode: release.ModeSymlink, Kind: release.Tagged, Size: int64(len(l.target)), ID: l.id.String(),
			Inode: st.Inode, MTime: st.MTime, CTime: st.CTime,
		})
		w.advance(int64(len(l.target)))
	}
	return nil
}

// statDirs takes the stat data of the directories, which changed with all that was put into them.
func (w *writer) statDirs(context.Context) error {
	for _, p := range w.plan.dirs {
		d, name, err := w.dirs[0].enter(p)
		if err != nil {
			return err
		}
		st, err := d.Lstat(name)
		if err != nil {
			return err
		}
		w.entries = append(w.entries, release.Entry{
			Path: p, Mode: release.ModeDir, Kind: release.Tagged, Inode: st.Inode, MTime: st.MTime, CTime: st.CTime,
		})
	}
	return nil
}

// sorted are the entries, sorted by path. Those of files are in order, but where a tree is not.
func (w *writer) sorted() []release.Entry {
	byPath := func(a, b release.Entry) int { return cmp.Compare(a.Path, b.Path) }
	files, rest := w.entries[:len(w.plan.files)], slices.Clone(w.entries[len(w.plan.files):])
	if !slices.IsSortedFunc(files, byPath) {
		slices.SortFunc(files, byPath)
	}
	slices.SortFunc(rest, byPath)
	for at := len(w.entries) - 1; len(rest) > 0; at-- { // the last first, so that nothing is overwritten that is still to be moved
		last := &rest
		if len(files) > 0 && byPath(files[len(files)-1], rest[len(rest)-1]) > 0 {
			last = &files
		}
		w.entries[at] = (*last)[len(*last)-1]
		*last = (*last)[:len(*last)-1]
	}
	return w.entries
}

// steps is how often progress is told, about.
const steps = 200

func (w *writer) advance(bytes int64) {
	if w.tell == nil {
		return
	}
	w.telling.Lock()
	defer w.telling.Unlock()
	w.done += bytes
	if total := w.plan.Bytes; w.done-w.told > total/steps || w.done == total && w.told != total {
		w.told = w.done
		w.tell(w.done, total)
	}
}
