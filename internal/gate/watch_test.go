package gate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// apacheLine is a line of Apache's error log.
func apacheLine(at time.Time, level, text string) string {
	return fmt.Sprintf("[%s] [perl:%s] [pid %d] %s\n", at.Format("Mon Jan 02 15:04:05.000000 2006"), level, at.Nanosecond()%30000, text)
}

func TestLogWatch(t *testing.T) {
	now := time.Now()
	cart := apacheLine(now.Add(-time.Hour), "error", "no cart in /srv/releases/20261123T000000Z-v1.3/Cart.pm line 3")
	for _, c := range []struct {
		name, before string
		rotated      bool // before is in the file that the log was until a moment ago
		after        string
		kinds        int
		said         string
		quote        []string
	}{
		{"nothing", cart, false, "", 0, "no error in LOG", nil},
		{"no error", cart, false, "fine\n[x:notice] fine\n", 0, "no error in LOG", nil},
		{"the same kind", cart, false, apacheLine(now, "error", "no cart in /srv/releases/20261124T000000Z-autumn/Cart.pm line 31"), 0, "no new kind of error in LOG", nil},
		{"the same kind before the rotation", cart, true, apacheLine(now, "error", "no cart in /srv/releases/20261124T000000Z-autumn/Cart.pm line 31"), 0, "no new kind of error in LOG", nil},
		{"a new kind", cart, false, "fine\n[error] no shop\n  at Shop.pm\n", 1, "a new kind of error in LOG: [error] no shop", []string{"[error] no shop", "  at Shop.pm"}},
		{"after one of the same kind", "[error] 1\n", false, "[error] 2\n[error] no shop\n", 1, "a new kind of error in LOG: [error] no shop", []string{"[error] no shop"}},
		{"in an empty log", "", false, "[error] no shop\n", 1, "a new kind of error in LOG: [error] no shop", []string{"[error] no shop"}},
		{"not ended", "", false, "[error] no shop", 1, "a new kind of error in LOG: [error] no shop", []string{"[error] no shop"}},
		{"two kinds", "", false, "[error] no shop 1\n[error] no shop 2\n[error] no cart\n", 2, "a new kind", []string{"[error] no shop 1", "[error] no shop 2", "[error] no cart"}},
		{"one's own", "", false, "cart: empty\n", 1, "a new kind of error in LOG: cart: empty", []string{"cart: empty"}},
		{"ignored", "", false, "[error] robots.txt\n[error] robots.txt\n", 0, "no error in LOG", nil},
		{
			"a traceback", "Traceback (most recent call last):\n  File \"a.py\"\nKeyError: 1\n", false,
			"Traceback (most recent call last):\n  File \"a.py\"\nshop.NoCart: 1\n", 1, "a new kind of error in LOG: shop.NoCart: 1",
			[]string{"shop.NoCart: 1"},
		},
		{"hostile", "", false, "[error] \x1b[2J\xff\x00" + strings.Repeat("x", 1<<19) + "\n", 1, "a new kind of error in LOG: [error] \x1b[2J\xff\x00xxx", nil},
		{"a flood", "", false, strings.Repeat("[error] no shop\n", 20_000), 1, "a new kind", slices.Repeat([]string{"[error] no shop"}, quoteLines)},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := Log{Path: filepath.Join(t.TempDir(), "error.log")}
			appendTo(t, log.Path, c.before)
			if c.rotated {
				must(t, os.Rename(log.Path, log.Path+".1"))
				appendTo(t, log.Path, "")
				appendTo(t, log.Path+".2.gz", "not this one")
			}
			mark, err := log.Mark(t.Context())
			must(t, err)
			rules := LogRules{Fail: []*regexp.Regexp{regexp.MustCompile("^cart: ")}, Ignore: []*regexp.Regexp{regexp.MustCompile("robots")}}
			w, err := log.Watch(t.Context(), mark, rules)
			must(t, err)
			must(t, w.Look(t.Context(), false))
			appendTo(t, log.Path, c.after)
			must(t, w.Look(t.Context(), true))
			r := w.Report()
			if r.Kinds != c.kinds || r.New() != (c.kinds > 0) {
				t.Errorf("%+v", r)
			}
			if got, want := r.String(), strings.ReplaceAll(c.said, "LOG", log.Path); !strings.HasPrefix(got, want) || len(got) > len(log.Path)+quoteBytes+60 {
				t.Errorf("%q, want %q", got, want)
			}
			if c.quote != nil && !slices.Equal(r.Quote, c.quote) {
				t.Errorf("%q, want %q", r.Quote, c.quote)
			}
		})
	}
}

