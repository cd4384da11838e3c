package service

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/git-rel/rel/internal/proc"
)

// The fake daemon is this test binary, started again with a role: "start" leaves a master and exits, the master forks workers. Its
// faults are in REL_FAKE_FAULTS, which the master reads again from the file "faults" at each reload.
const (
	fakeRole  = "REL_FAKE"
	fakeDir   = "REL_FAKE_DIR"
	fakeAddr  = "REL_FAKE_ADDR"
	fakeOwner = "REL_FAKE_OWNER" // the pid of the test
)

func TestMain(m *testing.M) {
	switch os.Getenv(fakeRole) {
	case "":
		os.Exit(m.Run())
	case "start":
		os.Exit(fakeStart())
	case "master":
		os.Exit(fakeMaster())
	case "worker":
		os.Exit(fakeWorker())
	case "idle": // of what a worker leaves behind
		enroll()
		select {}
	case "stray": // leaves a worker that is nobody's child
		if err := fakeChild("worker", os.NewFile(3, "listener")).Start(); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	os.Exit(2)
}

func faults() []string {
	data, err := os.ReadFile(filepath.Join(os.Getenv(fakeDir), "faults"))
	if err != nil {
		return nil
	}
	return strings.Fields(string(data))
}

func faulty(name string) bool { return slices.Contains(faults(), name) }

// enroll writes a fake process down, so that the test can end it, and ends it itself when the test is no more.
func enroll() {
	me, err := proc.Lookup(os.Getpid())
	if err != nil {
		panic(err)
	}
	file, err := os.OpenFile(filepath.Join(os.Getenv(fakeDir), "pids"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(file, me.PID, me.Start)
	file.Close()
	go func() {
		for {
			if owner, err := strconv.Atoi(os.Getenv(fakeOwner)); err != nil || syscall.Kill(owner, 0) == syscall.ESRCH {
				os.Exit(9)
			}
			time.Sleep(time.Second)
		}
	}()
}

func fakeChild(role string, extra ...*os.File) *exec.Cmd {
	cmd := exec.Command(os.Getenv("REL_FAKE_BIN"))
	cmd.Env = append(os.Environ(), fakeRole+"="+role)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, extra
	return cmd
}

func fakeStart() int {
	if faulty("start-fails") {
		fmt.Println("cannot find the moon")
		return 1
	}
	if faulty("start-nothing") {
		fmt.Println("started, it says")
		return 0
	}
	cmd := fakeChild("master")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func fakeMaster() int {
	enroll()
	pidfile := filepath.Join(os.Getenv(fakeDir), "fake.pid")
	if !faulty("no-pidfile") {
		if err := os.WriteFile(pidfile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			panic(err)
		}
	}
	if faulty("dies-at-start") {
		fmt.Println("syntax wrong in Shop.pm")
		return 1
	}
	l, err := net.Listen("tcp", os.Getenv(fakeAddr))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		panic(err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1)
	reaped := make(chan os.Signal, 1)
	signal.Notify(reaped, syscall.SIGCHLD)
	workers := fakeFork(file)
	if faulty("strays") {
		if err := fakeChild("stray", file).Start(); err != nil {
			panic(err)
		}
	}
	go func() { // so that none stays a zombie
		for range reaped {
			for pid := 1; pid > 0; {
				pid, _ = syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			}
		}
	}()
	for sig := range signals {
		switch {
		case sig == syscall.SIGTERM && faulty("ignores-term"):
		case sig == syscall.SIGTERM:
			if !faulty("keeps-port") {
				endAll(workers, syscall.SIGTERM)
				for _, w := range workers {
					for syscall.Kill(w.Process.Pid, 0) == nil {
						time.Sleep(5 * time.Millisecond)
					}
				}
			}
			l.Close()
			file.Close()
			os.Remove(pidfile)
			return 0
		case faulty("ignores-reload"):
		case faulty("dies-at-reload"):
			fmt.Println("syntax wrong in Shop.pm")
			endAll(workers, syscall.SIGUSR1)
			return 1
		case faulty("leaves-orphans"):
			return 1
		case sig == syscall.SIGHUP: // a restart
			endAll(workers, syscall.SIGTERM)
			workers = fakeFork(file)
		default:
			old := workers
			workers = fakeFork(file)
			endAll(old, syscall.SIGUSR1)
		}
	}
	return 0
}

func fakeFork(file *os.File) []*exec.Cmd {
	if faulty("no-workers") {
		return nil
	}
	var workers []*exec.Cmd
	for range 2 {
		cmd := fakeChild("worker", file)
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		workers = append(workers, cmd)
	}
	return workers
}

func endAll(workers []*exec.Cmd, sig os.Signal) {
	for _, w := range workers {
		_ = w.Process.Signal(sig) // it may have ended
	}
}

func fakeWorker() int {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1)
	enroll()
	l, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		panic(err)
	}
	syscall.Close(3)
	if faulty("leave-idle") {
		if err := fakeChild("idle").Start(); err != nil {
			panic(err)
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, os.Getpid())
			c.Close()
		}
	}()
	for sig := range signals {
		switch {
		case sig == syscall.SIGTERM:
			return 0
		case faulty("drains-forever"):
			l.Close()
		case !faulty("old-stay"):
			return 0
		}
	}
	return 0
}

// freeAddr is an address that nobody listens on, beneath the ports that the kernel hands out: it stays free while nothing runs.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no free port")
	return ""
}

