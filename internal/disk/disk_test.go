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

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func openDir(t *testing.T, path string) *Dir {
	t.Helper()
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, " ")
}

func TestBeneath(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, "in/a/b/file"), "b")
	write(t, filepath.Join(top, "out/file"), "secret")
	in := filepath.Join(top, "in")
	for link, text := range map[string]string{
		"abs": filepath.Join(top, "out"), "up": "../out", "inward": "a", "a/file": filepath.Join(top, "out/file"), "dangling": "../new",
	} {
		if err := os.Symlink(text, filepath.Join(in, link)); err != nil {
			t.Fatal(err)
		}
	}
	dir := openDir(t, in)
	// The walk is what kernels without openat2 get: both must answer alike.
	walk := func(rel string, flags int) error {
		fd, err := walkBeneath(dir.fd(), rel, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o644)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
	tests := []struct {
		rel   string
		flags int
		want  error
	}{
		{"a/b/file", unix.O_RDONLY, nil},
		{"a/b", unix.O_RDONLY | unix.O_DIRECTORY, nil},
		{".", unix.O_RDONLY | unix.O_DIRECTORY, nil},
		{"a/missing", unix.O_RDONLY, os.ErrNotExist},
		{"abs/file", unix.O_RDONLY, unix.ELOOP},
		{"up/file", unix.O_RDONLY, unix.ELOOP},
		{"inward/b/file", unix.O_RDONLY, unix.ELOOP},
		{"a/file", unix.O_RDONLY, unix.ELOOP},
		{"up", unix.O_RDONLY | unix.O_DIRECTORY, unix.ELOOP},
		{"dangling", unix.O_WRONLY | unix.O_CREAT, unix.ELOOP},
		{"dangling", unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL, os.ErrExist},
		{"a/b/file/x", unix.O_RDONLY, unix.ENOTDIR},
	}
	for _, test := range tests {
		f, err := Beneath(dir.File(), test.rel, test.flags, 0o644)
		if err == nil {
			f.Close()
		}
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.rel, err, test.want)
		}
		if err := walk(test.rel, test.flags); !errors.Is(err, test.want) {
			t.Errorf("%s by walking: %v, want %v", test.rel, err, test.want)
		}
	}
	for _, rel := range []string{"", "..", "../out/file", "a/../../out/file", "/etc/passwd", "a//b", "./a", "a/", "a\x00b"} {
		if f, err := Beneath(dir.File(), rel, unix.O_RDONLY, 0); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("%q: %v, %v", rel, f, err)
		}
	}
	f, err := Beneath(dir.File(), "a/new", unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if got := names(t, top); got != "in out" {
		t.Errorf("made outside: %s", got)
	}
}

func TestExchange(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	write(t, filepath.Join(a, "file"), "a")
	write(t, filepath.Join(b, "file"), "b")
	before, err := Identify(a)
	if err != nil {
		t.Fatal(err)
	}
	if err := Exchange(a, b); errors.Is(err, ErrNoExchange) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(a, "file")); string(got) != "b" {
		t.Errorf("a holds %q", got)
	}
	if after, err := Identify(b); err != nil || after != before {
		t.Errorf("b is %v, %v, where a was %v", after, err, before)
	}
	if err := Exchange(a, filepath.Join(dir, "c")); !errors.Is(err, os.ErrNotExist) || errors.Is(err, ErrNoExchange) {
		t.Errorf("with nothing: %v", err)
	}
	if err := ProbeExchange(dir); err != nil {
		t.Error(err)
	}
	if got := names(t, dir); got != "a b" {
		t.Errorf("the probe left %s", got)
	}
}

func TestNoExchange(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EINVAL, unix.ENOSYS, unix.EXDEV, unix.EBUSY, unix.ENOTSUP} {
		if err := noExchange("a", "b", errno); !errors.Is(err, ErrNoExchange) || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := noExchange("a", "b", unix.EACCES); errors.Is(err, ErrNoExchange) {
		t.Error(err)
	}
}

func TestRenameNoReplace(t *testing.T) {
	dir := t.TempDir()
	for name, rename := range map[string]func(from, to string) error{
		"flag": func(from, to string) error {
			return renameNoReplaceAt(unix.AT_FDCWD, from, unix.AT_FDCWD, to)
		},
		"plain": func(from, to string) error {
			return renamePlainNoReplace(unix.AT_FDCWD, from, unix.AT_FDCWD, to)
		},
	} {
		a, b := filepath.Join(dir, name+"-a"), filepath.Join(dir, name+"-b")
		write(t, filepath.Join(a, "file"), "a")
		if err := os.Mkdir(b, 0o755); err != nil { // empty: a plain rename would replace it
			t.Fatal(err)
		}
		if err := rename(a, b); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: onto a directory: %v", name, err)
		}
		if err := rename(a, b+"2"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := rename(a, b+"3"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: of nothing: %v", name, err)
		}
	}
}

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

func TestFreeAndPreallocate(t *testing.T) {
	dir := t.TempDir()
	s, err := Free(dir)
	if err != nil || s.Bytes <= 0 || s.Block <= 0 || s.Inodes == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Free(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	f, err := os.Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := errors.Join(Preallocate(f, 1<<20), Preallocate(f, 0)); err != nil {
		t.Fatal(err)
	}
	if st, err := f.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("size %d, %v", st.Size(), err)
	}
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	d := openDir(t, dir)
	if err := SyncDir(dir); err != nil {
		t.Error(err)
	}
	if err := SyncFS(d.File()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestIdentify(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "real/file"), "x")
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	link, err1 := Identify(filepath.Join(dir, "link"))
	real, err2 := Identify(filepath.Join(dir, "real"))
	if err1 != nil || err2 != nil || link.Same(real) {
		t.Errorf("%v %v, %v %v", link, real, err1, err2)
	}
	a, b := Ident{7, 1}, Ident{7, 2}
	if a.Same(b) || !a.Same(Ident{7, 0}) || !a.Same(a) || (Ident{}).Same(Ident{}) {
		t.Error("Same")
	}
}
