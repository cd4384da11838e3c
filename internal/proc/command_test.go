package proc_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// lines runs a shell command and gives what it printed.
func lines(t *testing.T, c proc.Command) ([]string, error) {
	t.Helper()
	var got []string
	c.Output = func(line string) { got = append(got, line) }
	if c.Env == nil {
		c.Env = []string{"PATH=/usr/bin:/bin"}
	}
	_, err := c.Run(t.Context())
	return got, err
}

func TestRun(t *testing.T) {
	long := strings.Repeat("x", 10000)
	tests := []struct {
		name string
		c    proc.Command
		want []string
		err  string
	}{
		{"both streams in order", proc.Command{Shell: "echo a; echo b >&2; echo c"}, []string{"a", "b", "c"}, ""},
		{"last line without an end", proc.Command{Shell: "printf 'a\nb'"}, []string{"a", "b"}, ""},
		{"long line", proc.Command{Shell: `echo "$1"; echo end`, Args: []string{long}}, []string{long[:4096], "end"}, ""},
		{"arguments are data", proc.Command{Shell: `echo "$1"`, Args: []string{"$(id);`id`"}}, []string{"$(id);`id`"}, ""},
		{"program", proc.Command{Path: "printf", Args: []string{"%s\n", "a b"}}, []string{"a b"}, ""},
		{"directory", proc.Command{Shell: "pwd", Dir: "/usr"}, []string{"/usr"}, ""},
		{"umask", proc.Command{Shell: "umask"}, []string{"0022"}, ""},
		{"stdin", proc.Command{Shell: "cat; echo end"}, []string{"end"}, ""},
		{"environment", proc.Command{Path: "env", Env: []string{"PATH=/usr/bin", "A=b"}}, []string{"PATH=/usr/bin", "A=b"}, ""},
		{"exit status", proc.Command{Name: "build", Shell: "echo no; exit 3"}, []string{"no"}, "build: exit 3"},
		{"signal", proc.Command{Name: "build", Shell: "kill -9 $$"}, nil, "build: killed by SIGKILL"},
		{"no such program", proc.Command{Path: "no-such-thing"}, nil, "no-such-thing: no-such-thing: no such program in PATH=/usr/bin:/bin"},
		{"no such directory", proc.Command{Name: "build", Shell: "pwd", Dir: "/no/such"}, nil, "build: cannot run in /no/such: fork/exec /bin/sh: no such file or directory"},
	}
	defer syscall.Umask(syscall.Umask(0o077)) // not what a command shall have
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := lines(t, test.c)
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("printed %.200q, want %.200q", got, test.want)
			}
			if text := ""; err != nil || test.err != "" {
				if err != nil {
					text = err.Error()
				}
				if text != test.err {
					t.Errorf("error %q, want %q", text, test.err)
				}
			}
		})
	}
	if mask := syscall.Umask(0o077); mask != 0o077 {
		t.Errorf("our own umask has become %#o", mask)
	}
}

func TestRunTail(t *testing.T) {
	_, err := proc.Command{Shell: "seq 30; exit 1"}.Run(t.Context())
	exit, ok := errors.AsType[*proc.ExitError](err)
	if !ok || exit.Code != 1 || len(exit.Tail) != 20 || exit.Tail[0] != "11" || exit.Tail[19] != "30" {
		t.Fatalf("%+v", exit)
	}
}

func TestRunClosesDescriptors(t *testing.T) {
	leak, err := syscall.Open("/dev/null", syscall.O_RDONLY, 0) // as one inherited from git would be: not closed on exec
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(leak)
	hold, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer hold.Close()
	const list = `for fd in /proc/$$/fd/*; do readlink "$fd"; done; :`
	got, err := lines(t, proc.Command{Shell: list, Hold: hold})
	if err != nil || len(got) < 4 || got[0] != "/dev/null" || got[1] != got[2] || got[3] != hold.Name() {
		t.Fatalf("descriptors %q, %v", got, err)
	}
	if got, err = lines(t, proc.Command{Shell: list}); err != nil || len(got) > 4 { // one more is the shell's own
		t.Fatalf("descriptors %q, %v", got, err)
	}
}

func TestRunOutputFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := (proc.Command{Shell: "echo a; echo b >&2", OutputFile: file}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "a\nb\n" {
		t.Fatalf("%q, %v", data, err)
	}
}

