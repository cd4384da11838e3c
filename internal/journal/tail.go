package journal

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/git-rel/rel/internal/release"
)

// blockSize is what is read of the history at once.
const blockSize = 64 << 10

// Tail are the last n finished runs, newest first; all of them where n is not positive. It reads the history in the .rel
// directory dir from its end, as far as it must. Runs that are finished but only in the journal yet are among them.
func Tail(dir string, n int) ([]release.Run, error) {
	var runs []release.Run
	err := NewestFirst(dir, func(run release.Run) bool {
		runs = append(runs, run)
		return n <= 0 || len(runs) < n
	})
	return runs, err
}

// Find is the finished run of the given number; false where there is none.
func Find(dir string, number int) (found release.Run, ok bool, err error) {
	err = NewestFirst(dir, func(run release.Run) bool {
		if run.Run == number {
			found, ok = run, true
		}
		return run.Run > number
	})
	return found, ok, err
}

// FindKey is the finished run of the request with the given key, which has a higher number than after; false where there is none.
func FindKey(dir, key string, after int) (found release.Run, ok bool, err error) {
	err = NewestFirst(dir, func(run release.Run) bool {
		if run.Key == key {
			found, ok = run, true
		}
		return !ok && run.Run > after
	})
	return found, ok, err
}

// Each calls fn with every finished run whose line begins at offset from or after it, oldest first, and the offset of its
// line's end. Finished runs that are only in the journal yet come last, with offset 0. An error of
// fn ends it and is returned. The offset returned is that of the end of the last whole line.
func Each(dir string, from int64, fn func(run release.Run, end int64) error) (int64, error) {
	f, size, err := openLines(dir)
	if f == nil || err != nil {
		if err == nil {
			err = eachUnwritten(dir, 0, fn)
		}
		return 0, err
	}
	defer f.Close()
	if from < size {
		if err := eachLine(f, from, size, fn); err != nil {
			return from, err
		}
	}
	last, err := lastRun(f, size)
	if err != nil {
		return size, err
	}
	return size, eachUnwritten(dir, last, fn)
}

func eachUnwritten(dir string, last int, fn func(release.Run, int64) error) error {
	runs, err := unwritten(dir, last)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if err := fn(run, 0); err != nil {
			return err
		}
	}
	return nil
}

// eachLine calls fn with the runs of the whole lines between two offsets. Lines that are not a run's are passed over.
func eachLine(f io.ReaderAt, from, to int64, fn func(release.Run, int64) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(f, from, to-from), blockSize)
	for end := from; ; {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		end += int64(len(line))
		if run, ok := decodeLine(line); ok {
			if err := fn(run, end); err != nil {
				return err
			}
		}
	}
}

// NewestFirst calls fn with every finished run of the .rel directory dir, also those that are only in the journal yet, until it
// returns false.
func NewestFirst(dir string, fn func(release.Run) bool) error {
	f, size, err := openLines(dir)
	if err != nil {
		return err
	}
	last := 0
	if f != nil {
		defer f.Close()
		if last, err = lastRun(f, size); err != nil {
			return err
		}
	}
	runs, err := unwritten(dir, last)
	if err != nil {
		return err
	}
	for _, run := range slices.Backward(runs) {
		if !fn(run) {
			return nil
		}
	}
	if f == nil {
		return nil
	}
	return backwards(f, size, func(line []byte) bool {
		run, ok := decodeLine(line)
		return !ok || fn(run)
	})
}

// openLines opens the history in the .rel directory dir, with the offset of the end of its last whole line. Without a
// history there is no file.
func openLines(dir string) (*os.File, int64, error) {
	f, err := os.Open(filepath.Join(dir, historyName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	size, err := lineEnd(f, fi.Size())
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// lastRun is the number of the last run before offset end, 0 if there is none.
func lastRun(f io.ReaderAt, end int64) (int, error) {
	last := 0
	err := backwards(f, end, func(line []byte) bool {
		run, ok := decodeLine(line)
		last = run.Run
		return !ok
	})
	return last, err
}

// lineEnd is the offset after the last newline before offset end.
func lineEnd(f io.ReaderAt, end int64) (int64, error) {
	for end > 0 {
		block, start, err := blockBefore(f, end)
		if err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block, '\n'); i >= 0 {
			return start + int64(i) + 1, nil
		}
		end = start
	}
	return 0, nil
}

// backwards calls fn with each line before offset end, which is a line's end, last first and without newline, until fn
// returns false. The line is valid during the call only.
func backwards(f io.ReaderAt, end int64, fn func(line []byte) bool) error {
	var parts [][]byte // of a line that began before the block at hand, last first
	for end > 0 {
		block, start, err := blockBefore(f, end)
		if err != nil {
			return err
		}
		for {
			i := bytes.LastIndexByte(block, '\n')
			if i < 0 {
				break
			}
			line := joinBackwards(block[i+1:], parts)
			parts = nil
			if len(line) > 0 && !fn(line) {
				return nil
			}
			block = block[:i]
		}
		parts = append(parts, block)
		end = start
	}
	if line := joinBackwards(nil, parts); len(line) > 0 {
		fn(line)
	}
	return nil
}

// joinBackwards is head followed by parts, last first.
func joinBackwards(head []byte, parts [][]byte) []byte {
	if len(parts) == 0 {
		return head
	}
	line := slices.Clone(head)
	for _, part := range slices.Backward(parts) {
		line = append(line, part...)
	}
	return line
}

// blockBefore reads the block that ends at offset end; less of it where a writer just cut a torn line off.
func blockBefore(f io.ReaderAt, end int64) ([]byte, int64, error) {
	start := max(0, end-blockSize)
	block := make([]byte, end-start)
	n, err := f.ReadAt(block, start)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	return block[:n], start, nil
}
