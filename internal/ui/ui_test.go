package ui

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/git-rel/rel/internal/release"
)

// screen is a Printer on buffers.
type screen struct {
	*Printer
	out, err bytes.Buffer
}

func newScreen(t *testing.T, change func(*Options)) *screen {
	t.Helper()
	s := &screen{}
	o := Options{
		Out: Stream{W: &s.out}, Err: Stream{W: &s.err}, Location: time.UTC,
		Getenv: func(name string) string { return map[string]string{"TERM": "xterm"}[name] },
	}
	if change != nil {
		change(&o)
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Printer = p
	return s
}

func terminal(width int) func(*Options) {
	return func(o *Options) {
		o.Out.Terminal, o.Out.Width, o.Err.Terminal, o.Err.Width = true, width, true, width
		o.Color = "never"
	}
}

func same(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n%s\nwant:\n%s\n(%q)", what, got, want, got)
	}
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		mode     string
		terminal bool
		env      map[string]string
		want     bool
	}{
		{"auto", true, map[string]string{"TERM": "xterm"}, true},
		{"", true, map[string]string{"TERM": "xterm"}, true},
		{"auto", false, map[string]string{"TERM": "xterm"}, false},
		{"auto", true, map[string]string{"TERM": "dumb"}, false},
		{"auto", true, map[string]string{}, false},
		{"auto", true, map[string]string{"TERM": "xterm", "NO_COLOR": "1"}, false},
		{"never", true, map[string]string{"TERM": "xterm"}, false},
		{"always", false, map[string]string{"TERM": "dumb", "NO_COLOR": "1"}, true},
	} {
		s := newScreen(t, func(o *Options) {
			o.Color, o.Err.Terminal, o.Getenv = c.mode, c.terminal, func(name string) string { return c.env[name] }
		})
		s.Err(errors.New("x"))
		if got := strings.Contains(s.err.String(), "\x1b["); got != c.want {
			t.Errorf("%+v: coloured %v", c, got)
		}
	}
	if _, err := New(Options{Color: "blue"}); release.ExitCode(err) != release.ExitUsage {
		t.Errorf("--color blue: %v", err)
	}
}

func TestErr(t *testing.T) {
	s := newScreen(t, nil)
	s.Err(nil)
	s.Err(release.Errorf(1, "rel.toml:3: unknown key\n    [\x1b[31mhelth]").Hint("did you mean %q?", "health"))
	same(t, "stderr", s.err.String(), "rel: rel.toml:3: unknown key\n    [\\x1b[31mhelth]\nhint: did you mean \"health\"?\n")
	same(t, "stdout", s.out.String(), "")
}

func TestLinesAndQuiet(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		s := newScreen(t, func(o *Options) { o.Quiet = quiet })
		s.Line("v1.%d\x07\nnext", 4)
		s.Info("working")
		s.Warn("odd")
		same(t, "stdout", s.out.String(), "v1.4\\x07\nnext\n")
		want := "working\nwarning: odd\n"
		if quiet {
			want = "warning: odd\n"
		}
		same(t, "stderr", s.err.String(), want)
	}
}

func TestJSON(t *testing.T) {
	s := newScreen(t, nil)
	if err := s.JSON(map[string]string{"tag": "a<b\u202e\U000e0001é\x1b"}); err != nil {
		t.Fatal(err)
	}
	same(t, "stdout", s.out.String(), "{\n  \"tag\": \"a<b\\u202e\\udb40\\udc01é\\u001b\"\n}\n")
	if err := s.JSON(func() {}); err == nil {
		t.Error("a function was written as JSON")
	}
}

func TestCloseReportsTheFirstWriteError(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	s := newScreen(t, func(o *Options) { o.Out = FileStream(f) })
	s.Line("lost")
	if err := s.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"v1.4": "v1.4", "Grüße 日本": "Grüße 日本", "a\x1b[2Jb": `a\x1b[2Jb`, "a\nb\tc\r": `a\nb\tc\r`, "\u202eevil": `\u202eevil`,
		"\u200b": `\u200b`, "\u2066x": `\u2066x`, "\x9b31m": `\x9b31m`, "\u009b": `\u009b`, "a\xff": `a\xff`, "\x7f": `\x7f`, "\U000e0041": `\U000e0041`, "\u2028": `\u2028`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
	same(t, "output", output("\tx\x1b[0m\ty\r\n"), `        x\x1b[0m        y`)
}

