package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/disk/disktest"
	"github.com/git-rel/rel/internal/release"
)

// switchWhenFull makes two releases on an empty small file system, fills it, and goes forth and back.
func switchWhenFull(t *testing.T, dir string, l Layout) {
	r := open(t, dir, l)
	a, b := stage(t, r, 1), stage(t, r, 2)
	doSwitch(t, r, a, "")
	fillers := filepath.Join(r.Dir, "fill")
	from := a
	for i, to := range []release.ID{b, a, b, a} {
		disktest.Fill(t, fillers)
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
	disktest.Fill(t, fillers)
	must(t, r.Clear(a))
	wantLive(t, r, "", a, b)
	must(t, r.Settle("", a))
	wantLive(t, r, a, a, b)
	disktest.Fill(t, fillers)
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
	if !disktest.InPrivateMounts(t) {
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
	if !disktest.InPrivateMounts(t) {
		return
	}
	for name, l := range fullLayouts() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disktest.Mount(t, dir, 32<<20, "mkfs.ext4", "-q", "-N", "200", "-m", "0")
			switchWhenFull(t, dir, l)
		})
	}
}

// The live path may be a mount point: it can't be exchanged, which is said, and nothing has changed.
func TestSwitchWithoutExchange(t *testing.T) {
	if !disktest.InPrivateMounts(t) {
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
	if !disktest.InPrivateMounts(t) {
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

// Where releases is a mount of its own nothing can be renamed from it into .rel.
func TestNoSpareWhereReleasesIsAMount(t *testing.T) {
	if !disktest.InPrivateMounts(t) {
		return
	}
	for _, flags := range []uintptr{0, unix.MS_BIND} {
		r := open(t, t.TempDir(), Layout{})
		if !r.KeepsSpare() {
			t.Error("no spare is kept in a root without mounts")
		}
		at := filepath.Join(r.Dir, releasesName)
		must(t, unix.Mount(at, at, "tmpfs", flags, ""))
		t.Cleanup(func() { must(t, unix.Unmount(at, unix.MNT_DETACH)) })
		if r.KeepsSpare() {
			t.Errorf("mount flags %#x: a spare is kept", flags)
		}
	}
}