func TestRunDoesNotWaitForBackground(t *testing.T) {
	t.Parallel()
	began := time.Now()
	got, err := lines(t, proc.Command{Shell: "sleep 60 & echo $!", Env: []string{"PATH=/usr/bin:/bin"}})
	if err != nil || len(got) != 1 || time.Since(began) > 30*time.Second {
		t.Fatalf("%q after %s: %v", got, time.Since(began), err)
	}
	pid, err := strconv.Atoi(got[0])
	if err != nil {
		t.Fatal(err)
	}
	p, err := proc.Lookup(pid)
	if err != nil {
		t.Fatalf("the background child is to go on: %v", err)
	}
	if err := proc.Signal(p, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := proc.EndGroup(t.Context(), p.PGID, 0); err != nil {
		t.Fatal(err)
	}
}

// Both the shell and its child ignore TERM.
const stubborn = `trap '' TERM; echo $$; sleep 60 & while :; do sleep 1; done`

func TestRunTimeout(t *testing.T) {
	t.Parallel()
	got, err := lines(t, proc.Command{Name: "build", Shell: stubborn, Timeout: 300 * time.Millisecond})
	exit, ok := errors.AsType[*proc.ExitError](err)
	if !ok || !exit.TimedOut || exit.Signal != syscall.SIGKILL || err.Error() != "build: still running after 300ms, ended" {
		t.Fatalf("%v", err)
	}
	noneLeft(t, got)
}

func TestRunCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var got []string
	c := proc.Command{Name: "build", Shell: "echo $$; sleep 60", Env: []string{"PATH=/usr/bin:/bin"}, Output: func(line string) {
		got = append(got, line)
		cancel()
	}}
	_, err := c.Run(ctx)
	if !errors.Is(err, context.Canceled) || err.Error() != "build: cancelled" {
		t.Fatalf("%v", err)
	}
	noneLeft(t, got)
	if _, err := c.Run(ctx); !errors.Is(err, context.Canceled) || len(got) != 1 {
		t.Fatalf("started under a cancelled context: %v", err)
	}
}

func TestRunStarted(t *testing.T) {
	t.Parallel()
	var pid int
	var start uint64
	c := proc.Command{Shell: "exit 0", Started: func(p int, s uint64) error { pid, start = p, s; return nil }}
	res, err := c.Run(t.Context())
	if err != nil || pid != res.PID || start != res.Start || start == 0 || start > proc.Ticks() {
		t.Fatalf("%d %d, %+v, %v", pid, start, res, err)
	}
	refused := errors.New("journal full")
	c = proc.Command{Shell: "sleep 60", Started: func(int, uint64) error { return refused }}
	if _, err = c.Run(t.Context()); !errors.Is(err, refused) {
		t.Fatalf("%v", err)
	}
}

func noneLeft(t *testing.T, printed []string) {
	t.Helper()
	if len(printed) != 1 {
		t.Fatalf("printed %q, want a pid", printed)
	}
	var left []proc.Process
	gone := proc.Await(t.Context(), 10*time.Second, func() bool { // what was killed may be seen dying
		all, err := proc.List()
		if err != nil {
			t.Fatal(err)
		}
		left = slices.DeleteFunc(all, func(p proc.Process) bool { return strconv.Itoa(p.PGID) != printed[0] })
		return len(left) == 0
	})
	if !gone {
		t.Errorf("%v is left of the group", left)
	}
}

func TestEndGroup(t *testing.T) {
	t.Parallel()
	var pid int
	var start uint64
	ready, started := make(chan struct{}), make(chan struct{})
	finished := make(chan error, 1)
	go func() {
		c := proc.Command{Shell: stubborn, Env: []string{"PATH=/usr/bin:/bin"}, Output: func(string) { close(ready) }}
		c.Started = func(p int, s uint64) error { pid, start = p, s; close(started); return nil }
		_, err := c.Run(context.Background())
		finished <- err
	}()
	<-ready
	<-started
	if err := proc.EndGroup(t.Context(), pid, start+1); err != nil {
		t.Fatal(err)
	}
	if _, err := proc.Lookup(pid); err != nil {
		t.Fatalf("a group whose leader started at another time was ended: %v", err)
	}
	if err := proc.EndGroup(t.Context(), pid, start); err != nil {
		t.Fatal(err)
	}
	<-finished
	noneLeft(t, []string{strconv.Itoa(pid)})
	if err := proc.EndGroup(t.Context(), pid, start); err != nil {
		t.Fatalf("a second time: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	got := proc.Environment(proc.User{Name: "deploy", Home: "/home/deploy"}, map[string]string{
		"LANG": "de_DE.UTF-8", "APP": "shop", "GIT_DIR": "/x", "SSH_AUTH_SOCK": "/y", "SUDO_UID": "0",
	})
	want := []string{
		"APP=shop", "HOME=/home/deploy", "LANG=de_DE.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"USER=deploy",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
