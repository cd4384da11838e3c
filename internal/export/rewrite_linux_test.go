package export

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What can't be mended makes the spare useless, and nothing beyond it is touched.
func TestRewriteGivesUp(t *testing.T) {
	r := newRepo(t)
	r.write("d/file", "one\n")
	r.commit("v1")
	r.write("d/file", "two\n")
	r.commit("v2")
	t.Run("mount", func(t *testing.T) {
		was := former(t, r, "v1")
		data := t.TempDir()
		must(t, os.WriteFile(filepath.Join(data, "precious"), nil, 0o600))
		if err := unix.Mount(data, filepath.Join(was.Dir, "d"), "", unix.MS_BIND, ""); err != nil {
			t.Skipf("mount: %v", err)
		}
		t.Cleanup(func() { must(t, unix.Unmount(filepath.Join(was.Dir, "d"), 0)) })
		if _, _, err := rewrite(t, r, "v2", was); err == nil {
			t.Error("it went through a mount")
		}
		if _, err := os.Stat(filepath.Join(data, "precious")); err != nil {
			t.Error(err)
		}
	})
	t.Run("immutable", func(t *testing.T) {
		was := former(t, r, "v1")
		f, err := os.Open(filepath.Join(was.Dir, "d/file"))
		must(t, err)
		defer f.Close()
		const immutable = 0x10 // FS_IMMUTABLE_FL
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
			t.Skipf("chattr +i: %v", err)
		}
		defer func() { must(t, unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, 0)) }()
		if _, _, err := rewrite(t, r, "v2", was); err == nil {
			t.Error("it replaced a file that nobody may")
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		was := former(t, r, "v1")
		plan, err := Survey(context.Background(), r.source("v2"))
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := plan.Rewrite(ctx, was.Dir, was.Manifest, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("owner", func(t *testing.T) {
		was := former(t, r, "v1")
		if err := os.Chown(filepath.Join(was.Dir, "d"), 12345, 12345); err != nil {
			t.Skipf("chown: %v", err)
		}
		entries, kept, err := rewrite(t, r, "v1", was) // mended by making it anew, which root can
		must(t, err)
		if kept != 0 {
			t.Errorf("%d kept", kept)
		}
		sameAsWrite(t, r, "v1", was.Dir, entries)
		must(t, os.Chown(was.Dir, 12345, 12345))
		if _, _, err := rewrite(t, r, "v1", was); err == nil {
			t.Error("it took a directory of another user")
		}
	})
}
