//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// run is for what is not measured.
func run(ctx context.Context, argv ...string) error {
	_, err := output(ctx, argv...)
	return err
}

// output is what a command prints, without spaces around it.
func output(ctx context.Context, argv ...string) (string, error) {
	cmd := command(ctx, argv)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%q: %w\n%s", argv, err, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// command is a command in an environment where git has no configuration but the repository's own.
func command(ctx context.Context, argv []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "GIT_") || strings.HasPrefix(s, "REL_") || strings.HasPrefix(s, "HOME=")
	})
	cmd.Env = append(cmd.Env, "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all of a pipeline is ended, before its files are removed
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	return cmd
}

// sample is what one process took, with all that it started and waited for.
type sample struct {
	wall time.Duration
	cpu  time.Duration
	call time.Duration // of that, what a child of this program says that the call itself took
}

// timed runs a command and takes its time.
func timed(ctx context.Context, argv ...string) (sample, error) {
	cmd := command(ctx, argv)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	wall := time.Since(began)
	if err != nil {
		return sample{}, fmt.Errorf("%q: %w\n%s", argv, err, stderr.Bytes())
	}
	s := sample{wall: wall, cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}
	var own report
	if json.Unmarshal(stdout.Bytes(), &own) == nil && own.Call > 0 {
		s.call = own.Call
		if own.Only {
			s.wall, s.cpu = own.Call, own.CPU
		}
	}
	return s, nil
}

// peak runs a command and looks, a thousand times a second, at how much anonymous memory it and all that it started have. It is in
// bytes, and not taken in the same run as times, which the looking would change.
func peak(ctx context.Context, argv ...string) (int64, error) {
	cmd := command(ctx, argv)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	var most int64
	for {
		select {
		case err := <-ended:
			if err != nil {
				err = fmt.Errorf("%q: %w\n%s", argv, err, stderr.Bytes())
			}
			return most, err
		case <-tick.C:
			most = max(most, anonymous(cmd.Process.Pid))
		}
	}
}

// anonymous is RssAnon of a process and its descendants, 0 for one that is gone.
func anonymous(pid int) int64 {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return 0
	}
	var sum int64
	if _, line, found := strings.Cut(string(status), "RssAnon:"); found {
		kib, _ := strconv.ParseInt(strings.Fields(line)[0], 10, 64)
		sum = kib << 10
	}
	tasks, _ := filepath.Glob(filepath.Join(dir, "task", "*", "children"))
	for _, path := range tasks {
		children, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				sum += anonymous(child)
			}
		}
	}
	return sum
}

// usage is this process's own CPU time so far.
func usage() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// middle is the median of one figure of the samples, with the least and the most.
func middle(all []sample, of func(sample) time.Duration) (median, least, most time.Duration) {
	d := make([]time.Duration, len(all))
	for i, s := range all {
		d[i] = of(s)
	}
	slices.Sort(d)
	return d[len(d)/2], d[0], d[len(d)-1]
}

func wall(s sample) time.Duration { return s.wall }
func cpu(s sample) time.Duration  { return s.cpu }
func call(s sample) time.Duration { return s.call }
