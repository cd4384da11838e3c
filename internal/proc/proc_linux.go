package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const kernelThread = 0x00200000 // PF_KTHREAD in the flags of /proc/PID/stat

// Lookup looks at one process: ErrGone when it is not there, or only as a zombie.
func Lookup(pid int) (Process, error) {
	p, _, err := stat(pid)
	if err == nil && (p.State == 'Z' || p.State == 'X') {
		err = fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	return p, err
}

// stat reads /proc/PID/stat, of zombies too, and the kernel's flags.
func stat(pid int) (Process, uint64, error) {
	if pid <= 0 {
		return Process{}, 0, fmt.Errorf("pid %d: %w", pid, ErrGone)
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	switch {
	case err == nil:
		return parseStat(data)
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH):
		return Process{}, 0, err
	}
	// A /proc mounted with hidepid says "no such file" of others' processes: ask the kernel.
	if kill := unix.Kill(pid, 0); kill == unix.EPERM {
		if data, err = os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil {
			return parseStat(data)
		}
		if unix.Kill(pid, 0) == unix.EPERM {
			return Process{}, 0, fmt.Errorf("pid %d: hidden from this user (is /proc mounted with hidepid?)", pid)
		}
	}
	return Process{}, 0, fmt.Errorf("pid %d: %w", pid, ErrGone)
}

// parseStat takes /proc/PID/stat apart. The name may hold spaces and parentheses: it ends at the last one.
func parseStat(data []byte) (Process, uint64, error) {
	open, end := bytes.IndexByte(data, '('), bytes.LastIndexByte(data, ')')
	if open < 1 || end < open {
		return Process{}, 0, fmt.Errorf("/proc/PID/stat: %q", data)
	}
	fields := bytes.Fields(data[end+1:])
	if len(fields) < 20 || len(fields[0]) != 1 {
		return Process{}, 0, fmt.Errorf("/proc/PID/stat: %q", data)
	}
	var bad error
	number := func(text []byte) int64 {
		n, err := strconv.ParseInt(string(text), 10, 64)
		bad = errors.Join(bad, err)
		return n
	}
	p := Process{
		PID: int(number(bytes.TrimSpace(data[:open]))), Comm: string(data[open+1 : end]), State: fields[0][0],
		PPID: int(number(fields[1])), PGID: int(number(fields[2])), Session: int(number(fields[3])), Start: uint64(number(fields[19])),
	}
	return p, uint64(number(fields[6])), bad
}

func startOf(pid int) uint64 {
	p, _, err := stat(pid)
	if err != nil {
		return 0
	}
	return p.Start
}

// List looks at all processes but zombies, in order of pid.
func List() ([]Process, error) { return list(true) }

func list(kernel bool) ([]Process, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		p, flags, err := stat(pid)
		if err != nil || p.State == 'Z' || p.State == 'X' || (!kernel && flags&kernelThread != 0) {
			continue // it ended while we were reading, most likely
		}
		found = append(found, p)
	}
	sort.Slice(found, func(i, j int) bool { return found[i].PID < found[j].PID })
	return found, nil
}

// Children are the live children of a process, in order of pid. While children come and go it may miss one, as the kernel's own
// list may: who has to know of all asks again.
func Children(pid int) ([]Process, error) {
	pids, err := childPIDs(pid)
	if err != nil { // a kernel without that list
		return childrenByParent(pid)
	}
	var found []Process
	for _, pid := range pids {
		if p, err := Lookup(pid); err == nil {
			found = append(found, p)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].PID < found[j].PID })
	return found, nil
}

// childPIDs asks each thread of a process for the children that it has forked.
func childPIDs(pid int) ([]int, error) {
	lists, err := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	if err != nil || len(lists) == 0 {
		return nil, errors.Join(err, fs.ErrNotExist)
	}
	var pids []int
	for _, list := range lists {
		data, err := os.ReadFile(list)
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(data)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, err
			}
			pids = append(pids, child)
		}
	}
	return pids, nil
}

func childrenByParent(pid int) ([]Process, error) {
	all, err := List()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, p := range all {
		if p.PPID == pid {
			found = append(found, p)
		}
	}
	return found, nil
}

// Cmdline is a process's command line with its arguments parted by spaces; its name in brackets where it has none, and "" when it
// is gone.
func Cmdline(pid int) string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(strings.ReplaceAll(strings.TrimRight(string(data), "\x00"), "\x00", " "))
	if text == "" {
		if p, _, err := stat(pid); err == nil {
			return "[" + p.Comm + "]"
		}
	}
	return text
}

// Ticks is now by the clock that Process.Start is of.
func Ticks() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 0 // Linux has had this clock since 2.6.39
	}
	return uint64(ts.Nano()) / (1e9 / TicksPerSecond)
}

// BootID names this boot of the machine; pids and ticks mean nothing in another. It is empty where the system does not tell.
func BootID() string {
	data, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// Unit is the systemd service that a process belongs to, "apache2.service", or "" where there is none: systemd is not pid 1, or
// the process is in a user's session.
func Unit(pid int) string {
	if !Systemd() {
		return ""
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return ""
	}
	return unitOf(string(data))
}

// unitOf finds the innermost service of a cgroup path. Services beneath user@….service are another manager's.
func unitOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || (parts[0] != "0" && parts[1] != "name=systemd") || !strings.HasPrefix(parts[2], "/system.slice/") {
			continue
		}
		for name := range strings.SplitSeq(parts[2], "/") {
			if strings.HasSuffix(name, ".service") {
				return name
			}
		}
	}
	return ""
}

// Systemd tells whether systemd is pid 1 here.
func Systemd() bool {
	info, err := os.Stat("/run/systemd/system")
	if err != nil || !info.IsDir() {
		return false
	}
	first, _, err := stat(1)
	return err == nil && first.Comm == "systemd"
}
