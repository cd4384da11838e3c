package store

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

var testTime = time.Date(2026, 11, 23, 2, 8, 45, 0, time.UTC)

// must stops the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644))
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

// open opens and makes a root.
func open(t testing.TB, dir string, l Layout) *Root {
	t.Helper()
	r, err := Open(dir, l)
	must(t, err)
	t.Cleanup(func() { r.Close() })
	must(t, r.Make())
	return r
}

// layouts are both modes; the live path of the second lies deeper, and so do its links.
func layouts() map[string]Layout {
	return map[string]Layout{
		"symlink":   {Mode: ModeSymlink},
		"nested":    {Mode: ModeSymlink, Live: "web/app/current"},
		"directory": {Mode: ModeDirectory, Live: "rel"},
	}
}

// idOf is the id of the nth release of these tests.
func idOf(n int) release.ID {
	return release.NewID(testTime.Add(time.Duration(n)*time.Second), fmt.Sprintf("v1.%d", n))
}

// export puts files into releases/.tmp-<id> and returns their entries, as the export does.
func export(t testing.TB, r *Root, id release.ID, files map[string]string) []release.Entry {
	t.Helper()
	must(t, os.Mkdir(r.TempDir(id), 0o755))
	var entries []release.Entry
	dirs := map[string]bool{}
	for name, text := range files {
		write(t, filepath.Join(r.TempDir(id), name), text)
		sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
		entries = append(entries, release.Entry{
			Path: name, Mode: release.ModeFile, Kind: release.Tagged, Size: int64(len(text)), ID: hex.EncodeToString(sum[:]),
		})
		for d := filepath.Dir(name); d != "." && !dirs[d]; d = filepath.Dir(d) {
			dirs[d] = true
			entries = append(entries, release.Entry{Path: d, Mode: release.ModeDir, Kind: release.Tagged})
		}
	}
	slices.SortFunc(entries, func(a, b release.Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}

// stage makes the nth release, whose file VERSION says which it is.
func stage(t testing.TB, r *Root, n int) release.ID {
	t.Helper()
	id := idOf(n)
	entries := export(t, r, id, map[string]string{"VERSION": string(id), "lib/code": "code"})
	must(t, r.Publish(id), r.LinkShared(id), r.Seal(&release.Manifest{Release: header(id), Entries: entries}))
	return id
}

func header(id release.ID) release.Release {
	_, tag, _ := strings.Cut(string(id), "-")
	at, _ := id.Time()
	return release.Release{ID: id, Tag: tag, Commit: strings.Repeat("a", 40), Tree: strings.Repeat("b", 40), Created: at}
}

func doSwitch(t testing.TB, r *Root, to, from release.ID) {
	t.Helper()
	warning, err := r.Switch(to, from, nil)
	must(t, warning, err)
}

// wantLive checks what is live, both by what rel says and by what the service would read, and that all releases are whole.
func wantLive(t testing.TB, r *Root, want release.ID, releases ...release.ID) {
	t.Helper()
	l, err := r.Live()
	must(t, err)
	if l.ID != want || l.Foreign != "" || l.Absent != (want == "") {
		t.Fatalf("live is %+v, want %s", l, want)
	}
	if want != "" {
		if got := read(t, filepath.Join(r.LivePath(), "VERSION")); got != string(want) {
			t.Fatalf("the live path holds %s, want %s", got, want)
		}
	}
	for _, id := range releases {
		if got := read(t, filepath.Join(r.ReleaseDir(id), "VERSION")); got != string(id) {
			t.Fatalf("%s holds %s", id, got)
		}
	}
	if _, err := os.Lstat(r.State(swapName)); !missing(err) {
		t.Fatalf(".rel/swap is there: %v", err)
	}
}

// tree is all paths beneath dir, for showing that nothing else has changed.
func tree(t testing.TB, dir string) string {
	t.Helper()
	var all []string
	must(t, filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && p != dir {
			rel, _ := filepath.Rel(dir, p)
			all = append(all, rel)
		}
		return err
	}))
	return strings.Join(all, "\n")
}

func wantExit(t testing.TB, err error, code int, text string) {
	t.Helper()
	if err == nil || release.ExitCode(err) != code || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v (exit %d), want %q (exit %d)", err, release.ExitCode(err), text, code)
	}
}

func TestMakeIsIdempotent(t *testing.T) {
	r := open(t, t.TempDir(), Layout{Live: "web/current"})
	write(t, r.State("lock"), "held by 1")
	before := tree(t, r.Dir)
	must(t, r.Make())
	if after := tree(t, r.Dir); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got := read(t, r.State("lock")); got != "held by 1" {
		t.Errorf("the lock holds %q", got)
	}
	for _, want := range []string{".rel/lock", ".rel/commands.lock", ".rel/links", ".rel/manifests", ".rel/runs", ".rel/reserve", "releases", "web"} {
		if _, err := os.Lstat(filepath.Join(r.Dir, want)); err != nil {
			t.Error(err)
		}
	}
	st, err := os.Lstat(r.State(runsName))
	must(t, err)
	if st.Mode().Perm() != 0o700 {
		t.Errorf("runs: %v", st.Mode())
	}
	uid, gid, err := r.Owner()
	must(t, err)
	if uid != os.Geteuid() || gid != os.Getegid() {
		t.Errorf("owner %d:%d", uid, gid)
	}
}

func TestMakeFollowsNoLink(t *testing.T) {
	for _, name := range []string{".rel", "releases", "web"} {
		dir, out := t.TempDir(), t.TempDir()
		must(t, os.Symlink(out, filepath.Join(dir, name)))
		r, err := Open(dir, Layout{Live: "web/current"})
		must(t, err)
		defer r.Close()
		wantExit(t, r.Make(), release.ExitError, "is a link")
		if got := tree(t, out); got != "" {
			t.Errorf("%s: made outside: %s", name, got)
		}
	}
}

func TestLayout(t *testing.T) {
	for _, l := range []Layout{
		{Live: "../current"},
		{Live: "/srv/current"},
		{Live: "."},
		{Live: "a/../b"},
		{Live: "releases/current"},
		{Live: ".rel"},
		{Live: "shared"},
		{Live: ".git"},
		{Mode: "link"},
		{SharedDirs: []string{"../x"}},
		{SharedFiles: []string{"/etc/passwd"}},
		{SharedDirs: []string{"log"}, SharedFiles: []string{"log/a"}},
		{SharedDirs: []string{"a", "a"}},
		{SharedDirs: []string{""}},
	} {
		if r, err := Open(t.TempDir(), l); err == nil {
			r.Close()
			t.Errorf("%+v was taken", l)
		}
	}
	_, err := Open(filepath.Join(t.TempDir(), "none"), Layout{})
	wantExit(t, err, release.ExitUsage, "no such directory")
}

func TestRootThroughALink(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "real"), 0o755), os.Symlink("real", filepath.Join(dir, "link")))
	r := open(t, filepath.Join(dir, "link"), Layout{})
	a := stage(t, r, 1)
	doSwitch(t, r, a, "")
	if filepath.Base(r.Dir) != "real" {
		t.Error(r.Dir)
	}
	// The link is relative: the root may be moved as a whole.
	must(t, os.Rename(filepath.Join(dir, "real"), filepath.Join(dir, "moved")))
	moved, err := Open(filepath.Join(dir, "moved"), Layout{})
	must(t, err)
	defer moved.Close()
	wantLive(t, moved, a, a)
}
