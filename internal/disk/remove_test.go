package disk

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRemoveAll(t *testing.T) {
	top := t.TempDir()
	tree := filepath.Join(top, "tree")
	write(t, filepath.Join(tree, "ro/sub/file"), "x")
	write(t, filepath.Join(tree, "shut/file"), "x")
	write(t, filepath.Join(top, "outside/file"), "x")
	for link, text := range map[string]string{"tree/out": "../outside", "tree/ro/out": filepath.Join(top, "outside"), "tree/none": "nowhere"} {
		if err := os.Symlink(text, filepath.Join(top, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		path string
		mode os.FileMode
	}{{"ro/sub", 0o500}, {"ro", 0o500}, {"shut", 0}} {
		if err := os.Chmod(filepath.Join(tree, c.path), c.mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	if got := names(t, top) + " " + names(t, filepath.Join(top, "outside")); got != "outside file" {
		t.Errorf("left %s", got)
	}
	if err := os.Symlink("outside", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(RemoveAll(filepath.Join(top, "link")), RemoveAll(filepath.Join(top, "none")), RemoveAll(filepath.Join(top, "none/x"))); err != nil {
		t.Error(err)
	}
	if got := names(t, top); got != "outside" {
		t.Errorf("left %s", got)
	}
}

// A tree deeper than a path can be long, and than a process may hold files open.
func TestRemoveAllDeep(t *testing.T) {
	top := t.TempDir()
	d := openDir(t, top)
	at, err := d.MkdirAll("tree", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	for range 1200 {
		if err := at.Symlink("/", "link"); err != nil {
			t.Fatal(err)
		}
		if err := at.Mkdir("deep-down", 0o755); err != nil {
			t.Fatal(err)
		}
		next, err := at.Dir("deep-down")
		if err != nil {
			t.Fatal(err)
		}
		at.Close()
		at = next
	}
	at.Close()
	if err := d.RemoveAll("tree"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, top); got != "" {
		t.Errorf("left %s", got)
	}
}

// What a mount hides is not the release's: neither it nor what is mounted may go.
func TestRemoveAllStopsAtMounts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	top := t.TempDir()
	write(t, filepath.Join(top, "kept/file"), "x")
	write(t, filepath.Join(top, "tree/dir/gone"), "x")
	at := filepath.Join(top, "tree/mounted")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := bindMount(filepath.Join(top, "kept"), at); err != nil {
		t.Skip("bind mount: ", err)
	}
	err := RemoveAll(filepath.Join(top, "tree"))
	if e := unix.Unmount(at, 0); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		t.Error("removed a mount point")
	}
	if got := names(t, filepath.Join(top, "kept")) + " " + names(t, filepath.Join(top, "tree")); got != "file mounted" {
		t.Errorf("left %s", got)
	}
}
