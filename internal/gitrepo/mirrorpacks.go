package gitrepo

import (
	"context"
	"os"
	"path/filepath"

	"github.com/git-rel/rel/internal/disk"
)

const (
	manyPacks = 20       // from here on they are put together
	bigPack   = 32 << 20 // bytes; one of that size stays as it is, so that this never takes long
)

// Repack puts the packs of a mirror together where they are many: each fetch leaves one, and whoever opens the mirror maps them all. No
// object is dropped. Readers are in nobody's way; nobody else may write.
func (m Mirror) Repack(ctx context.Context) error { return m.repack(ctx, manyPacks, bigPack) }

func (m Mirror) repack(ctx context.Context, many int, big int64) error {
	entries, err := os.ReadDir(filepath.Join(m.Dir, "objects", "pack"))
	if err != nil {
		return err
	}
	packs, args := 0, []string{"repack", "-d", "--quiet", "--geometric=2"}
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".pack" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		packs++
		if info.Size() >= big {
			args = append(args, "--keep-pack="+entry.Name())
		}
	}
	if packs < many {
		return nil
	}
	return m.git(ctx, args...)
}

// Remove removes the mirror. What a crash leaves of it is no mirror any more, and goes with the next one of its name.
func (m Mirror) Remove() error {
	gone := m.Dir + unfinished
	if err := disk.RemoveAll(gone); err != nil {
		return err
	}
	if err := os.Rename(m.Dir, gone); err != nil {
		return err
	}
	return disk.RemoveAll(gone)
}