// patience is for what is to succeed: long, for a machine that does much else.
const patience = time.Minute

// fake is a service of the fake daemon, and what it has warned of.
type fake struct {
	*Service
	t        *testing.T
	dir      string
	addr     string
	warnings []string
}

func newFake(t *testing.T, change func(*Spec)) *fake {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, dir: t.TempDir()}
	f.addr = freeAddr(t)
	spec := Spec{
		Name: "web", Preset: "pidfile", Start: fakeRole + `=start exec "$REL_FAKE_BIN"`, Graceful: "SIGUSR1", RestartCmd: "SIGHUP",
		PIDFile: "fake.pid", Listen: []string{f.addr}, Timeout: patience,
	}
	if change != nil {
		change(&spec)
	}
	env := Env{
		Dir: f.dir, LogDir: filepath.Join(f.dir, "services"), LockDir: filepath.Join(f.dir, "locks"),
		Environ: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "REL_FAKE_BIN=" + self, fakeDir + "=" + f.dir, fakeAddr + "=" + f.addr},
		Warn:    func(text string) { f.warnings = append(f.warnings, text) },
		Output:  func(line string) { t.Log("output: " + line) },
	}
	env.Environ = append(env.Environ, fmt.Sprintf("%s=%d", fakeOwner, os.Getpid()))
	if f.Service, err = New(spec, env); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.endAll)
	return f
}

// endAll ends whatever the fake has left, however the test ended.
func (f *fake) endAll() {
	proc.Await(context.Background(), 10*time.Second, func() bool {
		left := 0
		file, err := os.Open(filepath.Join(f.dir, "pids"))
		if err != nil {
			return true
		}
		defer file.Close()
		for in := bufio.NewScanner(file); in.Scan(); {
			var p proc.Process
			if _, err := fmt.Sscan(in.Text(), &p.PID, &p.Start); err == nil && p.Same() {
				left++
				if err := proc.Signal(p, syscall.SIGKILL); err != nil {
					f.t.Log(err)
				}
			}
		}
		return left == 0
	})
}

func (f *fake) faults(names ...string) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, "faults"), []byte(strings.Join(names, " ")), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fake) state() State {
	f.t.Helper()
	st, err := f.State()
	if err != nil {
		f.t.Fatal(err)
	}
	return st
}

func (f *fake) start() State {
	f.t.Helper()
	if err := f.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	st := f.state()
	if !st.Up || !portsHeld(st) {
		f.t.Fatalf("started, but %+v", st)
	}
	return st
}

// answers is the pid of the worker that answers, 0 if nobody does.
func (f *fake) answers() int {
	c, err := net.DialTimeout("tcp", f.addr, 10*time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	var pid int
	if _, err := fmt.Fscan(c, &pid); err != nil {
		return 0
	}
	return pid
}
