package export

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/git-rel/rel/internal/disk"
	"github.com/git-rel/rel/internal/objects"
)

// mostOpen is how many directories are open at a time, in all workers together: a quarter of what this process may have, at most
// 4096. Packs may have the files of a directory far from each other.
func mostOpen() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 256
	}
	return int(min(limit.Cur/4, 4096))
}

// bufSize is the size up to which a file's content is held in memory that is used again.
const bufSize = 256 << 10

// readMemory is what all workers together read blobs into, in bytes.
const readMemory = 32 << 20

// openDirs are the directories that one worker has open, and its memory. A file is opened by its name from the directory it is in,
// which costs half of what its whole path does.
type openDirs struct {
	root *disk.Dir
	most int
	at   map[string]*disk.Dir
	buf  []byte           // for the content of a file
	read *objects.Scratch // for the content of many files
}

// enter opens the directory that path lies in, and tells path's last part. The directory is good until the next call.
func (o *openDirs) enter(path string) (*disk.Dir, string, error) {
	slash := strings.LastIndexByte(path, '/')
	if slash < 0 {
		return o.root, path, nil
	}
	dir, name := path[:slash], path[slash+1:]
	if d, ok := o.at[dir]; ok {
		return d, name, nil
	}
	if len(o.at) >= o.most { // in pack order directories come by turns: what was open long ago is not wanted more than others
		if err := o.close(); err != nil {
			return nil, "", err
		}
	}
	d, err := o.root.Dir(dir)
	if err != nil {
		return nil, "", err
	}
	if o.at == nil {
		o.at = make(map[string]*disk.Dir)
	}
	o.at[dir] = d
	return d, name, nil
}

// close closes all but the root.
func (o *openDirs) close() error {
	var errs []error
	for _, d := range o.at {
		errs = append(errs, d.Close())
	}
	clear(o.at)
	return errors.Join(errs...)
}

// create makes a file that is not there yet. Its name is a single one, which the survey has seen to, and O_EXCL follows no link.
func (o *openDirs) create(path string, perm uint32) (outFile, error) {
	d, name, err := o.enter(path)
	if err != nil {
		return -1, err
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	for {
		fd, err := unix.Openat(int(d.File().Fd()), name, flags, perm)
		if err == nil {
			return outFile(fd), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return -1, fmt.Errorf("%s: %w", d.Path(name), err)
		}
	}
}

// outFile is the descriptor of a file being written. An os.File takes as long to make as the file itself.
type outFile int

// Write is io.Writer.
func (f outFile) Write(data []byte) (done int, err error) {
	for done < len(data) {
		n, err := unix.Write(int(f), data[done:])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return done, err
		case n == 0:
			return done, io.ErrShortWrite
		default:
			done += n
		}
	}
	return done, nil
}

// settle gives the file exactly the permissions perm, which umask or an inherited ACL may have cut, and returns its stat data.
func (f outFile) settle(perm uint32) (st unix.Stat_t, err error) {
	if err := unix.Fstat(int(f), &st); err != nil {
		return st, err
	}
	if uint32(st.Mode)&0o7777 == perm {
		return st, nil
	}
	if err := unix.Fchmod(int(f), perm); err != nil {
		return st, err
	}
	return st, unix.Fstat(int(f), &st)
}

// close closes the file. After EINTR it is closed too.
func (f outFile) close() error {
	if err := unix.Close(int(f)); err != nil && !errors.Is(err, unix.EINTR) {
		return err
	}
	return nil
}
