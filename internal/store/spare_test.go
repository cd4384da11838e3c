package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/git-rel/rel/internal/release"
)

func has(r *Root) bool {
	_, ok := r.Aside()
	return ok
}

func TestSpare(t *testing.T) {
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			r := open(t, t.TempDir(), l)
			a, b, c := stage(t, r, 1), stage(t, r, 2), stage(t, r, 3)
			doSwitch(t, r, c, "")
			if _, ok, err := r.Spare(); ok || err != nil || has(r) {
				t.Errorf("a spare from nowhere: %v", err)
			}
			was, err := r.Manifest(b)
			must(t, err)
			must(t, r.DropSpare(), r.SetAside(a), r.SetAside(b)) // the younger one takes the older one's place
			wantReleases(t, r, c)
			wantExit(t, r.SetAside(c), release.ExitError, "it is live")
			if removed, err := r.Sweep(); err != nil || len(removed) > 0 || !has(r) {
				t.Errorf("swept: %v, %v", removed, err)
			}
			if st, err := os.Stat(r.State(spareName)); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("%v, %v", st, err)
			}
			s, ok, err := r.Spare()
			must(t, err, r.TakeSpare())
			if !ok || s.ID != b || len(s.Entries) != len(was.Entries) || read(t, filepath.Join(s.Dir, "VERSION")) != string(b) {
				t.Errorf("%v %+v", ok, s)
			}
			if _, again, err := r.Spare(); again || err != nil || r.TakeSpare() == nil {
				t.Errorf("taken twice: %v", err)
			}

			d := idOf(4)
			write(t, filepath.Join(s.Dir, "VERSION"), string(d))
			for i := range s.Entries {
				s.Entries[i].Inode = 0 // its content has changed: Seal looks itself
			}
			must(t, r.PlaceSpare(d), r.Publish(d), r.Seal(&release.Manifest{Release: header(d), Entries: s.Entries}))
			doSwitch(t, r, d, c)
			wantLive(t, r, d, c, d)
			wantReleases(t, r, c, d)
			if removed, err := r.Sweep(); err != nil || len(removed) > 0 {
				t.Errorf("swept: %v, %v", removed, err)
			}
		})
	}
}

// Whatever instant a crash comes at, what Sweep leaves is a whole spare or none, and every release as it was.
func TestSpareAfterEachCrash(t *testing.T) {
	type root struct {
		*Root
		t *testing.T
	}
	manifest := func(r root) {
		must(r.t, os.MkdirAll(r.State(spareName), 0o700), os.Rename(r.State(manifestsName, string(idOf(1))), r.State(spareName, spareManifest)))
	}
	tree1 := func(r root) { must(r.t, os.Rename(r.ReleaseDir(idOf(1)), r.State(spareName, spareTree))) }
	unlink := func(r root) { must(r.t, os.Remove(r.State(linksName, string(idOf(1))))) }
	take := func(r root) { must(r.t, os.Remove(r.State(spareName, spareManifest))) }
	change := func(r root) { must(r.t, os.Remove(filepath.Join(r.State(spareName, spareTree), "VERSION"))) }
	place := func(r root) {
		must(r.t, os.Rename(r.State(spareName, spareTree), r.TempDir(idOf(9))))
	}
	publish := func(r root) { must(r.t, r.Publish(idOf(9))) }
	for _, crash := range []struct {
		name   string
		before []func(root)
		whole  bool
	}{
		{"before anything", []func(root){func(r root) { must(r.t, os.Mkdir(r.State(spareName), 0o700)) }}, false},
		{"the manifest moved", []func(root){manifest}, false},
		{"the tree moved", []func(root){manifest, tree1}, true},
		{"set aside", []func(root){manifest, tree1, unlink}, true},
		{"taken, or being dropped", []func(root){manifest, tree1, unlink, take}, false},
		{"half turned", []func(root){manifest, tree1, unlink, take, change}, false},
		{"placed", []func(root){manifest, tree1, unlink, take, change, place}, false},
		{"published", []func(root){manifest, tree1, unlink, take, change, place, publish}, false},
		{"a tree that is another", []func(root){manifest, tree1, unlink, func(r root) {
			must(r.t, os.Rename(r.State(spareName, spareTree), r.State(spareName, "x")), os.Mkdir(r.State(spareName, spareTree), 0o755))
		}}, false},
		{"a torn manifest", []func(root){manifest, tree1, unlink, func(r root) { write(r.t, r.State(spareName, spareManifest), "{") }}, false},
	} {
		t.Run(crash.name, func(t *testing.T) {
			r := root{open(t, t.TempDir(), Layout{}), t}
			a, b := stage(t, r.Root, 1), stage(t, r.Root, 2)
			doSwitch(t, r.Root, b, "")
			for _, step := range crash.before {
				step(r)
			}
			_, err := r.Sweep()
			must(t, err)
			want := "spare"
			if crash.whole {
				want = "spare\nspare/manifest\nspare/tree\nspare/tree/VERSION\nspare/tree/lib\nspare/tree/lib/code"
			}
			if got := tree(t, r.State()); !strings.Contains(got, want) || strings.Contains(got, "spare/") != crash.whole {
				t.Errorf("%s\nwant %s", got, want)
			}
			if has(r.Root) != crash.whole {
				t.Errorf("there is a spare: %v", has(r.Root))
			}
			releases := []release.ID{b}
			if crash.name == "before anything" {
				releases = []release.ID{a, b}
			}
			wantLive(t, r.Root, b, releases...)
			wantReleases(t, r.Root, releases...)
			if got := tree(t, filepath.Join(r.Dir, "releases")); strings.Contains(got, ".tmp-") || strings.Contains(got, string(idOf(9))) {
				t.Error(got)
			}
			if removed, err := r.Sweep(); err != nil || len(removed) > 0 {
				t.Errorf("again: %v, %v", removed, err)
			}
			must(t, r.DropSpare())
			wantLive(t, r.Root, b, releases...)
		})
	}
}

// Looking for a spare that is not whole keeps nothing open: a sweep does it again and again.
func TestAsideClosesWhatItOpens(t *testing.T) {
	const fds = "/dev/fd"
	r := open(t, t.TempDir(), Layout{})
	must(t, os.Mkdir(r.State(spareName), 0o700))
	before, err := os.ReadDir(fds)
	must(t, err)
	for range 100 {
		if has(r) {
			t.Fatal("there is a spare")
		}
	}
	after, err := os.ReadDir(fds)
	must(t, err)
	if len(after) > len(before)+10 {
		t.Errorf("%d descriptors are open, and were %d", len(after), len(before))
	}
}
