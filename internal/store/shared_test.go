package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func TestLinkShared(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			l.SharedDirs, l.SharedFiles = []string{"log", "public/uploads", "var/run/app"}, []string{"config/app.yml"}
			r := open(t, t.TempDir(), l)
			tag := map[string]string{"public/uploads/first": "tag's own", "config/app.yml": "example", "config/other": "x", "VERSION": string(idOf(1))}
			entries := export(t, r, idOf(1), tag)
			must(t, r.Publish(idOf(1)))
			before := tree(t, r.Dir)
			wantExit(t, r.LinkShared(idOf(1)), release.ExitRefused, "shared/config/app.yml: no such shared file")
			if after := tree(t, r.Dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			write(t, filepath.Join(r.Dir, "shared/config/app.yml"), "real")
			must(t, r.LinkShared(idOf(1)), r.LinkShared(idOf(1)))
			must(t, r.Seal(&release.Manifest{Release: header(idOf(1)), Entries: entries}))
			doSwitch(t, r, idOf(1), "")
			for p, want := range map[string]string{"public/uploads/first": "tag's own", "config/app.yml": "real", "config/other": "x"} {
				if got := read(t, filepath.Join(r.LivePath(), p)); got != want {
					t.Errorf("%s: %q", p, got)
				}
			}
			wantDrift(t, r, idOf(1))
			write(t, filepath.Join(r.LivePath(), "public/uploads/later"), "user's")
			write(t, filepath.Join(r.LivePath(), "log/error.log"), "line")

			tag["public/uploads/first"], tag["VERSION"] = "newer", string(idOf(2))
			entries = export(t, r, idOf(2), tag)
			must(t, r.Publish(idOf(2)), r.LinkShared(idOf(2)))
			must(t, r.Seal(&release.Manifest{Release: header(idOf(2)), Entries: entries}))
			doSwitch(t, r, idOf(2), idOf(1))
			for p, want := range map[string]string{"public/uploads/first": "tag's own", "public/uploads/later": "user's", "log/error.log": "line"} {
				if got := read(t, filepath.Join(r.LivePath(), p)); got != want {
					t.Errorf("%s: %q", p, got)
				}
			}
			m, err := r.Manifest(idOf(2))
			must(t, err)
			for _, e := range m.Entries {
				if (e.Mode == release.ModeSymlink) != (e.Kind == release.Shared) {
					t.Errorf("%+v", e)
				}
			}
			wantDrift(t, r, idOf(2))
			must(t, r.Remove(idOf(1)))
			if got := read(t, filepath.Join(r.Dir, "shared/public/uploads/later")); got != "user's" {
				t.Error(got)
			}
		})
	}
}

// A tag whose directory above a shared path is a link must not lead rel out of the release.
func TestLinkSharedFollowsNoLink(t *testing.T) {
	r := open(t, t.TempDir(), Layout{SharedDirs: []string{"public/uploads"}})
	out := t.TempDir()
	write(t, filepath.Join(out, "uploads/file"), "precious")
	for n, text := range []string{out, "../../.rel", "."} {
		id := idOf(n)
		must(t, os.Mkdir(r.TempDir(id), 0o755), os.Symlink(text, filepath.Join(r.TempDir(id), "public")), r.Publish(id))
		before := tree(t, r.Dir)
		wantExit(t, r.LinkShared(id), release.ExitRefused, "public/uploads: the tag has a link")
		if after := tree(t, r.Dir); after != before && after != before+"\nshared" {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	}
	if got := read(t, filepath.Join(out, "uploads/file")); got != "precious" {
		t.Error(got)
	}
}

// The tag's own link at a shared path goes, and not what it leads to; so does one above a path in shared/.
func TestLinkSharedReplacesTheTagsLink(t *testing.T) {
	r := open(t, t.TempDir(), Layout{SharedDirs: []string{"log", "a/b"}})
	out := t.TempDir()
	write(t, filepath.Join(out, "file"), "precious")
	must(t, os.Mkdir(r.TempDir(idOf(1)), 0o755), os.Symlink(out, filepath.Join(r.TempDir(idOf(1)), "log")), r.Publish(idOf(1)))
	must(t, os.Mkdir(filepath.Join(r.Dir, "shared"), 0o755), os.Symlink(out, filepath.Join(r.Dir, "shared/a")))
	if err := r.LinkShared(idOf(1)); err == nil {
		t.Error("made a shared directory through a link")
	}
	if got := tree(t, out); got != "file" {
		t.Error(got)
	}
	// What the operator has put elsewhere, whole, is used as it is.
	must(t, os.Remove(filepath.Join(r.Dir, "shared/a")), os.Mkdir(filepath.Join(r.Dir, "shared/a"), 0o755))
	must(t, os.Symlink(out, filepath.Join(r.Dir, "shared/a/b")), r.LinkShared(idOf(1)))
	if got := read(t, filepath.Join(r.ReleaseDir(idOf(1)), "a/b/file")); got != "precious" {
		t.Error(got)
	}
	if got := tree(t, filepath.Join(r.Dir, "shared/log")); got != "" {
		t.Error(got)
	}
}
