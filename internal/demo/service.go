package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"text/template"
	"time"

	"golang.org/x/sys/unix"
)

// The demo's service behaves as Apache with mod_perl does: a master holds the port, a worker below it loads the code when it
// starts and never again, and a reload starts a new worker before the old one finishes. A worker that cannot start takes the
// master with it: then everything is down.

// The parts of the service, as its first argument names them.
const (
	partStart  = "start"  // starts the master and returns when it answers, or with what it said
	partMaster = "master" //
	partWorker = "worker" //
	partCheck  = "check"  // only compiles a template
)

// Files in the service's directory.
const (
	pidFile = "shop.pid"
	logFile = "shop.log"
)

// readyWithin is how long a worker may take to load its code.
const readyWithin = 5 * time.Second

// Service is one process of the demo's service: a part's name, then the address and the live path, or the file to check.
func Service(program string, args []string) error {
	switch {
	case len(args) == 2 && args[0] == partCheck:
		_, err := template.ParseFiles(args[1])
		return err
	case len(args) == 3 && args[0] == partStart:
		return start(program, args[1], args[2])
	case len(args) == 3 && args[0] == partMaster:
		return master(program, args[1], args[2])
	case len(args) == 3 && args[0] == partWorker:
		return work(args[2])
	}
	return fmt.Errorf("demo-service: %q: start, master or worker with ADDRESS and PATH; or check with FILE", args)
}

// start is what a control program does.
func start(program, addr, code string) error {
	out, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cmd := exec.Command(program, "demo-service", partMaster, addr, code)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	for deadline := time.Now().Add(readyWithin); time.Now().Before(deadline); {
		select {
		case <-gone:
			return errors.New("shop: the master exited: see " + logFile)
		case <-time.After(10 * time.Millisecond):
		}
		if _, err := os.Stat(pidFile); err == nil {
			return nil
		}
	}
	return errors.New("shop: no answer from the master")
}

// master holds the port and keeps one worker.
func master(program, addr, code string) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGTERM, syscall.SIGINT)
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	socket, err := shared(listener.(*net.TCPListener))
	if err != nil {
		return err
	}
	worker, err := startWorker(program, addr, code, socket)
	if err != nil {
		return err
	}
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return errors.Join(err, worker.Process.Kill())
	}
	defer os.Remove(pidFile)
	for s := range signals {
		next := (*exec.Cmd)(nil)
		if s == syscall.SIGUSR1 {
			if next, err = startWorker(program, addr, code, socket); err != nil {
				log.Printf("reload: %v: going down", err)
			}
		}
		stopErr := errors.Join(worker.Process.Signal(syscall.SIGTERM), worker.Wait())
		if next == nil {
			return errors.Join(err, stopErr)
		}
		worker = next
	}
	return nil
}

// shared is a listener's socket, to be inherited. TCPListener.File would not do: handing it on makes the socket blocking, for all who
// have it, and a worker that comes second to a connection then hangs in accept and does not end.
func shared(listener *net.TCPListener) (*os.File, error) {
	raw, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	controlErr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	if err = errors.Join(controlErr, err); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "socket"), nil
}

// startWorker starts a worker on the socket and waits until it has loaded its code.
func startWorker(program, addr, code string, socket *os.File) (*exec.Cmd, error) {
	ready, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	cmd := exec.Command(program, "demo-service", partWorker, addr, code)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{socket, told}
	err = errors.Join(cmd.Start(), told.Close())
	if err != nil {
		return nil, err
	}
	if err := ready.SetReadDeadline(time.Now().Add(readyWithin)); err != nil {
		return nil, errors.Join(err, cmd.Process.Kill())
	}
	if n, _ := ready.Read(make([]byte, 1)); n == 0 { // it closed the pipe by dying, or said nothing in time
		return nil, errors.Join(errors.New("the worker did not start"), cmd.Process.Kill(), cmd.Wait())
	}
	return cmd, nil
}

// work loads the code and serves it until it is told to finish.
func work(code string) error {
	version, page, err := load(code)
	if err != nil {
		return err
	}
	listener, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	var open atomic.Int64 // connections
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Release", version)
			fmt.Fprintln(w, page)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Add(-1)
			}
		},
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if _, err := os.NewFile(4, "ready").Write([]byte("1")); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return finish(server, listener, served, &open)
	}
}

// finish serves the connections that were accepted to their end. Server.Shutdown does not do that: it drops a request that
// comes on a connection which had sent none before.
func finish(server *http.Server, listener net.Listener, served <-chan error, open *atomic.Int64) error {
	if err := listener.Close(); err != nil {
		return err
	}
	<-served
	server.SetKeepAlivesEnabled(false)
	for deadline := time.Now().Add(readyWithin); open.Load() > 0 && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	return server.Close()
}

// load is what goes wrong, when it does, as late as the start: the template compiles, and does not run with the data.
func load(code string) (version, page string, err error) {
	raw, err := os.ReadFile(filepath.Join(code, "shop.json"))
	if err != nil {
		return "", "", err
	}
	var data map[string]string
	if err := json.Unmarshal(raw, &data); err != nil {
		return "", "", fmt.Errorf("shop.json: %w", err)
	}
	tmpl, err := template.New("page.tmpl").Option("missingkey=error").ParseFiles(filepath.Join(code, "page.tmpl"))
	if err != nil {
		return "", "", err
	}
	var b strings.Builder
	if err := tmpl.Execute(&b, data); err != nil {
		return "", "", err
	}
	return data["version"], b.String(), nil
}
