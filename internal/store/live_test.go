package store

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/release"
)

func TestLiveForeign(t *testing.T) {
	out := t.TempDir()
	tests := []struct {
		name, mode string
		make       func(live string, a release.ID) error
		want       string
	}{
		{"dangling", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink("releases/none", live) }, "which does not exist"},
		{"loop", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink("current", live) }, "can't be followed"},
		{"outside", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink(out, live) }, "a link out of the root"},
		{"up", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink("..", live) }, "a link out of the root"},
		{"other", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink("shared", live) }, "not a release"},
		{"beneath", ModeSymlink, func(live string, a release.ID) error { return os.Symlink("releases/"+string(a)+"/lib", live) }, "not a release"},
		{"unsealed", ModeSymlink, func(live string, _ release.ID) error { return os.Symlink("releases/"+string(idOf(9)), live) }, "no manifest"},
		{"directory", ModeSymlink, func(live string, _ release.ID) error { return os.Mkdir(live, 0o755) }, "a directory that rel did not make"},
		{"file", ModeSymlink, func(live string, _ release.ID) error { return os.WriteFile(live, nil, 0o644) }, "neither"},
		{"stranger", ModeDirectory, func(live string, _ release.ID) error { return os.Mkdir(live, 0o755) }, "no manifest knows"},
		{"link", ModeDirectory, func(live string, a release.ID) error { return os.Symlink("releases/"+string(a), live) }, "a symlink"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := open(t, t.TempDir(), Layout{Mode: test.mode})
			a := stage(t, r, 1)
			must(t, os.Mkdir(filepath.Join(r.Dir, "shared"), 0o755), os.Mkdir(filepath.Join(r.Dir, "releases", string(idOf(9))), 0o755))
			must(t, test.make(r.LivePath(), a))
			before := tree(t, r.Dir)
			l, err := r.Live()
			must(t, err)
			if !strings.Contains(l.Foreign, test.want) || l.ID != "" || l.Absent {
				t.Errorf("%+v", l)
			}
			refused := r.Refuse(l)
			wantExit(t, refused, release.ExitError, r.LivePath()+": ")
			if len(release.Hints(refused)) == 0 {
				t.Error("no remedy")
			}
			_, err = r.Switch(a, "", nil)
			wantExit(t, err, release.ExitError, test.want)
			wantExit(t, r.Clear(a), release.ExitError, test.want)
			if after := tree(t, r.Dir); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
	if got := tree(t, out); got != "" {
		t.Error(got)
	}
}

func TestLiveAbsoluteLink(t *testing.T) {
	r := open(t, t.TempDir(), Layout{})
	a := stage(t, r, 1)
	must(t, os.Symlink(r.ReleaseDir(a), r.LivePath()))
	wantLive(t, r, a, a)
	must(t, r.Refuse(Live{ID: a}))
}

func TestAdopt(t *testing.T) {
	tests := []struct {
		name, mode, at string // at: the directory to adopt, if it is not the live path itself
	}{
		{"directory to symlink", ModeSymlink, ""},
		{"link to symlink", ModeSymlink, "old/app-1.0"},
		{"link into releases", ModeSymlink, "releases/20140101000000"},
		{"directory stays", ModeDirectory, ""},
		{"link to directory", ModeDirectory, "old/app-1.0"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := open(t, t.TempDir(), Layout{Mode: test.mode})
			at := r.LivePath()
			if test.at != "" {
				at = filepath.Join(r.Dir, test.at)
				must(t, os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(test.at, r.LivePath()))
			}
			write(t, filepath.Join(at, "lib/file"), "as it was")
			id, err := r.Adopt(testTime)
			must(t, err)
			if id != "20261123T020845Z-adopted" {
				t.Error(id)
			}
			write(t, filepath.Join(r.LivePath(), "VERSION"), string(id))
			wantLive(t, r, id, id)
			m, err := r.Manifest(id)
			must(t, err)
			if !m.Adopted || len(m.Entries) != 2 || m.Entries[1].Kind != release.Built {
				t.Errorf("%+v", m)
			}
			if test.at != "" {
				if _, err := os.Lstat(at); !missing(err) {
					t.Errorf("%s is still there: %v", at, err)
				}
			}
			if again, err := r.Adopt(testTime.Add(time.Hour)); again != id || err != nil {
				t.Errorf("again: %s, %v", again, err)
			}
			if removed, err := r.Sweep(); err != nil || len(removed) > 0 {
				t.Errorf("swept %v, %v", removed, err)
			}
			b := stage(t, r, 1)
			doSwitch(t, r, b, id)
			doSwitch(t, r, id, b)
			wantLive(t, r, id, id, b)
			if got := read(t, filepath.Join(r.LivePath(), "lib/file")); got != "as it was" {
				t.Error(got)
			}
		})
	}
}

// After live.mode was changed, adopting keeps what is live the release that it is.
func TestAdoptAfterAChangeOfMode(t *testing.T) {
	for _, modes := range [][2]string{{ModeSymlink, ModeDirectory}, {ModeDirectory, ModeSymlink}} {
		dir := t.TempDir()
		r := open(t, dir, Layout{Mode: modes[0]})
		a, b := stage(t, r, 1), stage(t, r, 2)
		doSwitch(t, r, a, "")
		r = open(t, dir, Layout{Mode: modes[1]})
		id, err := r.Adopt(testTime)
		must(t, err)
		if id != a {
			t.Errorf("%v: %s", modes, id)
		}
		wantLive(t, r, a, a, b)
		doSwitch(t, r, b, a)
		wantLive(t, r, b, a, b)
		wantReleases(t, r, a, b)
	}
}

func TestAdoptRefuses(t *testing.T) {
	out := t.TempDir()
	write(t, filepath.Join(out, "file"), "x")
	for name, make := range map[string]func(r *Root) error{
		"nothing there to adopt": func(*Root) error { return nil },
		"out of the root":        func(r *Root) error { return os.Symlink(out, r.LivePath()) },
		"does not exist":         func(r *Root) error { return os.Symlink("none", r.LivePath()) },
		"can't be a release":     func(r *Root) error { return os.Symlink("releases", r.LivePath()) },
		"neither":                func(r *Root) error { return os.WriteFile(r.LivePath(), nil, 0o644) },
	} {
		r := open(t, t.TempDir(), Layout{})
		must(t, make(r))
		before := tree(t, r.Dir)
		_, err := r.Adopt(testTime)
		wantExit(t, err, release.ExitError, name)
		if after := tree(t, r.Dir); after != before {
			t.Errorf("%s: before:\n%s\nafter:\n%s", name, before, after)
		}
	}
	for _, inside := range []string{".rel", ".rel/links", "shared", "."} {
		r := open(t, t.TempDir(), Layout{})
		must(t, os.Mkdir(filepath.Join(r.Dir, "shared"), 0o755), os.Symlink(inside, r.LivePath()))
		if id, err := r.Adopt(testTime); err == nil {
			t.Errorf("%s was adopted as %s", inside, id)
		}
	}
}