// The same kind of error as before is news where there are more of it.
func TestLogWatchRate(t *testing.T) {
	quiet, busy := "", ""
	for minute := range 30 {
		at := time.Now().Add(time.Duration(minute-30) * time.Minute)
		quiet += apacheLine(at, "error", "no cart")
		for second := range 60 {
			busy += strings.Repeat(apacheLine(at.Add(time.Duration(second)*time.Second), "error", "no cart"), 3)
		}
	}
	for name, c := range map[string]struct {
		before string
		errors int
		more   bool
	}{
		"as before":    {quiet, 2, false},
		"more":         {quiet, 600, true},
		"busy":         {busy, 3, false},
		"busier":       {busy, 3000, true},
		"without time": {strings.Repeat("[error] no cart\n", 50), 3000, false},
		"a moment":     {apacheLine(time.Now(), "error", "no cart"), 3000, false},
	} {
		t.Run(name, func(t *testing.T) {
			log := Log{Path: filepath.Join(t.TempDir(), "error.log")}
			appendTo(t, log.Path, c.before)
			mark, err := log.Mark(t.Context())
			must(t, err)
			w, err := log.Watch(t.Context(), mark, LogRules{})
			must(t, err)
			line := "[error] no cart\n"
			if strings.HasPrefix(c.before, "[") && !strings.HasPrefix(c.before, line) {
				line = apacheLine(time.Now(), "error", "no cart")
			}
			appendTo(t, log.Path, strings.Repeat(line, c.errors))
			must(t, w.Look(t.Context(), true))
			if r := w.Report(); r.Kinds != 0 || r.More != c.more || c.more && !strings.HasPrefix(r.String(), "more errors in "+log.Path) {
				t.Errorf("%+v: %s", r, r)
			}
		})
	}
}

func TestTimeOf(t *testing.T) {
	for line, want := range map[string]string{
		"[Tue Nov 24 00:04:05.123456 2026] [x]": "2026-11-24 00:04:05", "[Tue Nov  3 00:04:05 2026] x": "2026-11-03 00:04:05",
		"2026/11/24 00:04:05 [error]": "2026-11-24 00:04:05", "E, [2026-11-24T00:04:05.1 #7]": "2026-11-24 00:04:05",
		"2026-11-24 00:04:05,123 ERROR": "2026-11-24 00:04:05", "[24-Nov-2026 00:04:05 UTC] PHP": "2026-11-24 00:04:05",
		"Nov 24 00:04:05 host app[3]: x": "0000-11-24 00:04:05", "no time": "", "2026-99-99 00:00:00": "",
	} {
		at, ok := timeOf(line)
		if got := at.Format(time.DateTime); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %s %t", line, got, ok)
		}
	}
}

// What cannot be read is said, and no verdict.
func TestLogWatchUnreadable(t *testing.T) {
	log := Log{Path: t.TempDir()}
	if w, err := log.Watch(t.Context(), LogMark{Path: log.Path}, LogRules{}); err == nil || w.Report().New() {
		t.Errorf("%v %+v", err, w.Report())
	}
	gone := Log{Path: filepath.Join(t.TempDir(), "no", "log")}
	mark, err := gone.Mark(t.Context())
	must(t, err)
	w, err := gone.Watch(t.Context(), mark, LogRules{})
	must(t, err)
	must(t, w.Look(t.Context(), true))
	if w.Report().New() {
		t.Errorf("%+v", w.Report())
	}
}

// What was there before is read while nothing is stopped yet: a mebibyte of an Apache's log.
func BenchmarkLogWatch(b *testing.B) {
	log, text := Log{Path: filepath.Join(b.TempDir(), "error.log")}, strings.Builder{}
	for i := 0; text.Len() < logWindow; i++ {
		text.WriteString(apacheLine(time.Now().Add(time.Duration(i)*time.Millisecond), "error", fmt.Sprintf("no cart %d at lib/Shop.pm line %d.", i, i%9)))
	}
	if err := os.WriteFile(log.Path, []byte(text.String()), 0o644); err != nil {
		b.Fatal(err)
	}
	mark, err := log.Mark(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(logWindow)
	for b.Loop() {
		if _, err := log.Watch(b.Context(), mark, LogRules{}); err != nil {
			b.Fatal(err)
		}
	}
}
