package disk

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// SyncFS makes everything durable that was written to the file system that dir is on. An error may be of a file that is not
// ours: the kernel does not say whose.
func SyncFS(dir *os.File) error {
	if err := retry(func() error { return unix.Syncfs(int(dir.Fd())) }); err != nil {
		return fmt.Errorf("%s: sync of its file system: %w", dir.Name(), err)
	}
	return nil
}

// Preallocate takes the blocks for size bytes, so that writing them needs none. The file's size stays. Where the file system
// can't, it does nothing and is no error.
func Preallocate(f *os.File, size int64) error {
	if size <= 0 {
		return nil
	}
	err := retry(func() error { return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size) })
	if err == nil || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return fmt.Errorf("%s: %d bytes: %w", f.Name(), size, err)
}

// statAt uses statx for the birth time, and fstatat where a sandbox forbids that.
func statAt(dir int, name string) (Stat, error) {
	var st unix.Statx_t
	const want = unix.STATX_BASIC_STATS | unix.STATX_BTIME
	err := retry(func() error { return unix.Statx(dir, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, want, &st) })
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		return oldStatAt(dir, name)
	}
	if err != nil {
		return Stat{}, err
	}
	s := Stat{
		Ident: Ident{Inode: st.Ino}, Device: unix.Mkdev(st.Dev_major, st.Dev_minor), Links: uint64(st.Nlink),
		Mode: uint32(st.Mode), Size: int64(st.Size), Blocks: int64(st.Blocks),
		MTime: nanoseconds(st.Mtime), CTime: nanoseconds(st.Ctime), UID: st.Uid, GID: st.Gid,
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.Birth = nanoseconds(st.Btime)
	}
	return s, nil
}

func oldStatAt(dir int, name string) (Stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return Stat{}, err
	}
	return Stat{
		Ident: Ident{Inode: st.Ino}, Device: st.Dev, Links: uint64(st.Nlink),
		Mode: st.Mode, Size: st.Size, Blocks: st.Blocks,
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), UID: st.Uid, GID: st.Gid,
	}, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }

func blockSize(st *unix.Statfs_t) int64 {
	if st.Frsize > 0 {
		return st.Frsize
	}
	return st.Bsize
}

func exchangeAt(aDir int, a string, bDir int, b string) error {
	err := retry(func() error { return unix.Renameat2(aDir, a, bDir, b, unix.RENAME_EXCHANGE) })
	return noExchange(a, b, err)
}

func renameNoReplaceAt(fromDir int, from string, toDir int, to string) error {
	err := retry(func() error { return unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		err = renamePlainNoReplace(fromDir, from, toDir, to)
	}
	if err != nil {
		return fmt.Errorf("%s to %s: %w", from, to, err)
	}
	return nil
}

// maxRaces bounds how often openat2 is tried again when it says that somebody renamed directories meanwhile.
const maxRaces = 1000

const resolveBeneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS

func openBeneath(dir int, rel string, flags int, mode uint32) (int, error) {
	return openat2(dir, rel, flags, mode, resolveBeneath)
}

// openWithin is openBeneath that enters no other mount.
func openWithin(dir int, rel string, flags int) (int, error) {
	return openat2(dir, rel, flags, 0, resolveBeneath|unix.RESOLVE_NO_XDEV)
}

func openat2(dir int, rel string, flags int, mode uint32, resolve uint64) (int, error) {
	// RESOLVE_NO_SYMLINKS holds for the last part too. With O_NOFOLLOW, a link there would pass for something else that is wrong.
	how := unix.OpenHow{Flags: uint64(flags &^ unix.O_NOFOLLOW), Mode: uint64(mode), Resolve: resolve}
	for range maxRaces {
		fd, err := unix.Openat2(dir, rel, &how)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
			// An old kernel, or a sandbox that forbids the call; where it was the file that forbade it, this says so again.
			return walkBeneath(dir, rel, flags, mode)
		}
		return fd, err
	}
	return -1, unix.EAGAIN
}

// chmodNoFollow changes the mode of an entry that must not be a link.
func chmodNoFollow(dir int, name string, mode uint32) error {
	err := retry(func() error { return unix.Fchmodat(dir, name, mode, unix.AT_SYMLINK_NOFOLLOW) })
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EPERM) {
		return err
	}
	// Kernels before 6.6: through a descriptor that needs no permission to be opened.
	fd, err := openAt(dir, name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return errors.Join(unix.ELOOP, err, unix.Close(fd))
	}
	err = retry(func() error { return unix.Fchmodat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(fd), mode, 0) })
	return errors.Join(err, unix.Close(fd))
}

// ownFlags are those that a file system sets by how it stores a directory (ext4: indexed, in extents, in the inode): they say
// nothing of what somebody wanted.
const ownFlags = 0x1000 | 0x80000 | 0x200000 | 0x10000000

// fileFlags are a file's flags as chattr knows them; 0 where the file system has none.
func fileFlags(fd int) (uint32, error) {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return 0, nil
	}
	return flags &^ ownFlags, err
}
