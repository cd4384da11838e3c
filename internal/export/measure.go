package export

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/git-rel/rel/internal/objects"
	"github.com/git-rel/rel/internal/release"
)

// measure finds the sizes of all files and adds them up, and finds the content that Git LFS keeps.
func (p *Plan) measure(ctx context.Context) error {
	if err := p.takeSizes(ctx); err != nil {
		return err
	}
	if err := parallel(ctx, cores(), len(p.order), func(_, i int) error { return p.measureFile(&p.files[p.order[i]]) }); err != nil {
		return err
	}
	p.Files = len(p.files) + len(p.links)
	p.Inodes = int64(p.Files+len(p.dirs)) + 1
	for _, f := range p.files {
		p.Bytes += f.size
	}
	for _, l := range p.links {
		p.Bytes += int64(len(l.target))
	}
	return p.locateContent(ctx)
}

// takeSizes takes the sizes that Source.Former knows, and puts the files in order: first those, then the others as the packs have
// them.
func (p *Plan) takeSizes(ctx context.Context) error {
	known, others := make([]int, 0, len(p.files)), []int(nil)
	for i := range p.files {
		f := &p.files[i]
		if f.same {
			f.size, known = f.was.Size, append(known, i)
		} else {
			f.size, others = unknown, append(others, i)
		}
	}
	others, err := p.inPackOrder(ctx, others)
	p.order, p.known = append(known, others...), len(known) > 0
	return err
}

// settleOrder puts all files that are left to write in the order of the packs.
func (p *Plan) settleOrder(ctx context.Context) (err error) {
	if p.known {
		p.order, err = p.inPackOrder(ctx, p.order)
		p.known = false
	}
	return err
}

// unknown is a size.
const unknown = -1

func (p *Plan) measureFile(f *file) error {
	if f.size == unknown {
		kind, size, err := f.in.Store.Header(f.id)
		if err != nil {
			return in(f.path, err)
		}
		if kind != objects.KindBlob {
			return release.Errorf(release.ExitRefused, "%s: a %s where a file should be", shown(f.path), kind).
				Hint("git fsck %s shows what is wrong with the repository", f.in.commit)
		}
		f.size = size
	}
	if f.size > rawOver && !f.conv.subst {
		f.conv = conversion{}
	}
	return p.measurePointer(f)
}

// inPackOrder are these indices of files in the order in which the packs have their blobs: bases of deltas are then still at hand,
// and files with the same content come together.
func (p *Plan) inPackOrder(ctx context.Context, files []int) ([]int, error) {
	err := parallel(ctx, cores(), len(files), func(_, n int) error {
		f := &p.files[files[n]]
		var ok bool
		if f.pack, f.offset, ok = f.in.Store.Position(f.id); !ok {
			f.pack = -1
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	order := slices.Clone(files)
	slices.SortFunc(order, func(a, b int) int {
		f, g := &p.files[a], &p.files[b]
		return cmp.Or(cmp.Compare(f.in.number, g.in.number), cmp.Compare(f.pack, g.pack), cmp.Compare(f.offset, g.offset), cmp.Compare(a, b))
	})
	return order, nil
}

// cores is how many workers there should be. It may change while rel runs.
func cores() int { return runtime.GOMAXPROCS(0) }

// parallel calls do for 0 to n-1 by so many workers until a call fails or ctx ends. do is told the number of the worker that calls.
func parallel(ctx context.Context, workers, n int, do func(worker, i int) error) error {
	var next atomic.Int64
	var once sync.Once
	var first error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for worker := range min(workers, n) {
		all.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				err := ctx.Err()
				if err == nil {
					err = do(worker, i)
				}
				if err != nil {
					once.Do(func() { first = err; cancel() })
					return
				}
			}
		})
	}
	all.Wait()
	return first
}
