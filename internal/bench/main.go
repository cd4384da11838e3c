//go:build linux

// Command bench measures what rel does against what else does the same, and prints tables in Markdown for BENCHMARKS.md.
//
//	go run ./internal/bench [--repo PATH:TAG[:OLD]] [--rounds N] [--only NAMES] [--dir DIR] [--quick]
//
// What is compared takes turns in one run, so that what else the machine does falls on all alike. Each figure is of a whole
// process, from fork to exit, and a median of at least five.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// The program starts itself again in two ways: "child" is one of the processes that are measured, "inside" the one that measures.
func main() {
	args := os.Args[1:]
	var err error
	switch {
	case len(args) > 0 && args[0] == "child":
		err = child(args[1:])
	case len(args) > 1 && args[0] == "inside":
		err = inside(args[1], args[2:])
	default:
		err = outside(args)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// outside makes a scratch directory, measures in another process and removes the directory, however that process ends. As root the
// other process has mounts of its own, which end with it.
func outside(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if o.dir != "" {
		if err := os.MkdirAll(o.dir, 0o755); err != nil {
			return err
		}
	}
	scratch, err := os.MkdirTemp(o.dir, "rel-bench-")
	if err != nil {
		return err
	}
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends that started the process
	run := func(flags uintptr) error {
		cmd := exec.CommandContext(ctx, "/proc/self/exe", slices.Concat([]string{"inside", scratch}, args)...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Unshareflags: flags}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		return cmd.Run()
	}
	if os.Geteuid() == 0 {
		err = run(syscall.CLONE_NEWNS)
	}
	if os.Geteuid() != 0 || errors.Is(err, syscall.EPERM) {
		err = run(0)
	}
	return errors.Join(err, os.RemoveAll(scratch), os.RemoveAll(shared(scratch)))
}

// bench is one run of the program.
type bench struct {
	options
	out     io.Writer
	scratch string // removed at the end
	cache   string // where generated repositories are kept
	self    string // this program
	machine string
	targets []target
}

func inside(scratch string, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := &bench{options: o, self: self, out: os.Stdout, scratch: scratch, cache: o.dir}
	if b.cache == "" {
		b.cache = filepath.Join(scratch, "repositories")
	}
	if err := os.MkdirAll(b.cache, 0o755); err != nil {
		return err
	}
	if b.machine, err = describe(ctx); err != nil {
		return err
	}
	began := time.Now()
	err = b.all(ctx)
	b.tell("%s in all", time.Since(began).Round(time.Second))
	return err
}

// all is every part of the run that was asked for, in order.
func (b *bench) all(ctx context.Context) error {
	places := b.places(ctx)
	for _, at := range places {
		if !b.wants(at.name) {
			continue
		}
		if at.skipped != "" {
			fmt.Fprintf(b.out, "Exports on %s: skipped, %s\n\n", at.name, at.skipped)
			continue
		}
		for _, name := range b.repos {
			if name == "wide" && at.name == "xfs" && !b.chosen { // for the time that it takes
				fmt.Fprint(b.out, "Exports of wide to xfs: only with --repo wide\n\n")
				continue
			}
			if err := b.exports(ctx, name, at); err != nil {
				return err
			}
		}
	}
	for _, part := range []struct {
		name string
		run  func(context.Context, []place) error
	}{{"memory", b.memory}, {"objects", b.objects}, {"commands", b.commands}, {"pushes", b.pushes}} {
		if !b.wants(part.name) {
			continue
		}
		if err := part.run(ctx, places); err != nil {
			return err
		}
	}
	b.printTargets()
	return nil
}

// tell says on stderr what goes on: stdout is for the tables.
func (b *bench) tell(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...)
}
