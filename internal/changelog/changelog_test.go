package changelog

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

const full = `# Changelog

All notable changes.

## [Unreleased]

### Added

- A door. See [the plan][plan].

### Changed

<!-- nothing yet
## [9.9.9]
-->

### Fixed

- A window:

` + "  ```\n  ## [8.8.8] is no heading\n  ```" + `

## [1.2.0] - 2026-05-04

- Older.

## [1.1.0] - 2026-01-02 [YANKED]

[Unreleased]: https://example.org/shop/compare/v1.2.0...HEAD
[1.2.0]: https://example.org/shop/compare/v1.1.0...v1.2.0
[plan]: https://example.org/plan
`

var day = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)

func parse(t *testing.T, text string) *Log {
	t.Helper()
	l, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestUnreleasedIsNotes(t *testing.T) {
	want := "### Added\n\n- A door. See [the plan][plan].\n\n### Fixed\n\n- A window:\n\n  ```\n  ## [8.8.8] is no heading\n  ```"
	l := parse(t, full)
	if got := l.Unreleased(); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	for _, none := range []string{"8.8.8", "9.9.9", "1.3.0"} {
		if _, ok := l.Section(none); ok {
			t.Errorf("section %s was found", none)
		}
	}
	if text, ok := l.Section("v1.2.0"); !ok || text != "- Older." {
		t.Errorf("v1.2.0: %q, %v", text, ok)
	}
	if text, ok := l.Section("1.1.0"); !ok || text != "" {
		t.Errorf("1.1.0: %q, %v", text, ok)
	}
	if d, ok := l.Date("1.1.0"); !ok || d.Format(time.DateOnly) != "2026-01-02" {
		t.Errorf("1.1.0: %v, %v", d, ok)
	}
	if _, ok := l.Date("Unreleased"); ok {
		t.Error("Unreleased has a date")
	}
}

func TestUnreleasedEmpty(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":      "",
		"no section":   "# Changelog\n\n## 1.0.0\n- x\n",
		"empty":        "## Unreleased\n\n## 1.0.0\n- x\n",
		"headings":     "## [Unreleased]\n### Added\n#### Deep\n### Changed\n\n## [1.0.0]\n- x\n",
		"comment":      "## [Unreleased]\n<!-- write here -->\n",
		"links":        "## [Unreleased]\n\n[Unreleased]: https://e.org/compare/v1...HEAD\n",
		"open comment": "## [Unreleased]\n<!-- never closed\n- x\n",
	} {
		if got := parse(t, text).Unreleased(); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestPromote(t *testing.T) {
	for _, c := range []struct{ name, tag, in, want string }{
		{
			"links", "v1.3.0", full, strings.NewReplacer(
				"## [Unreleased]\n", "## [Unreleased]\n\n## [1.3.0] - 2026-11-23\n",
				"/v1.2.0...HEAD\n", "/v1.3.0...HEAD\n[1.3.0]: https://example.org/shop/compare/v1.2.0...v1.3.0\n",
			).Replace(full),
		},
		{"bare, with v", "v1.1", "## Unreleased\n- x\n\n## v1.0 (2025-01-01)\n", "## Unreleased\n\n## v1.1 - 2026-11-23\n- x\n\n## v1.0 (2025-01-01)\n"},
		{"first", "v0.1.0", "## [unreleased]\n- x", "## [unreleased]\n\n## [0.1.0] - 2026-11-23\n- x"},
		{"no line ending", "v0.1.0", "## Unreleased", "## Unreleased\n\n## 0.1.0 - 2026-11-23\n"},
		{"CRLF", "1.1", "## [Unreleased]\r\n- x\r\n[unreleased]: u/compare/1.0..main", "## [Unreleased]\r\n\r\n## [1.1] - 2026-11-23\r\n- x\r\n" +
			"[unreleased]: u/compare/1.1..main\r\n[1.1]: u/compare/1.0..1.1\r\n"},
		{"monorepo", "shop/v1.1", "## [Unreleased]\n- x\n\n[Unreleased]: <u/compare/shop/v1.0...HEAD>\n", "## [Unreleased]\n\n## [shop/v1.1] - 2026-11-23\n- x\n\n" +
			"[Unreleased]: <u/compare/shop/v1.1...HEAD>\n[shop/v1.1]: u/compare/shop/v1.0...shop/v1.1\n"},
		{"link compares nothing", "v1", "## [Unreleased]\n[Unreleased]: https://e.org/commits\n", "## [Unreleased]\n\n## [1] - 2026-11-23\n[Unreleased]: https://e.org/commits\n"},
		{"dated", "2026.11.23-1", "## [Unreleased]\n- x\n", "## [Unreleased]\n\n## [2026.11.23-1] - 2026-11-23\n- x\n"},
		{"version is there", "v1.2.0", full, full},
		{"no section", "v1.2.0", "# Changes\n", "# Changes\n"},
	} {
		if got := string(parse(t, c.in).Promote(c.tag, day)); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	if _, err := Parse([]byte("a\nb\x00")); !errors.Is(err, ErrBinary) || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("binary: %v", err)
	}
	_, err := Parse([]byte("## Unreleased\n\n## [Unreleased]\n"))
	if err == nil || err.Error() != "line 3: a second Unreleased section; the first is in line 1" {
		t.Errorf("twice: %v", err)
	}
}

func TestHeadingName(t *testing.T) {
	for line, want := range map[string]string{
		"## [1.2.0](https://e.org) (2026-01-02)": "1.2.0",
		"## v1.2.0 (2026-01-02)":                 "v1.2.0",
		"  ## Version 1.2.0: the door ##":        "1.2.0",
		"## Release 7":                           "7",
		"##\tUnreleased":                         "Unreleased",
		"##":                                     "",
	} {
		level, text := heading(line)
		if got := headingName(text); level != 2 || got != want {
			t.Errorf("%s: level %d, %q", line, level, got)
		}
	}
	for _, line := range []string{"##1.2.0", "    ## 1.2.0", "####### x", "text"} {
		if level, _ := heading(line); level != 0 {
			t.Errorf("%q: level %d", line, level)
		}
	}
}

// FuzzParse holds what Promote promises: no byte is lost, the other sections are untouched, and the new one has what
// Unreleased had.
func FuzzParse(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(strings.ReplaceAll(full, "\n", "\r\n")))
	f.Add([]byte("## Unreleased"))
	f.Add([]byte("## [Unreleased]\n~~~\n## x\n~~~~\n[unreleased]: a/compare/b...c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		before, err := Parse(data)
		if err != nil {
			return
		}
		const tag = "v987.6.5"
		_, there := before.find(tag)
		u, has := before.find(unreleased)
		out := before.Promote(tag, day)
		if there || !has {
			if !bytes.Equal(out, data) {
				t.Fatalf("changed: %q", out)
			}
			return
		}
		after, err := Parse(out)
		if err != nil {
			t.Fatalf("promoted no longer parses: %v\n%q", err, out)
		}
		if text, ok := after.Section(tag); !ok || text != before.Unreleased() || after.Unreleased() != "" {
			t.Fatalf("section %q, unreleased %q, was %q", text, after.Unreleased(), before.Unreleased())
		}
		if len(after.sections) != len(before.sections)+1 || !bytes.HasPrefix(out, data[:u.body]) {
			t.Fatalf("sections %d → %d, or the head changed: %q", len(before.sections), len(after.sections), out)
		}
		if !subsequence(withoutLink(data, before), out) {
			t.Fatalf("bytes of %q are lost in %q", data, out)
		}
	})
}

// withoutLink is data without the URL that Promote may renew.
func withoutLink(data []byte, l *Log) []byte {
	return append(bytes.Clone(data[:l.link.start]), data[l.link.end:]...)
}

func subsequence(part, whole []byte) bool {
	for _, b := range part {
		at := bytes.IndexByte(whole, b)
		if at < 0 {
			return false
		}
		whole = whole[at+1:]
	}
	return true
}
