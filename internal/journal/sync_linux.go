package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// syncData makes what was written to f last, its size included.
func syncData(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	err = conn.Control(func(fd uintptr) {
		for syncErr = unix.EINTR; errors.Is(syncErr, unix.EINTR); {
			syncErr = unix.Fdatasync(int(fd))
		}
	})
	if err == nil && syncErr != nil {
		err = &os.PathError{Op: "fdatasync", Path: f.Name(), Err: syncErr}
	}
	return err
}
