package disk

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(dir, "file")
	for _, text := range []string{"first", ""} {
		if err := WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v", got, err)
		}
	}
	if st, err := os.Stat(path); err != nil || st.Mode() != 0o644 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "taken", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "taken"), nil, 0o644); err == nil {
		t.Error("a directory was replaced")
	}
	if got := names(t, dir); got != "file taken" {
		t.Errorf("left %s", got)
	}
	if err := WriteFile(filepath.Join(dir, "none", "x"), nil, 0o644); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestMkdirAll(t *testing.T) {
	top := t.TempDir()
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	d, err := openDir(t, top).MkdirAll("a/b/c", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	d.Close()
	for _, rel := range []string{"a", "a/b", "a/b/c"} {
		if st, err := os.Stat(filepath.Join(top, rel)); err != nil || st.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", rel, st.Mode(), err)
		}
	}
	if err := os.Symlink("a", filepath.Join(top, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(t, top).MkdirAll("link/x", 0o755); !errors.Is(err, unix.ELOOP) {
		t.Errorf("through a link: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(top, "a/x")); err == nil {
		t.Error("made through a link")
	}
}

func TestDirRefusesPaths(t *testing.T) {
	d := openDir(t, t.TempDir())
	for _, name := range []string{"", ".", "..", "a/b", "/a", "../a", "a\x00"} {
		_, lstat := d.Lstat(name)
		_, readlink := d.Readlink(name)
		for what, err := range map[string]error{
			"lstat": lstat, "readlink": readlink, "mkdir": d.Mkdir(name, 0o755), "symlink": d.Symlink("x", name), "remove": d.Remove(name),
			"rename": d.Rename(name, d, "x"), "rename to": d.Rename("x", d, name), "no replace": d.RenameNoReplace("x", d, name),
			"exchange": d.Exchange("x", d, name), "remove all": d.RemoveAll(name), "write": d.WriteFile(name, nil, 0o644),
		} {
			if !errors.Is(err, os.ErrInvalid) {
				t.Errorf("%s %q: %v", what, name, err)
			}
		}
	}
}

func TestReadlinkLong(t *testing.T) {
	d := openDir(t, t.TempDir())
	text := strings.Repeat("x/", 1000)
	if err := d.Symlink(text, "l"); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Readlink("l"); err != nil || got != text {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}
