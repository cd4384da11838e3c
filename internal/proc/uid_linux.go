package proc

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// UID is the effective user of p. It comes from the status file, which everybody may read: the owner of /proc/<pid> is root
// for a process that has changed its user.
func (p Process) UID() (uint32, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if rest, ok := strings.CutPrefix(lines.Text(), "Uid:"); ok {
			var real, effective uint32
			if _, err := fmt.Sscan(rest, &real, &effective); err != nil {
				return 0, fmt.Errorf("%s: %w", file.Name(), err)
			}
			return effective, nil
		}
	}
	return 0, fmt.Errorf("%s: no Uid", file.Name())
}

// MaySignal says whether this process may end p.
func (p Process) MaySignal() bool {
	return AsRoot(func() error { return syscall.Kill(p.PID, 0) }) != syscall.EPERM
}
