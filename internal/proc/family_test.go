//go:build linux

package proc_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

func TestDescendants(t *testing.T) {
	t.Parallel()
	p := spawn(t, "", nil, "sh", "-c", "sh -c 'sleep 60; :' & sleep 60; :")
	var found []proc.Process
	three := func() bool {
		var err error
		found, err = proc.Descendants(p.PID)
		return err == nil && len(found) == 3
	}
	if !proc.Await(t.Context(), 10*time.Second, three) {
		t.Fatalf("found %v, want a shell and two sleeps", found)
	}
	for _, one := range found {
		if err := proc.Signal(one, 9); err != nil {
			t.Error(err)
		}
	}
}

// A socket is held by whoever has inherited it, of our own user or of root.
func TestSocketHolders(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	p := spawn(t, "", []*os.File{file}, "sleep", "60")
	link, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(file.Fd())))
	if err != nil {
		t.Fatal(err)
	}
	inode := strings.TrimSuffix(strings.TrimPrefix(link, "socket:["), "]")
	found, err := proc.SocketHolders([]string{"0", inode}, uint32(os.Getuid()))
	if err != nil {
		t.Fatal(err)
	}
	held := map[int]bool{}
	for _, one := range found {
		held[one.PID] = true
	}
	if !held[p.PID] || !held[os.Getpid()] {
		t.Errorf("%v hold it, want %s and us among them", found, p)
	}
	if found, err = proc.SocketHolders([]string{"0"}); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
}

// Of each process it is told what it uses and by which name of ours, also of what was removed meanwhile; of one that is gone nothing.
func TestUsesOf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := os.MkdirAll(filepath.Join(dir, "releases", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("releases", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, filepath.Join(dir, "releases", "one"), nil, "sleep", "60")
	gone := spawn(t, filepath.Join(dir, "releases", "two"), nil, "sleep", "60")
	if err := proc.Signal(gone, 9); err != nil {
		t.Fatal(err)
	}
	if !proc.Await(t.Context(), 10*time.Second, func() bool { return !gone.Same() && strings.HasPrefix(proc.Cmdline(p.PID), "sleep") }) {
		t.Fatal("one does not end, or the other does not begin")
	}
	asked := filepath.Join(dir, "link")
	want := proc.Use{PID: p.PID, How: "cwd", Dir: asked, Path: filepath.Join(asked, "one")}
	for range 2 {
		uses, unreadable, err := proc.UsesOf([]proc.Process{p, gone}, []string{asked})
		if err != nil || len(unreadable) > 0 {
			t.Fatal(unreadable, err)
		}
		if len(uses[p.PID]) != 1 || uses[p.PID][0] != want || len(uses[gone.PID]) > 0 {
			t.Errorf("%+v, want %+v alone", uses, want)
		}
		if err := os.RemoveAll(filepath.Join(dir, "releases", "one")); err != nil {
			t.Fatal(err)
		}
		want.Deleted = true
	}
}

// A control group has the processes that are in it and below it; where one can be made, as by root.
func TestInGroup(t *testing.T) {
	t.Parallel()
	if found, err := proc.InGroup("/no/such.service"); err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	name := "/rel-test-" + strconv.Itoa(os.Getpid()) + ".slice"
	top := ""
	for _, root := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(root + "/cgroup.procs"); err == nil {
			top = root + name
			break
		}
	}
	if top == "" {
		t.Skip("no control groups are mounted where systemd has them")
	}
	below := top + "/web.service"
	if err := os.MkdirAll(below, 0o755); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { // once the process is gone, and was asked how it ended
		proc.Await(context.Background(), 10*time.Second, func() bool { return os.Remove(below) == nil })
		if err := os.Remove(top); err != nil {
			t.Error(err)
		}
	})
	p := spawn(t, "", nil, "sleep", "60")
	if err := os.WriteFile(below+"/cgroup.procs", []byte(strconv.Itoa(p.PID)), 0o644); err != nil {
		t.Skip(err)
	}
	for _, group := range []string{name, name + "/web.service"} {
		found, err := proc.InGroup(group)
		if err != nil || len(found) != 1 || !found[0].Is(p) {
			t.Errorf("%s: %v, %v, want %s", group, found, err, p)
		}
	}
}
