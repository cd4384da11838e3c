// Package disktest gives tests file systems of their own, and fills them.
package disktest

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
)

// InPrivateMounts runs the test again in a process whose mounts nobody else sees and which go with it, and is true there. It skips
// the test where that may not be done.
func InPrivateMounts(t *testing.T) bool {
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
	default:
		t.Logf("%s", out)
	}
	return false
}

// Mount makes a file system in an image of that size, which is in memory, with mkfs and its arguments, and mounts it at dir until
// the test ends.
func Mount(t *testing.T, dir string, size int64, mkfs ...string) {
	t.Helper()
	if _, err := exec.LookPath(mkfs[0]); err != nil {
		t.Skip(mkfs[0] + ": not found (Debian package e2fsprogs)")
	}
	memory := t.TempDir()
	if err := unix.Mount("tmpfs", memory, "tmpfs", 0, ""); err != nil {
		t.Skip("mount: ", err)
	}
	t.Cleanup(func() { unmount(t, memory) })
	image := filepath.Join(memory, "image")
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, size)); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{append(mkfs, image), {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	t.Cleanup(func() { unmount(t, dir) })
}

func unmount(t *testing.T, dir string) {
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Error(err)
	}
}

// Fill takes every free inode and then every free block of the file system that dir is on, with files in dir, which it makes.
func Fill(t *testing.T, dir string) {
	t.Helper()
	if err := fill(dir); err != nil {
		t.Fatal(err)
	}
	var free unix.Statfs_t
	if err := unix.Statfs(dir, &free); err != nil || free.Bavail > 0 || free.Ffree > 0 {
		t.Fatalf("%s: %d blocks and %d inodes are free still: %v", dir, free.Bavail, free.Ffree, err)
	}
}

func fill(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var fillers [2]*os.File // the second takes what the first has no block left to address
	for i := range fillers {
		name := filepath.Join(dir, fmt.Sprint("blocks", i))
		if fillers[i], err = os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return err
		}
		defer fillers[i].Close()
	}
	for i := len(entries); err == nil; i++ { // while the directory can still grow
		err = unix.Mknod(filepath.Join(dir, fmt.Sprint("inode", i)), unix.S_IFREG|0o600, 0)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	for _, f := range fillers {
		for _, size := range []int{1 << 20, 4096, 512, 1} {
			for err = nil; err == nil; {
				_, err = f.Write(make([]byte, size))
			}
			if !errors.Is(err, unix.ENOSPC) {
				return err
			}
		}
	}
	return nil
}
