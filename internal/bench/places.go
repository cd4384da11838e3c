//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// place is a file system to export to.
type place struct {
	name    string
	dir     string
	skipped string // why there is none
}

// imageSize is of the sparse files that hold ext4 and XFS.
const imageSize = 16 << 30

// places are the file systems, made as far as they can be: root mounts them, in mounts of its own.
func (b *bench) places(ctx context.Context) []place {
	private := privateMounts()
	all := []place{{name: "tmpfs"}, {name: "ext4"}, {name: "xfs"}}
	for i := range all {
		at := &all[i]
		at.dir = filepath.Join(b.scratch, at.name)
		var err error
		switch {
		case !b.wants(at.name) && (!b.wants("commands") && !b.wants("pushes") || at.name == "xfs"):
			at.skipped = "not asked for"
		case private:
			err = b.mount(ctx, at)
		case at.name == "tmpfs":
			err = b.sharedMemory(at)
		default:
			at.skipped = "only root can mount it"
		}
		if err != nil {
			at.skipped = err.Error()
		}
	}
	return all
}

// privateMounts tells whether this process is root in mounts of its own, where nothing that it mounts outlives it.
func privateMounts() bool {
	own, err := os.Readlink("/proc/self/ns/mnt")
	parents, err2 := os.Readlink(fmt.Sprintf("/proc/%d/ns/mnt", os.Getppid()))
	return os.Geteuid() == 0 && err == nil && err2 == nil && own != parents
}

func (b *bench) mount(ctx context.Context, at *place) error {
	if err := os.Mkdir(at.dir, 0o755); err != nil {
		return err
	}
	if at.name == "tmpfs" {
		return run(ctx, "mount", "-t", "tmpfs", "-o", "size=75%,nr_inodes=0", "rel-bench", at.dir)
	}
	image := at.dir + ".img"
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, imageSize); err != nil {
		return err
	}
	mkfs := []string{"mkfs.xfs", "-q", image}
	if at.name == "ext4" { // nothing is left for the kernel to do while times are taken
		mkfs = []string{"mkfs.ext4", "-q", "-i", "8192", "-E", "lazy_itable_init=0,lazy_journal_init=0", image}
	}
	if err := run(ctx, mkfs...); err != nil {
		return err
	}
	return run(ctx, "mount", "-o", "loop", image, at.dir)
}

// sharedMemory is where those who may not mount find a tmpfs.
func (b *bench) sharedMemory(at *place) error {
	at.dir = shared(b.scratch)
	if !isTmpfs(filepath.Dir(at.dir)) {
		return errors.New(filepath.Dir(at.dir) + " is no tmpfs, and only root can mount one")
	}
	return os.Mkdir(at.dir, 0o755)
}

func shared(scratch string) string { return filepath.Join("/dev/shm", filepath.Base(scratch)) }

func isTmpfs(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(dir, &st) == nil && st.Type == unix.TMPFS_MAGIC
}
