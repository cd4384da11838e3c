package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/release"
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
		src := r.source("v2")
		src.Former = was.Manifest
		plan, err := Survey(context.Background(), src)
		must(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, _, err := plan.Rewrite(ctx, was.Dir, was.Dir+"-new", nil); !errors.Is(err, context.Canceled) {
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

// A directory hands its ACL on to all that is made in it, so one that has another than a new one must not stay.
func TestRewriteMakesDirectoriesWithAttributesAnew(t *testing.T) {
	if _, err := exec.LookPath("setfacl"); err != nil {
		t.Skip("setfacl: not found (Debian package acl)")
	}
	acl := func(args ...string) { must(t, exec.Command("setfacl", args...).Run()) }
	attributes := func(dir string) (all string) {
		must(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
			must(t, err)
			names := make([]byte, 4096)
			n, err := unix.Llistxattr(path, names)
			if err != nil && !errors.Is(err, unix.ENOTSUP) {
				t.Fatal(err)
			}
			all += fmt.Sprintf("%s %q\n", strings.TrimPrefix(path, dir), names[:max(n, 0)])
			return nil
		}))
		return all
	}
	r := newRepo(t)
	for _, path := range []string{"a/file", "a/deep/file", "b/file", "file"} {
		r.write(path, "same\n")
	}
	r.commit("v1")
	r.write("a/deep/more", "more\n")
	r.commit("v2")
	for name, c := range map[string]struct {
		change func(dir string)
		kept   int
	}{
		"default":   {func(dir string) { acl("-d", "-m", "u:nobody:rwx", filepath.Join(dir, "a/deep")) }, 3},
		"access":    {func(dir string) { acl("-m", "u:nobody:rwx", filepath.Join(dir, "a")) }, 2},
		"attribute": {func(dir string) { must(t, unix.Setxattr(filepath.Join(dir, "b"), "user.some", []byte("x"), 0)) }, 3},
		"flag":      {func(dir string) { setFlag(t, filepath.Join(dir, "b"), unix.STATX_ATTR_NODUMP) }, 3},
		"top":       {func(dir string) { acl("-d", "-m", "u:nobody:rwx", dir) }, -1},
		"all":       {func(dir string) { acl("-R", "-d", "-m", "u:nobody:rwx", filepath.Dir(dir)) }, -1}, // what a new one has now the old one has not
		"none":      {func(string) {}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			was := former(t, r, "v1")
			c.change(was.Dir)
			entries, kept, err := rewrite(t, r, "v2", was)
			if c.kept < 0 {
				if err == nil || !strings.Contains(err.Error(), "attributes") {
					t.Errorf("the top's attributes: %v", err)
				}
				return
			}
			must(t, err)
			if kept != c.kept {
				t.Errorf("%d kept, want %d", kept, c.kept)
			}
			want, _, err := export(t, r.source("v2"))
			must(t, err)
			if g, w := attributes(was.Dir), attributes(want); g != w {
				t.Errorf("attributes:\n%s\nwant\n%s", g, w)
			}
			sameAsWrite(t, r, "v2", was.Dir, entries)
		})
	}
}

// Where all that is made inherits an ACL, one release may become another.
func TestRewriteInheritsAttributes(t *testing.T) {
	if _, err := exec.LookPath("setfacl"); err != nil {
		t.Skip("setfacl: not found (Debian package acl)")
	}
	r := newRepo(t)
	r.write("a/file", "same\n")
	r.commit("v1")
	releases := t.TempDir()
	must(t, exec.Command("setfacl", "-d", "-m", "u:nobody:rwx", releases).Run())
	plan, err := Survey(context.Background(), r.source("v1"))
	must(t, err)
	dir := filepath.Join(releases, "one")
	entries, err := plan.Write(context.Background(), dir, nil)
	must(t, err)
	was := old{dir, release.Manifest{Entries: entries}}
	for _, e := range entries {
		was.Written = max(was.Written, e.CTime+1)
	}
	if _, kept, err := rewrite(t, r, "v1", was); err != nil || kept != 1 {
		t.Errorf("%d kept, %v", kept, err)
	}
}

func setFlag(t *testing.T, path string, flag int) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flag); err != nil {
		t.Skipf("chattr: %v", err)
	}
}
