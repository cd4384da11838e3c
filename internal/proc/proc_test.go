package proc_test

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// spawn runs a command until the test ends.
func spawn(t *testing.T, dir string, files []*os.File, argv ...string) proc.Process {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.ExtraFiles = dir, files
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	p, err := proc.Lookup(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestLookup(t *testing.T) {
	me, err := proc.Lookup(os.Getpid())
	if err != nil || me.PID != os.Getpid() || me.PPID != os.Getppid() || me.PGID != syscall.Getpgrp() || !me.Same() {
		t.Fatalf("%+v, %v", me, err)
	}
	if age := time.Since(me.StartedAt(time.Now())); age < 0 || age > time.Hour || me.Start > proc.Ticks() {
		t.Errorf("started %s ago", age)
	}
	other := me
	other.Start++
	if other.Same() || other.Is(me) {
		t.Error("a process that started at another time is the same")
	}
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	if !proc.Await(t.Context(), 10*time.Second, func() bool {
		_, err = proc.Lookup(cmd.Process.Pid)
		return errors.Is(err, proc.ErrGone)
	}) {
		t.Errorf("a zombie is not gone: %v", err)
	}
	for _, pid := range []int{0, -1, 1 << 30} {
		if _, err := proc.Lookup(pid); !errors.Is(err, proc.ErrGone) {
			t.Errorf("pid %d: %v", pid, err)
		}
	}
	if proc.BootID() == "" || proc.Cmdline(os.Getpid()) == "" {
		t.Error("no boot id, or no command line")
	}
}

func TestChildren(t *testing.T) {
	odd := filepath.Join(t.TempDir(), "a) R 1 (b") // as comm can be
	if err := os.Symlink("/bin/sleep", odd); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "", nil, odd, "60")
	children, err := proc.Children(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if !proc.Await(t.Context(), 10*time.Second, func() bool { p, err = proc.Lookup(p.PID); return err != nil || p.Comm == "a) R 1 (b" }) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, c := range children {
		if c.Is(p) {
			return
		}
	}
	t.Errorf("%v not among %v", p, children)
}

func TestSignal(t *testing.T) {
	p := spawn(t, "", nil, "sleep", "60")
	other := p
	other.Start++
	if err := proc.Signal(other, syscall.SIGKILL); !errors.Is(err, proc.ErrGone) {
		t.Fatalf("another process with the pid: %v", err)
	}
	if !p.Same() {
		t.Fatal("it was signalled all the same")
	}
	if err := proc.Signal(p, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !proc.Await(t.Context(), 10*time.Second, func() bool { return !p.Same() }) {
		t.Fatal("still there")
	}
	if err := proc.Signal(p, syscall.SIGTERM); err != nil && !errors.Is(err, proc.ErrGone) {
		t.Fatalf("a zombie: %v", err)
	}
}

func TestAwaitEnd(t *testing.T) {
	p := spawn(t, "", nil, "sleep", "60")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := proc.AwaitEnd(cancelled, p); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	other := p
	other.Start++
	if err := proc.AwaitEnd(t.Context(), other); err != nil {
		t.Errorf("another process with the pid: %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- proc.AwaitEnd(t.Context(), p) }()
	if err := proc.Signal(p, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAncestor(t *testing.T) {
	parent, ok := proc.Ancestor(func(line string) bool { return line == proc.Cmdline(os.Getppid()) })
	if !ok || parent.PID != os.Getppid() || !parent.Same() {
		t.Errorf("got %v, %v", parent, ok)
	}
	if p, ok := proc.Ancestor(func(string) bool { return false }); ok {
		t.Errorf("got %v", p)
	}
}

func TestListeners(t *testing.T) {
	dir := t.TempDir()
	listen := func(network, addr string) net.Listener {
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Skipf("%s %s: %v", network, addr, err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	v4 := listen("tcp4", "127.0.0.1:0").Addr().(*net.TCPAddr)
	v6 := listen("tcp6", "[::1]:0").Addr().(*net.TCPAddr)
	all := listen("tcp", ":0").Addr().(*net.TCPAddr)
	sock := filepath.Join(dir, "a b.sock")
	listen("unix", sock)
	port := func(a *net.TCPAddr) string { return strconv.Itoa(a.Port) }
	tests := []struct {
		ask  string
		want string
	}{
		{port(v4), v4.String()},
		{"127.0.0.1:" + port(v4), v4.String()},
		{"localhost:" + port(v4), v4.String()},
		{"*:" + port(v4), v4.String()},
		{"127.0.0.2:" + port(v4), ""},
		{"[::1]:" + port(v6), v6.String()},
		{"[::2]:" + port(v6), ""},
		{"127.0.0.1:" + port(all), "[::]:" + port(all)},
		{"[::1]:" + port(all), "[::]:" + port(all)},
		{"unix:" + sock, "unix:" + sock},
		{"unix:" + sock + "x", ""},
	}
	for _, test := range tests {
		got, err := proc.Listeners(test.ask)
		if err != nil || (test.want == "") != (len(got) == 0) {
			t.Errorf("%s: %+v, %v", test.ask, got, err)
			continue
		}
		if test.want != "" && (got[0].Addr != test.want || got[0].PID != os.Getpid() || got[0].Command == "") {
			t.Errorf("%s: %+v, want %s of this process", test.ask, got, test.want)
		}
	}
	socks, err := proc.Listening(os.Getpid(), 1<<30)
	if err != nil || len(socks[os.Getpid()]) < 4 || len(socks) != 1 {
		t.Errorf("listening: %v, %v", socks, err)
	}
	for _, bad := range []string{"", "0", "70000", "host:80", "unix:", "1.2.3.4"} {
		if err := proc.CheckAddrs([]string{bad}); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestUsing(t *testing.T) {
	base := t.TempDir()
	dirs := map[string]string{}
	for _, name := range []string{"cwd", "file", "exe", "map", "none", "none-but-longer"} {
		dirs[name] = filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Join(dirs[name], "sub"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	open, err := os.Create(filepath.Join(dirs["file"], "sub", "deleted"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if err := os.Remove(open.Name()); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dirs["exe"], "sleep")
	data, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, data, 0o755); err != nil {
		t.Fatal(err)
	}
	mapped := filepath.Join(dirs["map"], "a b")
	if err := os.WriteFile(mapped, make([]byte, 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := os.Open(mapped)
	if err != nil {
		t.Fatal(err)
	}
	mem, err := syscall.Mmap(int(m.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	defer func() { _ = syscall.Munmap(mem) }()
	p := spawn(t, filepath.Join(dirs["cwd"], "sub"), nil, program, "60")
	link := filepath.Join(base, "link") // as a live path is
	if err := os.Symlink("cwd", link); err != nil {
		t.Fatal(err)
	}
	asked := []string{link, dirs["file"], dirs["exe"], dirs["map"], dirs["none"], filepath.Join(base, "missing")}
	if !proc.Await(t.Context(), 10*time.Second, func() bool { return strings.HasPrefix(proc.Cmdline(p.PID), program) }) {
		t.Fatal("not executed")
	}
	uses, _, err := proc.Using(asked)
	if err != nil {
		t.Fatal(err)
	}
	how := map[string][]string{}
	for dir, list := range uses {
		for _, u := range list {
			who := "we"
			if u.PID == p.PID {
				who = "it"
			}
			how[filepath.Base(dir)] = append(how[filepath.Base(dir)], who+" "+u.How)
		}
		sort.Strings(how[filepath.Base(dir)])
	}
	want := map[string][]string{"link": {"it cwd"}, "file": {"we file"}, "exe": {"it exe", "it map"}, "map": {"we map"}}
	if !reflect.DeepEqual(how, want) {
		t.Errorf("got %v, want %v", how, want)
	}
}

func TestHolders(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lock")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	p := spawn(t, "", []*os.File{file}, "sh", "-c", "trap '' TERM; while :; do sleep 1; done")
	held, err := proc.Holders(path)
	if err != nil || len(held) == 0 || !held[0].Is(p) {
		t.Fatalf("%v, %v: want %v and not ourselves", held, err, p)
	}
	if err := proc.KillHolders(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if held, err = proc.Holders(path); err != nil || len(held) != 0 {
		t.Errorf("%v, %v", held, err)
	}
	if err := proc.KillHolders(t.Context(), path); err != nil {
		t.Error(err)
	}
	file.Close()
}
