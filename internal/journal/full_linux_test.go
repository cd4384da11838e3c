package journal

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/disk/disktest"
)

// onTinyDisks runs test in a .rel directory on file systems of its own, of 24 MiB and few inodes.
func onTinyDisks(t *testing.T, test func(t *testing.T, dir string)) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			if os.Getuid() != 0 {
				t.Skip("mounting needs root")
			}
			dir := t.TempDir()
			args := []string{"-t", "tmpfs", "-o", "size=24m,nr_inodes=64", "tmpfs", dir}
			if kind == "ext4" {
				args = []string{"-o", "loop", ext4Image(t), dir}
			}
			if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
				t.Skipf("mounting %s: %v: %s", kind, err, out)
			}
			t.Cleanup(func() {
				if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
					t.Errorf("%v: %s", err, out)
				}
			})
			test(t, dir)
		})
	}
}

func ext4Image(t *testing.T) string {
	t.Helper()
	mkfs, err := exec.LookPath("mkfs.ext4")
	if err != nil {
		t.Skip("mkfs.ext4 is missing: package e2fsprogs")
	}
	image := filepath.Join(t.TempDir(), "image")
	must(t, os.WriteFile(image, nil, 0o600))
	must(t, os.Truncate(image, 24<<20))
	if out, err := exec.Command(mkfs, "-q", "-F", "-m", "0", "-N", "64", image).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return image
}

func makeReserve(t *testing.T, dir string) {
	t.Helper()
	if made, err := disk.MakeReserve(dir); err != nil || !made {
		t.Fatalf("reserve: %v, %v", made, err)
	}
}

// With no free block and no free inode runs are recorded and told, without the reserve even, as long as what is allocated
// ahead lasts.
func TestFullDisk(t *testing.T) { onTinyDisks(t, fullDisk) }

func fullDisk(t *testing.T, dir string) {
	j := open(t, dir)
	makeReserve(t, dir)
	finish(t, j, 1)
	disktest.Fill(t, filepath.Join(dir, "fill"))
	for n := 2; n <= 40; n++ {
		finish(t, j, n)
	}
	if _, err := os.Stat(filepath.Join(dir, "reserve")); err != nil {
		t.Errorf("the reserve was used: %v", err)
	}
	j = reopen(t, j)
	finish(t, j, 41)
	if got := numbers(t, dir, 3); !slices.Equal(got, []int{41, 40, 39}) {
		t.Errorf("got %v", got)
	}
}

// A tail that a crash tore is mended on a full disk too.
func TestFullDiskTornTail(t *testing.T) { onTinyDisks(t, fullDiskTornTail) }

func fullDiskTornTail(t *testing.T, dir string) {
	j := open(t, dir)
	makeReserve(t, dir)
	finish(t, j, 1)
	slotOnly(t, j, 2)
	must(t, j.Close())
	disktest.Fill(t, filepath.Join(dir, "fill"))
	f, err := os.OpenFile(filepath.Join(dir, historyName), os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(`{"run":2,"comm`)
	must(t, errors.Join(err, f.Close()))
	j = open(t, dir)
	finish(t, j, 3)
	if got := numbers(t, dir, 0); !slices.Equal(got, []int{3, 2, 1}) || len(lines(t, dir)) != 3 {
		t.Errorf("got %v", got)
	}
}

// When what is allocated ahead is used up the reserve goes, then runs wait in the journal; when there is space again they
// are appended in order, and the reserve comes back.
func TestFullDiskUntilTheReserveIsGone(t *testing.T) { onTinyDisks(t, fullDiskUntilTheReserveIsGone) }

func fullDiskUntilTheReserveIsGone(t *testing.T, dir string) {
	j := open(t, dir)
	makeReserve(t, dir)
	disktest.Fill(t, filepath.Join(dir, "fill"))
	n := 0
	last := func(want string) (wait *NotYetInHistory) {
		t.Helper()
		for range 1000 {
			n++
			must(t, j.Write(sampleRecord(n, Begun)))
			run := sampleRun(n)
			run.Error = strings.Repeat("x", 4000)
			err := j.Finish(run)
			_, noReserve := os.Stat(filepath.Join(dir, "reserve"))
			switch {
			case errors.As(err, &wait):
				return wait
			case err != nil:
				t.Fatal(err)
			case want == "reserve" && noReserve != nil:
				return wait
			}
		}
		t.Fatalf("%s: nothing happened in %d runs", want, n)
		return wait
	}
	if wait := last("reserve"); wait != nil {
		t.Fatalf("run %d waits while there was a reserve: %v", n, wait)
	}
	// Somebody else takes what the reserve gave.
	must(t, os.RemoveAll(filepath.Join(dir, "fill")))
	disktest.Fill(t, filepath.Join(dir, "fill"))
	wait := last("wait")
	if wait.Run != n || !errors.Is(wait, syscall.ENOSPC) {
		t.Fatalf("got %v at run %d", wait, n)
	}
	n++
	must(t, j.Write(sampleRecord(n, Begun)))
	if err := j.Finish(sampleRun(n)); !errors.As(err, &wait) || wait.Run != n-1 {
		t.Fatalf("got %v", err)
	}
	j = reopen(t, j)
	if pending := j.waiting(); len(pending) != 2 || len(lines(t, dir)) != n-2 {
		t.Fatalf("%d pending, %d lines of %d runs", len(pending), len(lines(t, dir)), n)
	}
	if made, err := disk.MakeReserve(dir); made || err != nil {
		t.Fatalf("reserve on a full disk: %v, %v", made, err)
	}
	if err := SaveLedger(dir, newLedger()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("ledger on a full disk: %v", err)
	}
	must(t, os.RemoveAll(filepath.Join(dir, "fill")))
	must(t, j.flushHistory())
	runs, err := Tail(dir, 0)
	must(t, err)
	if len(runs) != n || runs[0].Run != n || len(lines(t, dir)) != n {
		t.Errorf("%d runs, newest %d, %d lines, want %d", len(runs), runs[0].Run, len(lines(t, dir)), n)
	}
	makeReserve(t, dir)
}
