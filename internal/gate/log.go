package gate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/git-rel/rel/internal/proc"
)

const (
	logWindow      = 1 << 20 // bytes, the most that is read of one log at a time
	logFingerprint = 64      // bytes before a mark that tell whether the file is still the one that was marked
	logLine        = 4 << 10 // bytes of a line, the rest of it is dropped
)

// markFile marks the end of the log file at path as it is now. What is not a regular file (a pipe, /dev/stderr) cannot be read
// again: an error, as for a file that may not be read; the mark that comes with it gives the same error when it is read.
func markFile(path string) (LogMark, error) {
	f, info, err := openLog(path)
	if errors.Is(err, fs.ErrNotExist) {
		return LogMark{Path: path}, nil
	}
	if err != nil {
		return LogMark{Path: path}, err
	}
	defer f.Close()
	return markAt(f, path, info, info.Size())
}

func markAt(f *os.File, path string, info fs.FileInfo, offset int64) (LogMark, error) {
	before := make([]byte, min(offset, logFingerprint))
	if _, err := f.ReadAt(before, offset-int64(len(before))); err != nil {
		return LogMark{Path: path}, err
	}
	return LogMark{Path: path, Inode: inode(info), Offset: offset, Before: before}, nil
}

// read reads what a file gained after the mark; partial says whether a last line without its line end counts. Where the log was
// rotated meanwhile, the rest of the old file comes first, if it is still beside the new one and not compressed.
func (m LogMark) read(partial bool) ([]string, LogMark, error) {
	f, info, err := openLog(m.Path)
	if errors.Is(err, fs.ErrNotExist) {
		lines, err := m.rotated()
		if err != nil || len(lines) == 0 {
			return nil, m, err
		}
		return lines, LogMark{Path: m.Path}, nil // what follows is in a file that is still to come
	}
	if err != nil {
		return nil, m, err
	}
	defer f.Close()
	if m.continues(f, info) {
		lines, end, err := readLines(f, m.Offset, info.Size(), partial)
		if err != nil {
			return nil, m, err
		}
		next, err := markAt(f, m.Path, info, end)
		return lines, next, err
	}
	old, err := m.rotated()
	if err != nil {
		return nil, m, err
	}
	lines, end, err := readLines(f, 0, info.Size(), partial)
	if err != nil {
		return old, m, err
	}
	next, err := markAt(f, m.Path, info, end)
	return append(old, lines...), next, err
}

// continues says whether f is the file that was marked, grown or not. An inode alone would not do: it is used again after a
// deletion, and a file that was truncated may have grown past the mark.
func (m LogMark) continues(f *os.File, info fs.FileInfo) bool {
	return m.Inode != 0 && inode(info) == m.Inode && m.holds(f, info)
}

func (m LogMark) holds(f *os.File, info fs.FileInfo) bool {
	if info.Size() < m.Offset {
		return false
	}
	have := make([]byte, len(m.Before))
	if _, err := f.ReadAt(have, m.Offset-int64(len(have))); err != nil {
		return false
	}
	return bytes.Equal(have, m.Before)
}

// rotated reads the rest of the marked file where a rotation left it: beside the log, under a name that starts with the log's.
func (m LogMark) rotated() ([]string, error) {
	if m.Inode == 0 {
		return nil, nil
	}
	path, err := filepath.EvalSymlinks(m.Path)
	if err != nil {
		path = m.Path // the log is gone; its directory may not be
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	base := filepath.Base(path)
	for _, e := range entries {
		if e.Name() == base || !strings.HasPrefix(e.Name(), base) || !e.Type().IsRegular() {
			continue
		}
		if lines, ok := m.rest(filepath.Join(filepath.Dir(path), e.Name())); ok {
			return lines, nil
		}
	}
	return nil, nil
}

// rest reads path after the mark if path is the file that was marked, or a copy of it.
func (m LogMark) rest(path string) ([]string, bool) {
	f, info, err := openLog(path)
	if err != nil {
		return nil, false // gone again, or not ours to read: as if it were not there
	}
	defer f.Close()
	if !m.holds(f, info) || inode(info) != m.Inode && m.Offset == 0 {
		return nil, false
	}
	lines, _, err := readLines(f, m.Offset, info.Size(), true)
	return lines, err == nil
}

// readLines reads the lines between two offsets, at most the last logWindow bytes of them, and says where the last one ends.
func readLines(f *os.File, from, to int64, partial bool) (lines []string, end int64, err error) {
	start := max(from, to-logWindow)
	data, err := io.ReadAll(io.NewSectionReader(f, start, to-start))
	if err != nil {
		return nil, from, err
	}
	if start > from { // the first line is cut
		cut := bytes.IndexByte(data, '\n') + 1
		data, start = data[cut:], start+int64(cut)
	}
	if !partial {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	end = start + int64(len(data))
	text := strings.TrimSuffix(string(data), "\n")
	if text == "" && len(data) == 0 {
		return nil, end, nil
	}
	lines = slices.Clip(strings.Split(text, "\n"))
	for i := range lines {
		lines[i] = shortLine(lines[i], logLine)
	}
	return lines, end, nil
}

// shortLine is the first limit bytes of a line.
func shortLine(line string, limit int) string {
	if len(line) <= limit {
		return line
	}
	for limit > 0 && !utf8.RuneStart(line[limit]) {
		limit--
	}
	return line[:limit] + "…"
}

// openLog opens a regular file; never does it wait for a pipe's other end.
func openLog(path string) (*os.File, fs.FileInfo, error) {
	var f *os.File
	err := proc.AsRoot(func() (err error) { // a log is often for root and a group of its own only
		f, err = os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return nil, nil, plain(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", path)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// plain takes the name of the system call off a file's error: "PATH: permission denied".
func plain(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", p.Path, p.Err)
	}
	return err
}

func inode(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}
