package export

import (
	"context"
	"errors"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// sync makes all durable: by one call where the system can sync a file system, else file by file and then the directories, the
// deepest first.
func (w *writer) sync(ctx context.Context) error {
	err := disk.SyncFS(w.root.File())
	if errors.Is(err, errors.ErrUnsupported) {
		return w.syncEach(ctx)
	}
	if err != nil {
		return release.Errorf(release.ExitError, "%w", err).
			Hint("the fault may be in another file of this file system, the kernel's log says which: try again when it is mended")
	}
	return nil
}

func (w *writer) syncEach(ctx context.Context) error {
	sync := func(p string, flags int) error {
		f, err := disk.Beneath(w.root.File(), p, flags, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	}
	err := parallel(ctx, cores(), len(w.plan.files), func(_, i int) error { return sync(w.plan.files[i].path, unix.O_RDONLY) })
	if err != nil {
		return err
	}
	for _, p := range slices.Backward(w.plan.dirs) {
		if err := sync(p, unix.O_RDONLY|unix.O_DIRECTORY); err != nil {
			return err
		}
	}
	return w.root.Sync()
}
