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
