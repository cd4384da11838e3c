package objects

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"syscall"

	"github.com/git-rel/rel/internal/disk"
)

var errEmpty = errors.New("it is empty")

// mapFile maps a whole file for reading. The mapping outlives the file's name.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if fi.Size() == 0 {
		return nil, fmt.Errorf("%s: %w", path, errEmpty)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: path, Err: err}
	}
	return data, nil
}

// unmapFile gives back what mapFile or newSpill made. Munmap refuses only what was never mapped.
func unmapFile(data []byte) {
	if data != nil {
		_ = syscall.Munmap(data)
	}
}

// newSpill is size bytes of zeros in an unlinked file of dir: memory that the kernel can write out.
func newSpill(dir string, size int64) ([]byte, error) {
	f, err := os.CreateTemp(dir, "rel-object-*")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return nil, err
	}
	if err := disk.Preallocate(f, size); err != nil { // a full disk would be a memory fault later
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, err
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, &os.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return data, nil
}

// errFault is what a mapped file gives that became shorter or that the disk cannot read.
var errFault = fmt.Errorf("a mapped file was cut short or its disk cannot be read: %w", io.ErrUnexpectedEOF)

// guarded runs f and turns a memory fault in it, which a mapped file can cause at any byte, into errFault.
func guarded(f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		r := recover()
		if r == nil {
			return
		}
		fault, ok := r.(interface{ Addr() uintptr })
		if !ok || fault.Addr() < 1<<16 { // a nil pointer is a mistake in the program
			panic(r)
		}
		err = errFault
	}()
	return f()
}
