//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// memory is a tree held in memory, by directory: writing it is the least that any export can take.
type memory struct {
	dirs  []string // a directory before what is in it
	files [][]memoryFile
}

type memoryFile struct {
	name string
	perm uint32
	link bool // then data is its target
	data []byte
}

// writeFloor reads the tree at from and, timed, writes it to the new directory dir.
func writeFloor(from, dir string) (report, error) {
	m, err := hold(from)
	if err != nil {
		return report{}, err
	}
	runtime.GC()
	before, err := usage()
	if err != nil {
		return report{}, err
	}
	began := time.Now()
	if err := m.write(dir); err != nil {
		return report{}, err
	}
	took := time.Since(began)
	after, err := usage()
	return report{Call: took, CPU: after - before, Only: true}, err
}

func hold(from string) (*memory, error) {
	m, at := &memory{}, map[string]int{}
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			at[rel] = len(m.dirs)
			m.dirs, m.files = append(m.dirs, rel), append(m.files, nil)
			return nil
		}
		f, err := holdFile(path, d)
		i := at[filepath.Dir(rel)]
		m.files[i] = append(m.files[i], f)
		return err
	})
	return m, err
}

func holdFile(path string, d fs.DirEntry) (f memoryFile, err error) {
	f.name = d.Name()
	if d.Type()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(path)
		f.link, f.data = true, []byte(target)
		return f, err
	}
	info, err := d.Info()
	if err != nil {
		return f, err
	}
	f.perm = uint32(info.Mode().Perm())
	f.data, err = os.ReadFile(path)
	return f, err
}

// write makes the directories, then fills them on every core.
func (m *memory) write(dir string) error {
	for _, p := range m.dirs {
		if err := os.Mkdir(filepath.Join(dir, p), 0o755); err != nil {
			return err
		}
	}
	next := make(chan int)
	errs := make([]error, runtime.NumCPU())
	var workers sync.WaitGroup
	for w := range errs {
		workers.Go(func() {
			for i := range next {
				errs[w] = errors.Join(errs[w], m.writeDir(filepath.Join(dir, m.dirs[i]), m.files[i]))
			}
		})
	}
	for i := range m.dirs {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}

func (m *memory) writeDir(dir string, files []memoryFile) error {
	d, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.link {
			err = unix.Symlinkat(string(f.data), d, f.name)
		} else {
			err = writeAt(d, f)
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, unix.Close(d))
}

func writeAt(d int, f memoryFile) error {
	fd, err := unix.Openat(d, f.name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, f.perm)
	if err != nil {
		return err
	}
	for rest := f.data; len(rest) > 0 && err == nil; {
		var n int
		n, err = unix.Write(fd, rest)
		rest = rest[max(n, 0):]
	}
	return errors.Join(err, unix.Close(fd))
}