func TestShell(t *testing.T) {
	for in, want := range map[string]string{"v1.4": "v1.4", "": "''", "a$(b)": "'a$(b)'", "it's": `'it'\''s'`, "feature/x": "feature/x"} {
		if got := Shell(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 ms", 400 * time.Microsecond: "0 ms", 38 * time.Millisecond: "38 ms", 499 * time.Millisecond: "499 ms",
		612 * time.Millisecond: "0.6 s", 59940 * time.Millisecond: "59.9 s", 59960 * time.Millisecond: "1 min", 125 * time.Second: "2 min 5 s",
		time.Hour: "1 h", 200 * time.Minute: "3 h 20 min", 98 * time.Hour: "4 d 2 h", -time.Second: "-1.0 s",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 3_140_000: "3.1 MB", 999_960: "1.0 MB", 5e9: "5.0 GB", 2e12: "2.0 TB", 5e15: "5000.0 TB"} {
		if got := Size(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 files", 1: "1 file", 999: "999 files", 4983: "4,983 files", 1234567: "1,234,567 files", -1000: "-1,000 files"} {
		if got := Count(n, "file"); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	now := time.Date(2026, 11, 23, 2, 8, 45, 0, time.UTC)
	for d, want := range map[time.Duration]string{
		-time.Second: "just now", 59 * time.Second: "just now", 5 * time.Minute: "5 min ago", 3 * time.Hour: "3 h ago", 25 * time.Hour: "1 day ago", 72 * time.Hour: "3 days ago",
	} {
		if got := Ago(now.Add(-d), now); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	s := newScreen(t, nil)
	same(t, "time", s.Time(now)+s.Time(time.Time{}), "2026-11-23 02:08")
}

func TestTable(t *testing.T) {
	s := newScreen(t, nil)
	rows := [][]string{
		{"v1.4", "20261123T020845Z-v1.4", "live", "a subject with\x1b[0m control"},
		{"v1.3", "", "previous", "  indented"},
		{"v1.2"},
	}
	if err := s.Table([]string{"tag", "release", "state", "subject"}, rows); err != nil {
		t.Fatal(err)
	}
	same(t, "table", s.out.String(), ""+
		"TAG   RELEASE                STATE     SUBJECT\n"+
		"v1.4  20261123T020845Z-v1.4  live      a subject with\\x1b[0m control\n"+
		"v1.3                         previous    indented\n"+
		"v1.2\n")
	if rows[0][3] != "a subject with\x1b[0m control" {
		t.Error("the caller's rows were changed")
	}
}

func TestTableFitsTheTerminal(t *testing.T) {
	rows := [][]string{
		{"v1.4", "20261123T020845Z-v1.4", "live", "the quick brown fox jumps over the lazy dog 日本語日本語"},
		{"v1.3", "20261123T010000Z-v1.3", "failed", "short"},
	}
	for _, colour := range []string{"never", "always"} {
		for _, width := range []int{200, 80, 60, 45, 30, 10} {
			s := newScreen(t, func(o *Options) { o.Out.Width, o.Out.Terminal, o.Color = width, true, colour })
			if err := s.Table([]string{"tag", "release", "state", "subject"}, rows); err != nil {
				t.Fatal(err)
			}
			fewest := 4 + len("release") + minColumn + len("subject") + 3*gap
			for line := range strings.Lines(s.out.String()) {
				if w := widthOf(strings.TrimSuffix(line, "\n")); w > max(width, fewest) {
					t.Errorf("width %d, colour %s: a line of %d: %q", width, colour, w, line)
				}
				if strings.HasSuffix(line, " \n") {
					t.Errorf("trailing space: %q", line)
				}
			}
			seen := strings.Join(strings.Fields(s.out.String()), "")
			if width == 200 && !strings.Contains(seen, "thequickbrownfoxjumpsoverthelazydog日本語日本語") {
				t.Errorf("width %d leaves something out:\n%s", width, s.out.String())
			}
		}
	}
	s := newScreen(t, terminal(60))
	if err := s.Table([]string{"tag", "release", "state", "subject"}, rows); err != nil {
		t.Fatal(err)
	}
	same(t, "narrow", s.out.String(), ""+
		"TAG   RELEASE                STATE   SUBJECT\n"+
		"v1.4  20261123T020845Z-v1.4  live    the quick brown fox\n"+
		"                                     jumps over the lazy dog\n"+
		"                                     日本語日本語\n"+
		"v1.3  20261123T010000Z-v1.3  failed  short\n")
}

// A long table is laid out without the table writer, and nobody can tell.
func TestLongTableLooksTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"", "v1.4", "日本", "a b", "\x1b[2mlive\x1b[0m", "20261123T020845Z-v1.4", "one\ntwo\nthree", "é"})
		head := rapid.SliceOfN(rapid.SampledFrom([]string{"TAG", "STATE", "\x1b[2mOUTCOME\x1b[0m"}), 1, 5).Draw(t, "head")
		cells := rapid.SliceOfN(rapid.SliceOfN(word, len(head), len(head)), 0, 6).Draw(t, "cells")
		want, err := render(head, cells)
		if err != nil {
			t.Fatal(err)
		}
		if got := layOut(head, cells); got != want {
			t.Fatalf("%q\n%q", got, want)
		}
	})
}

func widthOf(s string) int { return width(s) }

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		text string
		n    int
		want []string
	}{
		{"", 5, []string{""}},
		{"abcde", 5, []string{"abcde"}},
		{"abcdefgh", 3, []string{"abc", "def", "gh"}},
		{"ab cd ef", 5, []string{"ab cd", "ef"}},
		{"日本語", 4, []string{"日本", "語"}},
		{"日本", 1, []string{"日", "本"}},
	} {
		if got := wrap(c.text, c.n); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q in %d: %q", c.text, c.n, got)
		}
	}
}

func TestFields(t *testing.T) {
	s := newScreen(t, nil)
	s.Fields([][2]string{{"live", "v1.4"}, {"services", "web up\njobs down"}, {"drift", ""}})
	same(t, "fields", s.out.String(), "live      v1.4\nservices  web up\n          jobs down\ndrift\n")
}

func TestStateIsColoured(t *testing.T) {
	s := newScreen(t, func(o *Options) { o.Color = "always" })
	if err := s.Table([]string{"state", "tag"}, [][]string{{"live", "live"}, {"odd", "v1"}}); err != nil {
		t.Fatal(err)
	}
	same(t, "table", s.out.String(), "\x1b[2mSTATE\x1b[0m  \x1b[2mTAG\x1b[0m\n\x1b[1;32mlive\x1b[0m   live\nodd    v1\n")
}
