package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/disk/disktest"
	"github.com/git-rel/rel/internal/release"
)

// ext2 has the coarse times that others have too, on kernels before 6.13: a file that is written twice within a tick has equal times,
// but not when a tick was awaited between.
func TestAwaitTick(t *testing.T) {
	if !disktest.InPrivateMounts(t) {
		return
	}
	dir := t.TempDir()
	disktest.Mount(t, dir, 16<<20, "mkfs.ext2", "-q")
	r := open(t, dir, Layout{})
	id := idOf(1)
	must(t, os.Mkdir(r.ReleaseDir(id), 0o755))
	file := filepath.Join(r.ReleaseDir(id), "file")
	changed := func() int64 {
		must(t, os.WriteFile(file, []byte("some"), 0o644))
		d, err := disk.OpenDir(r.ReleaseDir(id))
		must(t, err)
		st, err := d.Lstat("file")
		must(t, err, d.Close())
		return st.CTime
	}
	for range 50 {
		first := changed()
		must(t, r.AwaitTick(context.Background(), id, []release.Entry{{Path: "a", CTime: first - 1}, {Path: "file", CTime: first}, {Path: "z"}}))
		if changed() == first {
			t.Fatal("a change after the tick has the times of one before it")
		}
	}
	if names, err := os.ReadDir(r.ReleaseDir(id)); err != nil || len(names) != 1 {
		t.Errorf("%v is left, %v", names, err)
	}
}
