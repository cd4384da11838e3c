package ui

import (
	"strings"
	"testing"
	"unicode"
)

// Nothing that a terminal acts on gets through, and wrapping loses nothing but spaces.
func FuzzText(f *testing.F) {
	for _, s := range []string{"v1.4", "a\x1b[2J", "日本語 \u202e x", "\xff\xfe", "a  b   c", strings.Repeat("x", 90)} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := Escape(s)
		for _, r := range got {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q became %q", s, got)
			}
		}
		if Escape(got) != got {
			t.Fatalf("%q is not escaped to the end", got)
		}
		if n < 2 || n > 200 {
			return
		}
		lines := wrap(got, n)
		for _, line := range lines {
			if width(line) > n {
				t.Fatalf("%q in %d columns: %q", got, n, lines)
			}
		}
		squeeze := func(s string) string { return strings.ReplaceAll(s, " ", "") }
		if squeeze(strings.Join(lines, "")) != squeeze(got) {
			t.Fatalf("%q in %d columns lost something: %q", got, n, lines)
		}
		if w := width(cut(got, n)); w > n {
			t.Fatalf("%q cut to %d has %d columns", got, n, w)
		}
		output(s)
	})
}
