package e2e

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk/disktest"
	"github.com/git-rel/rel/internal/release"
)

// Going back works with no free block and no free inode, as often as there is a release to go to; an activation is refused.
func TestRollbackOnAFullTmpfs(t *testing.T) {
	if !disktest.InPrivateMounts(t) {
		return
	}
	for name, o := range modes() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=32m,nr_inodes=600"))
			t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
			o.root = filepath.Join(dir, "srv")
			s := newSite(t, o)
			s.tag("v1.0", "v1.1", "v1.2", "v1.3")
			for _, tag := range []string{"v1.0", "v1.1", "v1.2"} {
				s.want(release.ExitDone, "activate", tag)
			}
			for _, tag := range []string{"v1.1", "v1.0"} {
				disktest.Fill(t, filepath.Join(dir, "fill"))
				s.says(s.want(release.ExitDone, "rollback"), tag) // the second has no space for a log
				s.wantLive(tag)
			}
			disktest.Fill(t, filepath.Join(dir, "fill"))
			said := s.start("activate", "v1.3")
			if code := said.wait(); code != release.ExitRefused && code != release.ExitError {
				t.Error(said)
			}
			s.wantLive("v1.0")
			must(t, os.RemoveAll(filepath.Join(dir, "fill")))
			s.want(release.ExitDone, "activate", "v1.3")
			s.wantLive("v1.3")
			runs := s.historyOf()
			for i, run := range runs {
				if run.Run != len(runs)-i || run.Outcome == "" {
					t.Errorf("%+v", run)
				}
			}
		})
	}
}
