package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/git-rel/rel/internal/disk/disktest"
	"github.com/git-rel/rel/internal/release"
)

// A build that changes a tagged file is refused however soon it does so, also where the file system's times are coarse.
func TestBuildChangesAtOnce(t *testing.T) {
	if !disktest.InPrivateMounts(t) {
		return
	}
	dir := t.TempDir()
	disktest.Mount(t, dir, 64<<20, "mkfs.ext2", "-q")
	s := newSite(t, options{root: filepath.Join(dir, "srv"), noService: true, tables: "[build]\nrun = 'printf zz >shop.json'\n"})
	must(t, os.WriteFile(filepath.Join(s.repo, "shop.json"), []byte("aa"), 0o644))
	s.git("add", ".")
	s.git("commit", "--quiet", "-m", "The shop")
	s.git("tag", "-m", "v1.0", "v1.0")
	for range 30 {
		s.says(s.want(release.ExitRefused, "stage", "v1.0"), "the build has changed what was tagged: shop.json: content")
	}
}
