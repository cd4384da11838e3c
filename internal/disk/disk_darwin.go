package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// SyncFS is not to be had on this system: the error is errors.ErrUnsupported, and each file must be synced.
func SyncFS(dir *os.File) error {
	return fmt.Errorf("%s: sync of its file system: %w", dir.Name(), errors.ErrUnsupported)
}

// Preallocate does nothing on this system.
func Preallocate(*os.File, int64) error { return nil }

func statAt(dir int, name string) (Stat, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW) }); err != nil {
		return Stat{}, err
	}
	return Stat{
		Ident: Ident{Inode: st.Ino, Birth: st.Btim.Nano()}, Device: uint64(st.Dev), Links: uint64(st.Nlink), Mode: uint32(st.Mode), Size: st.Size, Blocks: st.Blocks,
		MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(), UID: st.Uid, GID: st.Gid,
	}, nil
}

func blockSize(st *unix.Statfs_t) int64 { return int64(st.Bsize) }

func exchangeAt(aDir int, a string, bDir int, b string) error {
	err := retry(func() error { return unix.RenameatxNp(aDir, a, bDir, b, unix.RENAME_SWAP) })
	return noExchange(a, b, err)
}

func renameNoReplaceAt(fromDir int, from string, toDir int, to string) error {
	err := retry(func() error { return unix.RenameatxNp(fromDir, from, toDir, to, unix.RENAME_EXCL) })
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		err = renamePlainNoReplace(fromDir, from, toDir, to)
	}
	if err != nil {
		return fmt.Errorf("%s to %s: %w", from, to, err)
	}
	return nil
}

func openBeneath(dir int, rel string, flags int, mode uint32) (int, error) {
	return walkBeneath(dir, rel, flags, mode)
}

// openWithin opens what must be on dir's own file system.
func openWithin(dir int, rel string, flags int) (int, error) {
	var outer, inner unix.Stat_t
	fd, err := walkBeneath(dir, rel, flags, 0)
	if err != nil {
		return -1, err
	}
	err = errors.Join(unix.Fstat(dir, &outer), unix.Fstat(fd, &inner))
	if err == nil && outer.Dev != inner.Dev {
		err = unix.EXDEV
	}
	if err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func chmodNoFollow(dir int, name string, mode uint32) error {
	return retry(func() error { return unix.Fchmodat(dir, name, mode, unix.AT_SYMLINK_NOFOLLOW) })
}

// fileFlags are a file's flags as chflags knows them.
func fileFlags(fd int) (uint32, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &st) })
	return st.Flags, err
}
