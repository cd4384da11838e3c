package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
)

// inPrivateMounts runs the test again in a process whose mounts nobody else sees and which go with it, and is true there.
func inPrivateMounts(t *testing.T) bool {
	t.Helper()
	const mark = "E2E_PRIVATE_MOUNTS"
	if os.Getenv(mark) == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, unix.EPERM):
		t.Skip("needs a mount namespace of its own: ", err)
	case err != nil:
		t.Errorf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	default:
		t.Logf("%s", out)
	}
	return false
}

// fill takes every free inode and every free block of the file system that dir is on.
func fill(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	blocks, err := os.OpenFile(filepath.Join(dir, "blocks"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
	defer blocks.Close()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for i := len(entries); ; i++ {
		err := unix.Mknod(filepath.Join(dir, fmt.Sprint("inode", i)), unix.S_IFREG|0o600, 0)
		if errors.Is(err, unix.ENOSPC) {
			break
		}
		must(t, err)
	}
	for size := 1 << 20; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = blocks.Write(make([]byte, size))
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatal(err)
		}
	}
	var free unix.Statfs_t
	must(t, unix.Statfs(dir, &free))
	if free.Bavail > 0 || free.Ffree > 0 {
		t.Fatalf("%d blocks and %d inodes are free still", free.Bavail, free.Ffree)
	}
}

// Going back works with no free block and no free inode, as often as there is a release to go to; an activation is refused.
func TestRollbackOnAFullTmpfs(t *testing.T) {
	if !inPrivateMounts(t) {
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
				fill(t, filepath.Join(dir, "fill"))
				s.says(s.want(release.ExitDone, "rollback"), tag) // the second has no space for a log
				s.wantLive(tag)
			}
			fill(t, filepath.Join(dir, "fill"))
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
