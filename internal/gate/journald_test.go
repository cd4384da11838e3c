package gate

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const journalRemote = "/lib/systemd/systemd-journal-remote"

// journalOf makes a journal that journalctl reads, and gives what adds an entry to it: a message of a unit.
func journalOf(t *testing.T) (dir string, add func(unit, priority, message string)) {
	t.Helper()
	if _, err := os.Stat(journalRemote); err != nil {
		t.Skip("needs " + journalRemote + " (Debian package systemd-journal-remote)")
	}
	real, err := exec.LookPath("journalctl")
	if err != nil {
		t.Skip("needs journalctl (Debian package systemd)")
	}
	dir = t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "journal"), 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "journalctl"), fmt.Appendf(nil, "#!/bin/sh\nexec %s --directory %s/journal \"$@\"\n", real, dir), 0o755))
	at, entries := time.Now().Add(-time.Hour), bytes.Buffer{}
	return dir, func(unit, priority, message string) {
		t.Helper()
		at = at.Add(time.Second)
		fmt.Fprintf(&entries, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\n_SYSTEMD_UNIT=%s\nPRIORITY=%s\nMESSAGE\n",
			at.UnixMicro(), at.UnixMicro(), 1, unit, priority)
		must(t, binary.Write(&entries, binary.LittleEndian, uint64(len(message))))
		fmt.Fprintf(&entries, "%s\n\n", message)
		file := filepath.Join(dir, "journal", "remote.journal")
		cmd := exec.Command(journalRemote, "--output="+file, "-")
		cmd.Stdin = bytes.NewReader(entries.Bytes())
		entries.Reset()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
}

func TestJournal(t *testing.T) {
	dir, add := journalOf(t)
	log := Log{Path: "journal:shop", Env: []string{"PATH=" + dir + ":/usr/bin:/bin"}}
	add("shop.service", "6", "old")
	add("shop.service", "3", "no cart 1")
	mark, err := log.Mark(t.Context())
	must(t, err)
	stored, err := json.Marshal(mark)
	must(t, err)
	must(t, json.Unmarshal(stored, &mark))
	w, err := log.Watch(t.Context(), mark, LogRules{})
	must(t, err)
	add("other.service", "3", "not ours")
	add("shop.service", "6", "fine")
	add("shop.service", "3", "no cart 2")
	add("shop.service", "4", "odd")
	add("shop.service", "6", "Traceback (most recent call last):\n  File \"a.py\"\nshop.NoCart: 1\n")
	add("shop.service", "6", "\x1b[2J\xff\x00binary")
	add("shop.service", "6", strings.Repeat("x", 100_000))
	lines, next, err := log.Next(t.Context(), mark, 0)
	must(t, err)
	for i := range lines {
		if len(lines[i]) < len(time.DateTime) {
			t.Fatalf("%q", lines)
		}
		lines[i] = lines[i][len(time.DateTime)+1:]
	}
	want := []string{
		"fine", "[error] no cart 2", "[warn] odd", "Traceback (most recent call last):", "  File \"a.py\"", "shop.NoCart: 1",
		"\x1b[2J\xff\x00binary", "(a message of more than 4 KiB)",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if more, _, err := log.Next(t.Context(), next, 0); err != nil || len(more) > 0 {
		t.Errorf("%q, %v", more, err)
	}
	must(t, w.Look(t.Context(), true))
	if r := w.Report(); r.Kinds != 2 || !strings.Contains(r.String(), "Traceback") {
		t.Errorf("%+v", r)
	}
	all, err := log.Since(t.Context(), LogMark{}, 3)
	must(t, err)
	if len(all) != 3 {
		t.Errorf("%q", all)
	}
}

// A mark in a journal that has nothing of the unit yet is one in time.
func TestJournalEmpty(t *testing.T) {
	dir, add := journalOf(t)
	log := Log{Path: "journal:shop.service", Env: []string{"PATH=" + dir + ":/usr/bin:/bin"}}
	add("other.service", "3", "not ours")
	mark, err := log.Mark(t.Context())
	must(t, err)
	if mark.Cursor != "" || mark.Time.IsZero() {
		t.Errorf("%+v", mark)
	}
	add("shop.service", "3", "of before") // by the time of its entry
	if lines, err := log.Since(t.Context(), mark, 0); err != nil || len(lines) > 0 {
		t.Errorf("%q, %v", lines, err)
	}
	mark.Time = mark.Time.Add(-2 * time.Hour)
	if lines, err := log.Since(t.Context(), mark, 0); err != nil || len(lines) != 1 {
		t.Errorf("%q, %v", lines, err)
	}
}

func TestJournalUnreadable(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"no journald": {"", "no such program"},
		"denied": {
			"echo 'Hint: You are currently not seeing messages from other users and the system.'",
			"journal:shop: this user may not read the journal",
		},
		"broken": {"echo 'Failed to open files: Input/output error'; exit 1", "Failed to open files"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if c.script != "" {
				must(t, os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\n"+c.script+"\n"), 0o755))
			}
			_, err := Log{Path: "journal:shop", Env: []string{"PATH=" + dir}}.Mark(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}
