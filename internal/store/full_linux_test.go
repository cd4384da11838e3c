package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/release"
)

// inPrivateMounts runs the test again in a process whose mounts nobody else sees and which go with it, and is true there.
func inPrivateMounts(t *testing.T) bool {
	t.Helper()
	const mark = "REL_TEST_PRIVATE_MOUNTS"
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
	}
	return false
}

// fill takes every free inode and then every free block of the file system that dir is on.
func fill(t *testing.T, dir string) {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	blocks, err := os.OpenFile(filepath.Join(dir, "blocks"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(t, err)
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
		for err == nil || errors.Is(err, unix.ENOSPC) {
			if _, err = blocks.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	must(t, blocks.Close())
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("there is room for a block still: %v", err)
	}
	if err := os.Symlink("x", filepath.Join(dir, "link")); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("there is room for a link still: %v", err)
	}
}

// switchWhenFull makes two releases on an empty small file system, fills it, and goes forth and back.
func switchWhenFull(t *testing.T, dir string, l Layout) {
	r := open(t, dir, l)
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	fillers := filepath.Join(r.Dir, "fill")
	from := a
	for i, to := range []release.ID{b, a, b, a} {
		fill(t, fillers)
		switch {
		case l.Gap:
			h, err := r.open()
			must(t, err, h.releases.RenameNoReplace(string(to), h.state, swapName), r.switchWithGap(h, from, nil), h.close())
		default:
			warning, err := r.Switch(to, from, nil)
			if warning != nil {
				t.Logf("warning of switch %d: %v", i, warning)
			}
			must(t, err)
		}
		wantLive(t, r, to, a, b)
		must(t, r.Settle(to, from))
		wantLive(t, r, to, a, b)
		from = to
	}
	fill(t, fillers)
	must(t, r.Clear(a))
	wantLive(t, r, "", a, b)
	must(t, r.Settle("", a))
	wantLive(t, r, a, a, b)
	fill(t, fillers)
	must(t, r.Remove(b)) // and this makes room
	wantReleases(t, r, a)
	must(t, os.RemoveAll(fillers))
}

func fullLayouts() map[string]Layout {
	all := layouts()
	all["gap"] = Layout{Mode: ModeDirectory, Live: "rel", Gap: true}
	return all
}

func TestSwitchOnAFullTmpfs(t *testing.T) {
	if !inPrivateMounts(t) {
		return
	}
	dir := t.TempDir()
	must(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16m,nr_inodes=200"))
	t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	for name, l := range fullLayouts() {
		t.Run(name, func(t *testing.T) {
			sub := filepath.Join(dir, name)
			must(t, os.Mkdir(sub, 0o755))
			switchWhenFull(t, sub, l)
			must(t, os.RemoveAll(sub))
		})
	}
}

func TestSwitchOnAFullExt4(t *testing.T) {
	if !inPrivateMounts(t) {
		return
	}
	for name, l := range fullLayouts() {
		t.Run(name, func(t *testing.T) {
			dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
			must(t, os.WriteFile(image, nil, 0o600), os.Truncate(image, 32<<20))
			for _, args := range [][]string{
				{"mkfs.ext4", "-q", "-N", "200", "-m", "0", image},
				{"mount", "-o", "loop", image, dir},
			} {
				if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
					t.Skipf("%s: %v: %s", strings.Join(args, " "), err, out)
				}
			}
			t.Cleanup(func() { must(t, unix.Unmount(dir, unix.MNT_DETACH)) })
			switchWhenFull(t, dir, l)
		})
	}
}

// The live path may be a mount point: it can't be exchanged, which is said, and nothing has changed.
func TestSwitchWithoutExchange(t *testing.T) {
	if !inPrivateMounts(t) {
		return
	}
	r := open(t, t.TempDir(), Layout{Mode: ModeDirectory, Live: "rel"})
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	must(t, unix.Mount(r.LivePath(), r.LivePath(), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(r.LivePath(), unix.MNT_DETACH)) })
	before := tree(t, r.Dir)
	_, err := r.Switch(b, a, nil)
	wantExit(t, err, release.ExitError, "can't exchange directories here")
	if !errors.Is(err, disk.ErrNoExchange) || len(release.Hints(err)) == 0 {
		t.Error(err, release.Hints(err))
	}
	if after := tree(t, r.Dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	wantLive(t, r, a, a, b)
}

// Taking over what can't be exchanged with a link needs two renames, and those need live.gap.
func TestAdoptWithoutExchange(t *testing.T) {
	if !inPrivateMounts(t) {
		return
	}
	r := open(t, t.TempDir(), Layout{})
	write(t, filepath.Join(r.LivePath(), "file"), "x")
	must(t, unix.Mount(r.LivePath(), r.LivePath(), "", unix.MS_BIND, ""))
	t.Cleanup(func() { must(t, unix.Unmount(r.LivePath(), unix.MNT_DETACH)) })
	before := tree(t, r.Dir)
	_, err := r.Adopt(testTime)
	wantExit(t, err, release.ExitError, "can't exchange directories here")
	if after := tree(t, r.Dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}
