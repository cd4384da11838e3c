package gate

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	_, err = f.WriteString(text)
	must(t, err)
	must(t, f.Close())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLogSince(t *testing.T) {
	long := strings.Repeat("the same old line\n", 20)
	tests := []struct {
		name   string
		before string // content at the mark; "-" for no file
		then   func(t *testing.T, log string)
		want   []string
	}{
		{"nothing new", "a\n", func(*testing.T, string) {}, nil},
		{"missing then and now", "-", func(*testing.T, string) {}, nil},
		{"missing then", "-", func(t *testing.T, log string) { appendTo(t, log, "x\ny\n") }, []string{"x", "y"}},
		{"grown", "a\n", func(t *testing.T, log string) { appendTo(t, log, "x\ny\n") }, []string{"x", "y"}},
		{"last line not ended", "a\n", func(t *testing.T, log string) { appendTo(t, log, "x\ny") }, []string{"x", "y"}},
		{"raw bytes, empty line", "", func(t *testing.T, log string) { appendTo(t, log, "\x1b[31m\xff\n\nz\n") }, []string{"\x1b[31m\xff", "", "z"}},
		{"renamed", "a\n", func(t *testing.T, log string) {
			appendTo(t, log, "old\n")
			must(t, os.Rename(log, log+".1"))
			appendTo(t, log, "new\n")
		}, []string{"old", "new"}},
		{"renamed with a date", "a\n", func(t *testing.T, log string) {
			appendTo(t, log, "old\n")
			must(t, os.Rename(log, log+"-20261123"))
			appendTo(t, log+".1", "something else\n")
			appendTo(t, log, "new\n")
		}, []string{"old", "new"}},
		{"renamed and nothing new", "a\n", func(t *testing.T, log string) {
			appendTo(t, log, "old\n")
			must(t, os.Rename(log, log+".1"))
		}, []string{"old"}},
		{"removed and made again", "a\nb\n", func(t *testing.T, log string) {
			must(t, os.Remove(log))
			appendTo(t, log, "A\nB\nC\n")
		}, []string{"A", "B", "C"}},
		{"truncated", long, func(t *testing.T, log string) {
			must(t, os.Truncate(log, 0))
			appendTo(t, log, "new\n")
		}, []string{"new"}},
		{"truncated and grown past the mark", "a\nb\n", func(t *testing.T, log string) {
			must(t, os.Truncate(log, 0))
			appendTo(t, log, "1\n2\n3\n")
		}, []string{"1", "2", "3"}},
		{"copied and truncated", long, func(t *testing.T, log string) {
			appendTo(t, log, "old\n")
			data, err := os.ReadFile(log)
			must(t, err)
			appendTo(t, log+".1", string(data))
			must(t, os.Truncate(log, 0))
			appendTo(t, log, "new\n")
		}, []string{"old", "new"}},
		{"empty at the mark, another log beside it", "", func(t *testing.T, log string) {
			appendTo(t, log+".1", "never ours\n")
			must(t, os.Rename(log, log+".2"))
			appendTo(t, log, "new\n")
		}, []string{"new"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "error.log")
			if tt.before != "-" {
				appendTo(t, log, tt.before)
			}
			mark, err := markFile(log)
			must(t, err)
			stored, err := json.Marshal(mark)
			must(t, err)
			mark = LogMark{}
			must(t, json.Unmarshal(stored, &mark))
			tt.then(t, log)
			got, err := (Log{Path: mark.Path}).Since(t.Context(), mark, 0)
			must(t, err)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestLogSinceIsBounded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "error.log")
	mark, err := markFile(log)
	must(t, err)
	appendTo(t, log, strings.Repeat(strings.Repeat("x", 99)+"\n", 30_000)+"the end\n")
	all, err := (Log{Path: mark.Path}).Since(t.Context(), mark, 0)
	must(t, err)
	if n := len(all); n > logWindow/100+1 || len(all[0]) != 99 {
		t.Errorf("%d lines, the first of %d bytes", n, len(all[0]))
	}
	few, err := (Log{Path: mark.Path}).Since(t.Context(), mark, 2)
	must(t, err)
	if len(few) != 2 || few[1] != "the end" {
		t.Errorf("got %q", few)
	}
}

func TestLogNext(t *testing.T) {
	log := filepath.Join(t.TempDir(), "error.log")
	mark, err := markFile(log)
	must(t, err)
	var got []string
	for _, step := range []func(){
		func() { appendTo(t, log, "one\ntw") },
		func() {},
		func() { appendTo(t, log, "o\n") },
		func() { appendTo(t, log, "three\n"); must(t, os.Rename(log, log+".1")) },
		func() {},
		func() { appendTo(t, log, "four\n") },
		func() { must(t, os.Truncate(log, 0)) },
		func() { appendTo(t, log, "five\n") },
	} {
		step()
		var lines []string
		lines, mark, err = (Log{Path: mark.Path}).Next(t.Context(), mark, 0)
		must(t, err)
		got = append(got, lines...)
	}
	if want := []string{"one", "two", "three", "four", "five"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestLogOddPaths(t *testing.T) {
	dir := t.TempDir()
	mark, err := Log{}.Mark(t.Context())
	must(t, err)
	if lines, err := (Log{}).Since(t.Context(), mark, 5); err != nil || lines != nil {
		t.Errorf("of no path: %q, %v", lines, err)
	}
	fifo := filepath.Join(dir, "fifo")
	must(t, syscall.Mkfifo(fifo, 0o600))
	for _, path := range []string{fifo, dir, os.DevNull} {
		if _, err := markFile(path); err == nil || err.Error() != path+": not a regular file" {
			t.Errorf("%s: %v", path, err)
		}
	}
	log, link := filepath.Join(dir, "real.log"), filepath.Join(dir, "link.log")
	appendTo(t, log, "a\n")
	must(t, os.Symlink("real.log", link))
	mark, err = markFile(link)
	must(t, err)
	appendTo(t, log, "b\n")
	must(t, os.Rename(log, log+".1"))
	appendTo(t, log, "c\n")
	if lines, err := (Log{Path: mark.Path}).Since(t.Context(), mark, 0); err != nil || !slices.Equal(lines, []string{"b", "c"}) {
		t.Errorf("through a link: %q, %v", lines, err)
	}
}
