package proc

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Descendants are the live children of a process, theirs, and so on. Like Children it may miss who comes or goes meanwhile.
func Descendants(pid int) ([]Process, error) {
	found, err := Children(pid)
	for i := 0; i < len(found) && err == nil; i++ {
		var more []Process
		more, err = Children(found[i].PID)
		found = append(found, more...)
	}
	return found, err
}

// groupRoots are where control groups may be mounted: the one hierarchy, or systemd's own beside others.
var groupRoots = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"}

// InGroup are the live processes of a control group, which is named as systemd names it, "/system.slice/web.service", and of those
// beneath it. There are none in one that does not exist.
func InGroup(group string) ([]Process, error) {
	if group == "" || group == "/" { // all there are
		return nil, nil
	}
	for _, root := range groupRoots {
		top := filepath.Join(root, group)
		if _, err := os.Stat(filepath.Join(top, "cgroup.procs")); err == nil {
			return inGroups(top)
		}
	}
	return nil, nil
}

func inGroups(top string) ([]Process, error) {
	var found []Process
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return ignoreGone(err)
		}
		data, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for _, field := range strings.Fields(string(data)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			if p, err := Lookup(pid); err == nil { // else it ended, or is of another namespace: 0
				found = append(found, p)
			}
		}
		return ignoreGone(err)
	})
	return found, err
}

func ignoreGone(err error) error {
	if gone(err) {
		return nil
	}
	return err
}

// SocketHolders are the processes of the given users and root that have one of the sockets open, which are named by their inodes, as
// far as we may see. It looks through all processes, which takes some 20 µs for each that it looks into.
func SocketHolders(inodes []string, uids ...uint32) ([]Process, error) {
	var found []Process
	err := AsRoot(func() error {
		top, pids, err := names(unix.AT_FDCWD, "/proc")
		if err != nil {
			return err
		}
		defer unix.Close(top)
		for _, name := range pids {
			pid, err := strconv.Atoi(name)
			if err != nil || !belongs(top, name, uids) || !holdsSocket(top, name, inodes) {
				continue
			}
			if p, err := Lookup(pid); err == nil {
				found = append(found, p)
			}
		}
		return nil
	})
	return found, err
}

// belongs tells whether a process is one of the users'. One that has changed its user counts as root's.
func belongs(top int, pid string, uids []uint32) bool {
	var info unix.Stat_t
	err := unix.Fstatat(top, pid, &info, 0)
	return err == nil && (info.Uid == 0 || slices.Contains(uids, info.Uid))
}

// holdsSocket asks for the links of a process's descriptors, relative to their directory: resolving whole paths takes thrice as long.
func holdsSocket(top int, pid string, inodes []string) bool {
	dir, descriptors, err := names(top, pid+"/fd")
	if err != nil {
		return false // it ended, or we may not look
	}
	defer unix.Close(dir)
	var target [64]byte
	return slices.ContainsFunc(descriptors, func(name string) bool {
		n, err := unix.Readlinkat(dir, name, target[:])
		inode, ok := socketInode(string(target[:max(n, 0)]))
		return err == nil && ok && slices.Contains(inodes, inode)
	})
}

// names opens a directory and reads what is in it.
func names(at int, path string) (dir int, found []string, err error) {
	dir, err = unix.Openat(at, path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, nil, err
	}
	buffer := make([]byte, 8192)
	for {
		n, err := unix.ReadDirent(dir, buffer)
		if err != nil || n <= 0 {
			if err != nil {
				unix.Close(dir)
			}
			return dir, found, err
		}
		_, _, found = unix.ParseDirent(buffer[:n], -1, found)
	}
}
